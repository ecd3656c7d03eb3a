-- Logout: apps know a session by one name (sid) for all its life, or what they
-- are told of its end means nothing to them. A step-up gives it a new id; root
-- is the id that it began with, NULL where that is its own.
-- A program that knows nothing of it goes on: the sid is then that of the id.

-- +goose Up

ALTER TABLE sessions ADD COLUMN root bytea;
ALTER TABLE grants ADD COLUMN root bytea;
