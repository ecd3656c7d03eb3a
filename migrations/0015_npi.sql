-- People's NPIs, out of their claims: sealed, and found by what cases are found
-- by. The sweep moves those that are still in the claims, and those that a
-- program which does not know this adds. That program goes on, and tells apps no
-- NPI that was moved.

-- +goose Up

-- npi is sealed. npi_hash is it under the key of cases.npi_hash, so that a case
-- and the person it may be about are seen to have one NPI.
ALTER TABLE people ADD COLUMN npi bytea;
ALTER TABLE people ADD COLUMN npi_hash bytea;
CREATE INDEX people_npi ON people (npi_hash) WHERE npi_hash IS NOT NULL;
-- Those that the sweep has to move. It is empty once that is done, so looking
-- costs nothing from then on.
CREATE INDEX people_npi_clear ON people (id) WHERE claims LIKE '%"npi":%';
