-- Second factors and Account Settings: authenticators, backup codes, the
-- practices that demand them, step-up, and the mails that ask "was it you?".
-- A program that knows none of this goes on: what it does not name has a default.

-- +goose Up

-- Authenticators: apps that make codes. key is sealed. last_step is the newest
-- time step of which a code was accepted: none at or before it is again.
CREATE TABLE authenticators (
	id         text   PRIMARY KEY,
	account    text   NOT NULL,
	name       text   NOT NULL,
	key        bytea  NOT NULL,
	last_step  bigint NOT NULL,
	created_at bigint NOT NULL,
	used_at    bigint NOT NULL
);
CREATE INDEX authenticators_account ON authenticators (account);

-- An account's one set of backup codes. One salt for all of them, so that to
-- judge an answer costs one hash.
CREATE TABLE backup_sets (
	account text   PRIMARY KEY,
	salt    bytea  NOT NULL,
	made_at bigint NOT NULL
);

CREATE TABLE backup_codes (
	account text   NOT NULL,
	hash    bytea  NOT NULL,
	used_at bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (account, hash)
);

-- Two-factor sign-in is demanded of all of a practice.
ALTER TABLE practices ADD COLUMN require_second boolean NOT NULL DEFAULT false;

-- The password is shorter than it may be without a second factor.
ALTER TABLE people ADD COLUMN short_password boolean NOT NULL DEFAULT false;

-- How many locks there were. A flow in which an account was proven ends with
-- the next lock: what was proven before it buys no guesses after it.
ALTER TABLE guards ADD COLUMN locks bigint NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN locks bigint NOT NULL DEFAULT 0;

-- The session that a step-up raises. Without it the flow ends in nothing.
ALTER TABLE flows ADD COLUMN session bytea;

-- The one change of e-mail address of an account, made once both addresses
-- agreed, and when the last three were asked for.
CREATE TABLE email_changes (
	account      text   PRIMARY KEY,
	email        text   NOT NULL,
	old_hash     bytea  UNIQUE, -- SHA-256 of the link's token; NULL once confirmed
	new_hash     bytea  UNIQUE,
	cancel_hash  bytea  UNIQUE, -- NULL once made or cancelled: then it is over
	epoch        bigint NOT NULL, -- of the account, when it was asked for
	asked_at     bigint NOT NULL,
	asked_2      bigint NOT NULL DEFAULT 0,
	asked_3      bigint NOT NULL DEFAULT 0,
	expires_at   bigint NOT NULL
);
CREATE INDEX email_changes_expires ON email_changes (expires_at);

-- The "this was not me" link of each mail about a change.
CREATE TABLE disavowals (
	hash       bytea  PRIMARY KEY,
	account    text   NOT NULL,
	template   text   NOT NULL,
	expires_at bigint NOT NULL,
	used_at    bigint NOT NULL DEFAULT 0
);
CREATE INDEX disavowals_expires ON disavowals (expires_at);
