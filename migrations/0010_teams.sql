-- Teams: where a practice has its people work, who is invited, and who is to
-- own it next. A program that knows none of this goes on.

-- +goose Up

CREATE TABLE locations (
	id       text PRIMARY KEY,
	practice text NOT NULL REFERENCES practices (id) ON DELETE CASCADE,
	name     text NOT NULL
);
CREATE INDEX locations_practice ON locations (practice);

CREATE TABLE people_locations (
	person   text NOT NULL REFERENCES people (id) ON DELETE CASCADE,
	location text NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
	PRIMARY KEY (person, location)
);
CREATE INDEX people_locations_location ON people_locations (location);

-- When their own practice ended somebody's access; 0: it did not. An account
-- that an operator stopped is disabled without it: only an operator lets it go on.
ALTER TABLE people ADD COLUMN deactivated_at bigint NOT NULL DEFAULT 0;

-- One row an address that a practice invited. known: somebody has the address
-- already, so no link to it ever works; to whoever invites, both look alike.
CREATE TABLE invitations (
	id         text    PRIMARY KEY,
	practice   text    NOT NULL REFERENCES practices (id) ON DELETE CASCADE,
	key        text    NOT NULL, -- the address, normalised: mailed, shown and claimed
	role       text    NOT NULL,
	locations  text    NOT NULL DEFAULT '[]',
	locale     text    NOT NULL DEFAULT '',
	known      boolean NOT NULL,
	invited_by text    NOT NULL, -- a person's ID
	token_hash bytea   UNIQUE,   -- SHA-256 of the newest link's token; NULL: it is over
	sent_at    bigint  NOT NULL,
	sent_2     bigint  NOT NULL DEFAULT 0, -- the one before, and the one before that
	sent_3     bigint  NOT NULL DEFAULT 0,
	expires_at bigint  NOT NULL,
	ended_at   bigint  NOT NULL DEFAULT 0, -- accepted or withdrawn
	UNIQUE (practice, key)
);
CREATE INDEX invitations_expires ON invitations (expires_at);

-- Every link that an invitation ever had, to tell what became of it.
CREATE TABLE invitation_links (
	hash       bytea  PRIMARY KEY,
	invitation text   NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
	sent_at    bigint NOT NULL,
	used_at    bigint NOT NULL DEFAULT 0
);
CREATE INDEX invitation_links_invitation ON invitation_links (invitation);

-- The one transfer of a practice's ownership that is under way. It happens at
-- due_at, which is set once the heir agrees.
CREATE TABLE transfers (
	practice    text   PRIMARY KEY REFERENCES practices (id) ON DELETE CASCADE,
	id          text   NOT NULL UNIQUE,
	owner       text   NOT NULL,
	heir        text   NOT NULL,
	asked_at    bigint NOT NULL,
	expires_at  bigint NOT NULL,           -- for the heir to agree
	due_at      bigint NOT NULL DEFAULT 0,
	owner_hash  bytea  UNIQUE,             -- SHA-256 of the cancel link's token, in the owner's mail
	heir_hash   bytea  UNIQUE              -- and in the heir's
);
CREATE INDEX transfers_due ON transfers (due_at);
