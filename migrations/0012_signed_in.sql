-- When somebody last signed in, as their team sees it. Without it, the newest
-- such row of the trail is looked for among all of theirs: of a person at whose
-- password somebody guesses for months, among thousands. A program that does
-- not know it goes on.

-- +goose Up

CREATE INDEX audit_signed_in ON audit (subject, at) WHERE kind = 'signed_in';
