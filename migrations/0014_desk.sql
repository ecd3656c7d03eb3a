-- The support desk: how far a case has come, what was found and said in it, who
-- approved of it, and who may stop it. A program that knows only open and
-- withdrawn cases goes on.

-- +goose Up

-- person and practice are whose account it is about, as far as the desk thinks so.
-- remedies are what is to be done, with commas between. round rises whenever what
-- is to be approved becomes something else: approvals are of one round.
ALTER TABLE cases ADD COLUMN person text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN practice text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN remedies text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN agent text NOT NULL DEFAULT ''; -- who works on it
ALTER TABLE cases ADD COLUMN round bigint NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN frozen_at bigint NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN strict boolean NOT NULL DEFAULT false; -- was frozen once
ALTER TABLE cases ADD COLUMN wait_until bigint NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN answered_at bigint NOT NULL DEFAULT 0; -- 0: the answer that was promised is owed
ALTER TABLE cases ADD COLUMN reply text NOT NULL DEFAULT ''; -- the newest, by name
CREATE INDEX cases_person ON cases (person, closed_at) WHERE person <> '';
CREATE INDEX cases_wait ON cases (wait_until) WHERE state = 'waiting';

-- What was done in a case, by whom. text is sealed: evidence, reasons, notes.
CREATE TABLE case_log (
	id      text   PRIMARY KEY, -- sorts by time
	case_id text   NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	at      bigint NOT NULL,
	actor   text   NOT NULL, -- an agent's ID; '' for others
	action  text   NOT NULL,
	item    text   NOT NULL DEFAULT '', -- a check, a reply, a reason; a person
	text    bytea
);
CREATE INDEX case_log_case ON case_log (case_id, id);

-- The items of the checklist that hold. They are of one person: of another they
-- are found anew.
CREATE TABLE case_checks (
	case_id text   NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	item    text   NOT NULL,
	agent   text   NOT NULL,
	at      bigint NOT NULL,
	PRIMARY KEY (case_id, item)
);

-- Two approvals at once are two rows, and one agent's are one.
CREATE TABLE case_approvals (
	case_id text   NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	round   bigint NOT NULL,
	agent   text   NOT NULL,
	at      bigint NOT NULL,
	PRIMARY KEY (case_id, round, agent)
);
CREATE INDEX case_approvals_agent ON case_approvals (agent, at);

-- The links in the mails to those who hold the account. release: it also says
-- "it was me"; only the address on file gets that.
CREATE TABLE case_links (
	hash    bytea   PRIMARY KEY,
	case_id text    NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	round   bigint  NOT NULL,
	release boolean NOT NULL
);
CREATE INDEX case_links_case ON case_links (case_id);
