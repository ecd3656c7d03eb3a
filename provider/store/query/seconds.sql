-- name: Second :one
-- What second factor an account has, always in one row.
SELECT
	CAST((SELECT COUNT(*) FROM authenticators a WHERE a.account = @account) AS BIGINT) AS authenticators,
	CAST((SELECT COUNT(*) FROM passkeys p WHERE p.account = @account) AS BIGINT) AS passkeys,
	CAST(COALESCE((SELECT MAX(a.used_at) FROM authenticators a WHERE a.account = @account), 0) AS BIGINT) AS code_at,
	CAST((SELECT COUNT(*) FROM backup_codes b WHERE b.account = @account AND b.used_at = 0) AS BIGINT) AS codes_left,
	CAST(COALESCE((SELECT o.again_at FROM passkey_offers o WHERE o.account = @account), 0) AS BIGINT) AS ask_passkey,
	CAST(COALESCE((SELECT MAX(b.used_at) FROM backup_codes b WHERE b.account = @account), 0) AS BIGINT) AS backup_at;

-- name: Authenticators :many
SELECT id, name, key, last_step, created_at, used_at FROM authenticators
WHERE account = @account ORDER BY created_at, id;

-- name: AddAuthenticator :exec
INSERT INTO authenticators (id, account, name, key, last_step, created_at, used_at)
VALUES (@id, @account, @name, @key, @last_step, @now, @now);

-- name: BurnStep :execrows
-- No row: a code of this time step, or of a later one, was accepted before.
UPDATE authenticators SET last_step = @step, used_at = @now
WHERE id = @id AND account = @account AND last_step < @step;

-- name: RemoveAuthenticator :execrows
-- The last one stays where a second factor is required.
DELETE FROM authenticators
WHERE authenticators.id = @id AND authenticators.account = @account
	AND (CAST(@required AS BOOLEAN) = false
		OR EXISTS (SELECT 1 FROM authenticators o WHERE o.account = authenticators.account AND o.id <> authenticators.id)
		OR EXISTS (SELECT 1 FROM passkeys p WHERE p.account = authenticators.account));

-- name: RemoveAuthenticators :execrows
DELETE FROM authenticators WHERE account = @account;

-- name: BackupSalt :one
SELECT salt FROM backup_sets WHERE account = @account;

-- name: BackupCodes :many
SELECT hash, used_at FROM backup_codes WHERE account = @account;

-- name: BurnBackupCode :execrows
-- No row: it was used before, or its set was replaced.
UPDATE backup_codes SET used_at = @now
WHERE account = @account AND hash = @hash AND used_at = 0;

-- name: PutBackupSet :exec
INSERT INTO backup_sets (account, salt, made_at) VALUES (@account, @salt, @now)
ON CONFLICT (account) DO UPDATE SET salt = excluded.salt, made_at = excluded.made_at;

-- name: AddBackupCode :exec
INSERT INTO backup_codes (account, hash) VALUES (@account, @hash);

-- name: RemoveBackupCodes :execrows
DELETE FROM backup_codes WHERE account = @account;

-- name: RemoveBackupSet :exec
DELETE FROM backup_sets WHERE account = @account;
