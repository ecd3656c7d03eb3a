-- Every statement moves one of two counters, password or code. The unit
-- vector (p, c) is (1, 0) or (0, 1), so that both share the text.

-- name: ReadGuard :one
-- Always one row: zeros for a subject and a source never seen.
SELECT
	COALESCE(g.epoch, 0) AS epoch,
	COALESCE(g.generation, 0) AS generation,
	COALESCE(g.charge_until, 0) AS charge_until,
	COALESCE(g.locked_until, 0) AS locked_until,
	COALESCE(g.locked_at, 0) AS locked_at,
	COALESCE(g.password_failed, 0) AS password_failed,
	COALESCE(g.password_charged, 0) AS password_charged,
	COALESCE(g.password_wrong, 0) AS password_wrong,
	COALESCE(g.code_failed, 0) AS code_failed,
	COALESCE(g.code_charged, 0) AS code_charged,
	COALESCE(g.code_wrong, 0) AS code_wrong,
	COALESCE(g.disabled, false) AS disabled,
	CAST(EXISTS (SELECT 1 FROM authenticators a WHERE a.account = @subject)
		OR EXISTS (SELECT 1 FROM passkeys k WHERE k.account = @subject) AS BOOLEAN) AS has_second,
	COALESCE(s.window_start, 0) AS window_start,
	COALESCE(s.failures, 0) AS failures,
	COALESCE(s.hour_start, 0) AS hour_start,
	COALESCE(s.locks, 0) AS locks
FROM (SELECT 1 AS one) AS always
LEFT JOIN guards g ON g.subject = @subject
LEFT JOIN sources s ON s.source = @source;

-- name: ChargeGuard :one
-- No row: locked, or no room for another attempt in flight. A lock that is
-- over is none, and its counter starts anew. Totals of wrong ones are capped
-- here too, so that parallel attempts cannot overshoot them. Of a device's own
-- row account and epoch say whose it is; see devices.sql for what goes before.
INSERT INTO guards (
	subject, shadow, account, epoch, charge_until, password_charged, code_charged, touched_at
) VALUES (
	@subject, @shadow, @account, @epoch, @charge_until, @p, @c, @now
)
ON CONFLICT (subject) DO UPDATE SET
	charge_until = excluded.charge_until,
	password_charged = guards.password_charged + excluded.password_charged,
	code_charged = guards.code_charged + excluded.code_charged,
	password_failed = CASE WHEN guards.locked_until > 0 AND guards.password_failed >= 5
		THEN 0 ELSE guards.password_failed END,
	code_failed = CASE WHEN guards.locked_until > 0 AND guards.code_failed >= 5
		THEN 0 ELSE guards.code_failed END,
	locked_until = 0,
	touched_at = excluded.touched_at
WHERE guards.locked_until <= excluded.touched_at AND guards.account = excluded.account
	AND guards.password_charged + excluded.password_charged
		+ CASE WHEN guards.locked_until > 0 AND guards.password_failed >= 5
			THEN 0 ELSE guards.password_failed END <= 5
	AND guards.code_charged + excluded.code_charged
		+ CASE WHEN guards.locked_until > 0 AND guards.code_failed >= 5
			THEN 0 ELSE guards.code_failed END <= 5
	AND (excluded.password_charged = 0
		OR guards.password_wrong + guards.password_charged + guards.device_passwords < 100)
	AND (excluded.code_charged = 0
		OR guards.code_wrong + guards.code_charged + guards.device_codes < 10)
RETURNING generation;

-- name: SettleWrong :one
-- No row: the generation is over. Only the one that makes the fifth locks,
-- and a lock that stands is never extended. A device's own row has no totals:
-- those are the account's.
UPDATE guards SET
	password_charged = password_charged - @p,
	code_charged = code_charged - @c,
	password_failed = password_failed + @p,
	code_failed = code_failed + @c,
	password_wrong = CASE WHEN account = '' THEN password_wrong + @p ELSE 0 END,
	code_wrong = CASE WHEN account = '' THEN code_wrong + @c ELSE 0 END,
	locked_until = CASE WHEN locked_until <= @now
		AND (@p = 1 AND password_failed >= 4 OR @c = 1 AND code_failed >= 4)
		THEN CAST(@lock_until AS BIGINT) ELSE locked_until END,
	locked_at = CASE WHEN locked_until <= @now
		AND (@p = 1 AND password_failed >= 4 OR @c = 1 AND code_failed >= 4)
		THEN @now ELSE locked_at END,
	locks = CASE WHEN locked_until <= @now
		AND (@p = 1 AND password_failed >= 4 OR @c = 1 AND code_failed >= 4)
		THEN locks + 1 ELSE locks END,
	touched_at = @now
