-- An app that knows people by pairwise names has a session ended by its sid
-- alone: it begins the id of the session, or of the one that was raised.

-- +goose Up

CREATE INDEX sessions_root ON sessions (root) WHERE root IS NOT NULL;
