-- What people allowed apps of others to see, and Account Settings > Apps. A
-- program that does not know it asks nobody: it knows no such app either.

-- +goose Up

-- scopes are all that were allowed so far.
CREATE TABLE consents (
	account  text   NOT NULL,
	client   text   NOT NULL,
	scopes   text   NOT NULL,
	given_at bigint NOT NULL,
	PRIMARY KEY (account, client)
);
CREATE INDEX consents_client ON consents (client);