WHERE subject = @subject AND generation = @generation
	AND password_charged >= @p AND code_charged >= @c
RETURNING epoch, generation, charge_until, locked_until, locked_at,
	password_failed, password_charged, password_wrong,
	code_failed, code_charged, code_wrong;

-- name: SettleRight :one
-- No row: the generation is over, or the subject is locked or disabled. It
-- clears the counter of its own kind only. locked_at turns negative with the
-- sign-in that follows the lock (last = 1), and 0 with the next: that is how
-- one statement both reads and ends it.
UPDATE guards SET
	password_charged = password_charged - @p,
	code_charged = code_charged - @c,
	password_failed = password_failed * (1 - @p),
	code_failed = code_failed * (1 - @c),
	password_wrong = password_wrong * (1 - @p),
	code_wrong = code_wrong * (1 - @c),
	locked_at = CASE WHEN CAST(@last AS BIGINT) = 0 THEN locked_at
		WHEN locked_at > 0 THEN -locked_at ELSE 0 END,
	touched_at = @now
WHERE subject = @subject AND generation = @generation
	AND password_charged >= @p AND code_charged >= @c
	AND locked_until <= @now AND disabled = false
RETURNING epoch, locked_at, locks;

-- name: HoldGuard :one
-- Locks the row for a transaction in which nothing was judged, if what was
-- proven before still holds. See SettleRight for locked_at. What a known device
-- proved is not ended by the account's locks: HoldDevice looks at its own.
UPDATE guards SET
	locked_at = CASE WHEN CAST(@last AS BIGINT) = 0 THEN locked_at
		WHEN locked_at > 0 THEN -locked_at ELSE 0 END,
	touched_at = @now
WHERE subject = @subject AND epoch = @epoch AND disabled = false
	AND (CAST(@by_device AS BOOLEAN) = true OR locks = @locks AND locked_until <= @now)
RETURNING epoch, locked_at, locks;

-- name: LockGuard :exec
-- Takes the row before others, in the order in which all take them.
UPDATE guards SET touched_at = @now WHERE subject = @subject;

-- name: RaiseEpoch :one
-- Everything proven before is void; attempts in flight count as failures, but
-- lock nobody. Devices' own rows are of an epoch, and so void with it.
UPDATE guards SET
	epoch = epoch + 1,
	generation = generation + 1,
	password_failed = CASE WHEN password_failed + password_charged > 4
		THEN 4 ELSE password_failed + password_charged END,
	password_wrong = password_wrong + password_charged + device_passwords,
	password_charged = 0,
	device_passwords = 0,
	code_failed = CASE WHEN code_failed + code_charged > 4
		THEN 4 ELSE code_failed + code_charged END,
	code_wrong = code_wrong + code_charged + device_codes,
	code_charged = 0,
	device_codes = 0
WHERE subject = @subject
RETURNING epoch;

-- name: LapseGuard :one
-- Turns charges past their time into failures. It compares what it was told
-- was there, so that it happens once.
UPDATE guards SET
	password_failed = password_failed + password_charged,
	code_failed = code_failed + code_charged,
	password_wrong = CASE WHEN account = '' THEN password_wrong + password_charged ELSE 0 END,
	code_wrong = CASE WHEN account = '' THEN code_wrong + code_charged ELSE 0 END,
	password_charged = 0,
	code_charged = 0,
	generation = generation + 1,
	locked_until = CASE WHEN locked_until <= @now
		AND (password_charged > 0 AND password_failed + password_charged >= 5
			OR code_charged > 0 AND code_failed + code_charged >= 5)
		THEN CAST(@lock_until AS BIGINT) ELSE locked_until END,
	locked_at = CASE WHEN locked_until <= @now
		AND (password_charged > 0 AND password_failed + password_charged >= 5
			OR code_charged > 0 AND code_failed + code_charged >= 5)
		THEN @now ELSE locked_at END,
	locks = CASE WHEN locked_until <= @now
		AND (password_charged > 0 AND password_failed + password_charged >= 5
			OR code_charged > 0 AND code_failed + code_charged >= 5)
		THEN locks + 1 ELSE locks END
