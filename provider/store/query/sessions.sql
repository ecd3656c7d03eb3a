-- name: AddSession :execrows
-- No row: the flow went on elsewhere, is over, or gave its session already.
INSERT INTO sessions (
	id, account, practice, epoch, flow, auth_time, methods, acr, device,
	address, created_at, seen_at, idle, expires_at
)
SELECT
	@id, CAST(@account AS TEXT), CAST(@practice AS TEXT),
	CAST(@epoch AS BIGINT), f.id, CAST(@now AS BIGINT), CAST(@methods AS TEXT),
	CAST(@acr AS TEXT), CAST(@device AS TEXT), CAST(@address AS TEXT),
	CAST(@now AS BIGINT), CAST(@now AS BIGINT), CAST(@idle AS BIGINT),
	CAST(@expires_at AS BIGINT)
FROM flows f
WHERE f.id = @flow AND f.revision = @revision AND f.expires_at > @now
	AND f.kind = 'login'
	AND (f.account = '' OR f.account = @account AND f.epoch = @flow_epoch)
ON CONFLICT (flow) DO NOTHING;

-- name: Session :one
-- Live: seen lately, not past its end, and of the account's epoch.
SELECT s.id, s.account, s.practice, s.epoch, s.auth_time, s.methods, s.acr,
	s.device, s.address, s.created_at, s.seen_at, s.expires_at
FROM sessions s
JOIN guards g ON g.subject = s.account
WHERE s.id = @id AND s.expires_at > @now AND s.seen_at + s.idle > @now
	AND s.epoch = g.epoch AND g.disabled = false;

-- name: TouchSession :exec
UPDATE sessions SET seen_at = @now
WHERE id = @id AND seen_at < @now AND expires_at > @now;

-- name: EndSession :one
-- The row stays until its flow is surely over, so that a flow gives one
-- session ever.
UPDATE sessions SET expires_at = @now
WHERE id = @id AND expires_at > @now
RETURNING account, practice;

-- name: EndSessionsOf :execrows
UPDATE sessions SET expires_at = @now
WHERE account = @account AND expires_at > @now AND seen_at + idle > @now;

-- name: SessionsActive :one
SELECT COUNT(*) FROM sessions s
JOIN guards g ON g.subject = s.account
WHERE s.expires_at > @now AND s.seen_at + s.idle > @now
	AND s.epoch = g.epoch AND g.disabled = false;
