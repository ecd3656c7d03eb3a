-- name: Passkeys :many
SELECT id, account, credential, name, record, counter, verified, synced, created_at, used_at FROM passkeys
WHERE account = @account ORDER BY created_at, id;

-- name: PasskeyHolder :one
-- Whose credential it is, and how their account stands.
SELECT p.account, COALESCE(g.epoch, 0) AS epoch, COALESCE(g.locks, 0) AS locks, COALESCE(g.locked_until, 0) AS locked_until
FROM passkeys p LEFT JOIN guards g ON g.subject = p.account
WHERE p.credential = @credential;

-- name: AddPasskey :execrows
-- No row: somebody has it.
INSERT INTO passkeys (id, account, credential, name, record, counter, verified, synced, created_at, used_at)
VALUES (@id, @account, @credential, @name, @record, @counter, @verified, @synced, @now, @now)
ON CONFLICT (credential) DO NOTHING;

-- name: UsePasskey :execrows
-- No row: it was removed, or used elsewhere in the meantime.
UPDATE passkeys SET record = @record, counter = @counter, used_at = @now
WHERE id = @id AND account = @account AND counter = @before;

-- name: RemovePasskey :execrows
-- The last second factor stays where one is required.
DELETE FROM passkeys
WHERE passkeys.id = @id AND passkeys.account = @account
	AND (CAST(@required AS BOOLEAN) = false
		OR EXISTS (SELECT 1 FROM passkeys o WHERE o.account = passkeys.account AND o.id <> passkeys.id)
		OR EXISTS (SELECT 1 FROM authenticators a WHERE a.account = passkeys.account));

-- name: AskPasskey :exec
-- Not before then.
INSERT INTO passkey_offers (account, again_at) VALUES (@account, @again_at)
ON CONFLICT (account) DO UPDATE SET again_at = excluded.again_at;

-- name: RemovePasskeys :execrows
DELETE FROM passkeys WHERE account = @account;

-- name: FreeCodes :execrows
-- A passkey is the way out for whose codes are held. No row: they are not.
UPDATE guards SET code_failed = 0, code_wrong = 0
WHERE subject = @subject AND code_wrong >= 10;

-- name: SourceFailures :one
-- In the window that is open; 0 if none is.
SELECT CAST(COALESCE((SELECT s.failures FROM sources s
	WHERE s.source = @source AND s.window_start > @since), 0) AS BIGINT);
