-- Who was asked whether they want a passkey, and said no: for now, or for good. A
-- program that does not know it asks nobody.

-- +goose Up

CREATE TABLE passkey_offers (
	account  text   PRIMARY KEY,
	again_at bigint NOT NULL -- not before; for good is the year 9999
);