WHERE subject = @subject AND generation = @generation AND charge_until <= @now
	AND password_charged = @password_charged AND code_charged = @code_charged
RETURNING locked_at;

-- name: ReleaseGuard :execrows
UPDATE guards SET
	password_charged = password_charged - @p,
	code_charged = code_charged - @c
WHERE subject = @subject AND generation = @generation
	AND password_charged >= @p AND code_charged >= @c;

-- name: ClearExpired :one
-- No row: there is no lock, or it is not over.
UPDATE guards SET
	locked_until = 0,
	password_failed = CASE WHEN password_failed >= 5 THEN 0 ELSE password_failed END,
	code_failed = CASE WHEN code_failed >= 5 THEN 0 ELSE code_failed END
WHERE subject = @subject AND locked_until > 0 AND locked_until <= @now
RETURNING account;

-- name: ExpiredLocks :many
SELECT subject FROM guards
WHERE locked_until > 0 AND locked_until <= @now
ORDER BY locked_until LIMIT @most;

-- name: ClearLock :execrows
UPDATE guards SET locked_until = 0, password_failed = 0, code_failed = 0
WHERE subject = @subject AND locked_until > @now;

-- name: ResetGuard :one
-- A finished reset: everything is cleared and void but the total of wrong
-- codes, for a mailbox says nothing about the second factor.
INSERT INTO guards (subject, epoch, generation, touched_at)
VALUES (@subject, 1, 1, @now)
ON CONFLICT (subject) DO UPDATE SET
	epoch = guards.epoch + 1,
	generation = guards.generation + 1,
	charge_until = 0,
	locked_until = 0,
	password_failed = 0,
	password_charged = 0,
	password_wrong = 0,
	code_failed = 0,
	code_charged = 0,
	device_passwords = 0,
	device_codes = 0,
	touched_at = excluded.touched_at
RETURNING epoch;

-- name: EnsureGuard :exec
-- Of somebody who may never have tried to sign in.
INSERT INTO guards (subject, touched_at) VALUES (@subject, @now) ON CONFLICT (subject) DO NOTHING;

-- name: DisablePassword :exec
-- Until a reset, as after the hundredth wrong one.
UPDATE guards SET password_wrong = 100 WHERE subject = @subject;

-- name: ClearCodes :execrows
-- The second factor starts anew, and so does what was proven with the old one.
-- A lock that wrong codes made is over with it.
UPDATE guards SET
	epoch = epoch + 1,
	generation = generation + 1,
	password_failed = CASE WHEN password_failed + password_charged > 4
		THEN 4 ELSE password_failed + password_charged END,
	password_wrong = password_wrong + password_charged + device_passwords,
	password_charged = 0,
	device_passwords = 0,
	device_codes = 0,
	locked_until = CASE WHEN code_failed >= 5 THEN 0 ELSE locked_until END,
	code_failed = 0,
	code_charged = 0,
	code_wrong = 0
WHERE subject = @subject;

-- name: SetGuardDisabled :execrows
-- Rows only if it was otherwise. In-flight attempts are void, as is what was
-- proven.
INSERT INTO guards (subject, epoch, generation, disabled, touched_at)
VALUES (@subject, 1, 1, @disabled, @now)
ON CONFLICT (subject) DO UPDATE SET
	epoch = guards.epoch + 1,
	generation = guards.generation + 1,
	password_charged = 0,
	code_charged = 0,
	device_passwords = 0,
	device_codes = 0,
	disabled = excluded.disabled,
	touched_at = excluded.touched_at
WHERE guards.disabled <> excluded.disabled;

-- name: LockedNow :one
-- Accounts, and neither identifiers that nobody has nor single devices.
SELECT COUNT(*) FROM guards WHERE locked_until > @now AND shadow = false AND account = '';

-- name: DropShadows :execrows
-- Of the identifiers that nobody has, the oldest beyond the cap go.
DELETE FROM guards WHERE shadow = true AND subject IN (
	SELECT g.subject FROM guards g WHERE g.shadow = true
	ORDER BY g.touched_at DESC LIMIT @batch OFFSET @keep
);
