-- A known device has a guard row of its own, with the statements of guards.sql.
-- Those here move the row of its account, and come first: whoever changes both
-- rows takes the account's before the device's. Its failures and its lock are no
-- matter there; its totals of wrong ones are, with the device's among them.

-- name: ReadDevice :one
-- ReadGuard for a device: the counters, the charges and the lock are its own, the
-- totals and the epoch its account's. No source limits it.
SELECT
	COALESCE(g.epoch, 0) AS epoch,
	COALESCE(d.generation, 0) AS generation,
	COALESCE(d.charge_until, 0) AS charge_until,
	COALESCE(d.locked_until, 0) AS locked_until,
	COALESCE(d.locked_at, 0) AS locked_at,
	COALESCE(d.password_failed, 0) AS password_failed,
	COALESCE(d.password_charged, 0) AS password_charged,
	COALESCE(g.password_wrong, 0) AS password_wrong,
	COALESCE(d.code_failed, 0) AS code_failed,
	COALESCE(d.code_charged, 0) AS code_charged,
	COALESCE(g.code_wrong, 0) AS code_wrong,
	COALESCE(g.disabled, false) AS disabled,
	CAST(EXISTS (SELECT 1 FROM authenticators a WHERE a.account = @subject)
		OR EXISTS (SELECT 1 FROM passkeys k WHERE k.account = @subject) AS BOOLEAN) AS has_second
FROM (SELECT 1 AS one) AS always
LEFT JOIN guards g ON g.subject = @subject
LEFT JOIN guards d ON d.subject = @device AND d.account = @subject;

-- name: ChargeForDevice :execrows
-- No row: the device is of another epoch, or the account's totals have no room.
UPDATE guards SET
	device_passwords = device_passwords + @p,
	device_codes = device_codes + @c,
	touched_at = @now
WHERE subject = @subject AND epoch = @epoch AND disabled = false
	AND (@p = 0 OR password_wrong + password_charged + device_passwords < 100)
	AND (@c = 0 OR code_wrong + code_charged + device_codes < 10);

-- name: SettleWrongForDevice :one
-- No row: the epoch is over, which counted what was in flight.
UPDATE guards SET
	device_passwords = device_passwords - @p,
	device_codes = device_codes - @c,
	password_wrong = password_wrong + @p,
	code_wrong = code_wrong + @c,
	touched_at = @now
WHERE subject = @subject AND epoch = @epoch
	AND device_passwords >= @p AND device_codes >= @c
RETURNING epoch, password_wrong, code_wrong;

-- name: SettleRightForDevice :one
-- No row: the epoch is over, or the account is disabled. What strangers did stays:
-- their failures and their lock. See SettleRight for locked_at.
UPDATE guards SET
	device_passwords = device_passwords - @p,
	device_codes = device_codes - @c,
	password_wrong = password_wrong * (1 - @p),
	code_wrong = code_wrong * (1 - @c),
	locked_at = CASE WHEN CAST(@last AS BIGINT) = 0 THEN locked_at
		WHEN locked_at > 0 THEN -locked_at ELSE 0 END,
	touched_at = @now
WHERE subject = @subject AND epoch = @epoch AND disabled = false
	AND device_passwords >= @p AND device_codes >= @c
RETURNING epoch, locked_at, locks;

-- name: ReleaseForDevice :execrows
UPDATE guards SET
	device_passwords = device_passwords - @p,
	device_codes = device_codes - @c
WHERE subject = @subject AND epoch = @epoch
	AND device_passwords >= @p AND device_codes >= @c;

-- name: HoldDevice :one
-- No row: the device is locked, or was since.
INSERT INTO guards (subject, account, epoch, touched_at)
VALUES (@subject, @account, @epoch, @now)
ON CONFLICT (subject) DO UPDATE SET touched_at = excluded.touched_at
WHERE guards.locks = @locks AND guards.locked_until <= excluded.touched_at
	AND guards.account = excluded.account
RETURNING locks;

-- name: LapsedDevices :many
-- Devices with charges past their time, to which nobody came back.
SELECT subject, account, epoch FROM guards
WHERE account <> '' AND (password_charged > 0 OR code_charged > 0) AND charge_until <= @now
ORDER BY charge_until LIMIT @most;

-- name: UnlockDevices :execrows
UPDATE guards SET locked_until = 0, password_failed = 0, code_failed = 0
WHERE account = @account AND account <> '' AND locked_until > @now;

-- name: SweepDevices :execrows
-- A cookie that old is none any more.
DELETE FROM guards WHERE subject IN (
	SELECT d.subject FROM guards d WHERE d.account <> '' AND d.touched_at <= @before LIMIT @batch
) AND touched_at <= @before;
