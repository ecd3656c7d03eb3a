-- name: SessionsOf :many
-- The live ones of an account, the newest seen first.
SELECT s.id, s.account, s.practice, s.epoch, s.auth_time, s.methods, s.acr,
	s.device, s.address, s.created_at, s.seen_at, s.expires_at,
	COALESCE(s.root, s.id) AS root
FROM sessions s
JOIN guards g ON g.subject = s.account
WHERE s.account = @account AND s.expires_at > @now AND s.seen_at + s.idle > @now
	AND s.epoch = g.epoch AND g.disabled = false
ORDER BY s.seen_at DESC, s.created_at DESC, s.id;

-- name: EndSessionOf :execrows
-- No row: it is over, or another account's.
UPDATE sessions SET expires_at = @now
WHERE id = @id AND account = @account AND expires_at > @now AND seen_at + idle > @now;

-- name: RevokeGrantsBut :execrows
-- The families of an account that did not come from the one session.
UPDATE grants SET revoked_at = @now
WHERE account = @account AND session <> @keep AND revoked_at = 0 AND expires_at > @now;
