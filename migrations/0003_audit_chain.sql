-- The chain over the audit trail: whoever changes, drops, adds or moves a row
-- of it afterwards is found out, and the row is named. Links stand beside the
-- rows, so that a row is written as it always was, once, and never changed; one
-- job links them within about a second (provider/store/chain.go).
-- A program that knows none of this goes on; its rows are linked later.

-- +goose Up

-- One row a row of audit, in the order in which they were linked. hash is an
-- HMAC over the hash before it, the number and the row, in hex.
CREATE TABLE audit_chain (
	seq    bigint PRIMARY KEY, -- without a gap: two that link at once cannot both
	row_id text   NOT NULL UNIQUE,
	hash   text   NOT NULL
);

-- The one place from which the links that are kept begin: the last one swept,
-- 0 if none was. mac is over the others.
CREATE TABLE audit_anchor (
	seq  bigint PRIMARY KEY,
	hash text   NOT NULL,
	mac  text   NOT NULL
);
INSERT INTO audit_anchor (seq, hash, mac) VALUES (0, '', '');
