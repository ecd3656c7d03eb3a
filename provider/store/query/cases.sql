-- name: OpenCase :exec
INSERT INTO cases (id, state, claims, npi_hash, email_hash, token_hash, locale, opened_at, due_at)
VALUES (@id, 'open', @claims, @npi_hash, @email_hash, @token_hash, @locale, @now, @due_at);

-- name: CasesSince :one
-- Of one address.
SELECT COUNT(*) FROM cases WHERE email_hash = @email_hash AND opened_at > @since;

-- name: CaseByLink :one
SELECT id, state, opened_at, due_at, confirmed_at, closed_at FROM cases WHERE token_hash = @token_hash;

-- name: ConfirmCase :one
-- No row: it is confirmed, or closed.
UPDATE cases SET confirmed_at = @now
WHERE token_hash = @token_hash AND confirmed_at = 0 AND closed_at = 0
RETURNING id;

-- name: WithdrawCase :one
-- What was said is forgotten with it.
UPDATE cases SET state = 'withdrawn', closed_at = @now, claims = @nothing, npi_hash = NULL
WHERE token_hash = @token_hash AND closed_at = 0
RETURNING id;

-- name: OpenCases :many
-- How many are open, and how many of them overdue, for the metrics.
SELECT state, COUNT(*) AS cases, CAST(COALESCE(SUM(CASE WHEN due_at <= @now THEN 1 ELSE 0 END), 0) AS BIGINT) AS overdue
FROM cases WHERE closed_at = 0 GROUP BY state;
