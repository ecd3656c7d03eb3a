-- Passkeys. A program that knows none asks whoever has one for an authenticator
-- app, and lets nobody in by one factor who has only a passkey beside it: finish
-- the upgrade before people add passkeys.

-- +goose Up

-- record is what the passkey is judged by, sealed, so that nobody who writes to
-- the database adds one of their own. counter is of its signatures.
CREATE TABLE passkeys (
	id         text    PRIMARY KEY,
	account    text    NOT NULL,
	credential bytea   NOT NULL UNIQUE, -- its ID, as authenticators know it
	name       text    NOT NULL DEFAULT '',
	record     bytea   NOT NULL,
	counter    bigint  NOT NULL DEFAULT 0,
	verified   boolean NOT NULL, -- its authenticator knew its person when it was made
	synced     boolean NOT NULL, -- it may be on more than one device
	created_at bigint  NOT NULL,
	used_at    bigint  NOT NULL
);
CREATE INDEX passkeys_account ON passkeys (account);
