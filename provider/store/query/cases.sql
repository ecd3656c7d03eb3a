-- name: OpenCase :exec
INSERT INTO cases (id, state, claims, npi_hash, email_hash, token_hash, locale, opened_at, due_at)
VALUES (@id, 'open', @claims, @npi_hash, @email_hash, @token_hash, @locale, @now, @due_at);

-- name: CasesSince :one
-- Of one address.
SELECT COUNT(*) FROM cases WHERE email_hash = @email_hash AND opened_at > @since;

-- name: CaseByLink :one
SELECT id, state, opened_at, due_at, confirmed_at, closed_at, answered_at, wait_until, frozen_at, reply
FROM cases WHERE token_hash = @token_hash;

-- name: OpenCases :many
-- How many are open, and how many of them overdue, for the metrics.
SELECT state, COUNT(*) AS cases,
	CAST(COALESCE(SUM(CASE WHEN due_at <= @now AND answered_at = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS overdue,
	CAST(COALESCE(SUM(CASE WHEN frozen_at > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS frozen
FROM cases WHERE closed_at = 0 GROUP BY state;
