-- Cases: what somebody asked Support for who cannot get in by themselves.

-- +goose Up

-- id is the number that people are told. claims is what they said of themselves,
-- sealed; npi_hash and email_hash are the NPI and the new address under a key, so
-- that two cases about one person are seen to be. token_hash is of the link in the mail to the new address.
CREATE TABLE cases (
	id           text   PRIMARY KEY,
	state        text   NOT NULL,
	claims       bytea  NOT NULL,
	npi_hash     bytea,
	email_hash   bytea  NOT NULL,
	token_hash   bytea  NOT NULL UNIQUE,
	locale       text   NOT NULL DEFAULT '',
	opened_at    bigint NOT NULL,
	due_at       bigint NOT NULL,
	confirmed_at bigint NOT NULL DEFAULT 0, -- that the new address is theirs
	closed_at    bigint NOT NULL DEFAULT 0
);
CREATE INDEX cases_due ON cases (closed_at, due_at);
CREATE INDEX cases_email ON cases (email_hash, opened_at);
CREATE INDEX cases_npi ON cases (npi_hash) WHERE npi_hash IS NOT NULL;
