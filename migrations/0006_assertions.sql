-- Client assertions that were used (RFC 7523 section 3): none is good twice, on
-- whatever replica. Apps with secrets have no rows here, and a program that
-- knows nothing of this accepts no assertions.

-- +goose Up

-- jti_hash is the SHA-256 of the name that the client gave the assertion.
CREATE TABLE assertions (
	client     text   NOT NULL,
	jti_hash   bytea  NOT NULL,
	expires_at bigint NOT NULL,
	PRIMARY KEY (jti_hash, client)
);
CREATE INDEX assertions_expires ON assertions (expires_at);
