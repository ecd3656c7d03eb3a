-- name: AddSession :execrows
-- No row: the flow went on elsewhere, is over, or gave its session already; or
-- the session that it was to raise has ended. A session by one factor is for
-- accounts that have no second one.
INSERT INTO sessions (
	id, account, practice, epoch, flow, auth_time, methods, acr, device,
	address, created_at, seen_at, idle, expires_at, known_device, root
)
SELECT
	@id, CAST(@account AS TEXT), CAST(@practice AS TEXT),
	CAST(@epoch AS BIGINT), f.id, CAST(@auth_time AS BIGINT), CAST(@methods AS TEXT),
	CAST(@acr AS TEXT), CAST(@device AS TEXT), CAST(@address AS TEXT),
	CAST(@now AS BIGINT), CAST(@now AS BIGINT), CAST(@idle AS BIGINT),
	CAST(@expires_at AS BIGINT), CAST(@known_device AS TEXT),
	(SELECT COALESCE(o.root, o.id) FROM sessions o WHERE o.id = f.session AND f.kind <> 'login')
FROM flows f
WHERE f.id = @flow AND f.revision = @revision AND f.expires_at > @now
	AND f.kind IN ('login', 'stepup', 'enroll')
	AND (f.account = '' OR f.account = @account AND f.epoch = @flow_epoch AND f.locks = @locks
		AND f.device = @known_device)
	AND (CAST(@second AS BOOLEAN) = true
		OR NOT EXISTS (SELECT 1 FROM authenticators a WHERE a.account = @account)
			AND NOT EXISTS (SELECT 1 FROM passkeys k WHERE k.account = @account))
	AND (f.kind = 'login' OR EXISTS (SELECT 1 FROM sessions s
		WHERE s.id = f.session AND s.account = @account AND s.epoch = @flow_epoch
			AND s.expires_at > @now AND s.seen_at + s.idle > @now))
ON CONFLICT (flow) DO NOTHING;

-- name: Session :one
-- Live: seen lately, not past its end, and of the account's epoch.
SELECT s.id, s.account, s.practice, s.epoch, s.auth_time, s.methods, s.acr,
	s.device, s.address, s.created_at, s.seen_at, s.expires_at,
	COALESCE(s.root, s.id) AS root
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

-- name: OwnerOf :one
-- Whose session apps know by a sid, the bytes from which on IDs begin with it
-- and up to which. It need not be live.
SELECT s.account FROM sessions s WHERE s.id BETWEEN @sid_from AND @sid_to
UNION
SELECT r.account FROM sessions r WHERE r.root BETWEEN @sid_from AND @sid_to
LIMIT 1;

-- name: EndSessionsOf :execrows
-- All of them but one, or simply all of them.
UPDATE sessions SET expires_at = @now
WHERE account = @account AND expires_at > @now AND seen_at + idle > @now
	AND (CAST(@but AS BOOLEAN) = false OR id <> @keep);

-- name: KeepSession :exec
-- The session in which what was proven changed goes on.
UPDATE sessions SET epoch = @epoch WHERE id = @id AND account = @account;

-- name: SessionsActive :one
SELECT COUNT(*) FROM sessions s
JOIN guards g ON g.subject = s.account
WHERE s.expires_at > @now AND s.seen_at + s.idle > @now
	AND s.epoch = g.epoch AND g.disabled = false;
