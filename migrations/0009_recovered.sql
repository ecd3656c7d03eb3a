-- When somebody else last gave an account back to its person, as support does;
-- 0 is never. Apps that ask are told so for a week.

-- +goose Up

ALTER TABLE people ADD COLUMN recovered_at bigint NOT NULL DEFAULT 0;
