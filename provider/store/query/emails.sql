-- A change is live until it is made, cancelled, superseded or an hour old, and
-- while all that was proven of its account when it was asked for still holds.

-- name: AskEmail :execrows
-- No row: the account had its three changes in the last hour, and nothing
-- changed, so the newest mails still work.
INSERT INTO email_changes (
	account, email, old_hash, new_hash, cancel_hash, epoch, asked_at, expires_at
) VALUES (
	@account, @email, @old_hash, @new_hash, @cancel_hash, @epoch, @now, @expires_at
)
ON CONFLICT (account) DO UPDATE SET
	email = excluded.email,
	old_hash = excluded.old_hash,
	new_hash = excluded.new_hash,
	cancel_hash = excluded.cancel_hash,
	epoch = excluded.epoch,
	asked_3 = email_changes.asked_2,
	asked_2 = email_changes.asked_at,
	asked_at = excluded.asked_at,
	expires_at = excluded.expires_at
WHERE email_changes.asked_3 <= @hour_ago;

-- name: PendingEmail :one
SELECT c.email FROM email_changes c
JOIN guards g ON g.subject = c.account
WHERE c.account = @account AND c.cancel_hash IS NOT NULL AND c.expires_at > @now
	AND c.epoch = g.epoch AND g.disabled = false;

-- name: EmailLink :one
SELECT c.email FROM email_changes c
JOIN guards g ON g.subject = c.account
WHERE (c.old_hash = @hash OR c.new_hash = @hash OR c.cancel_hash = @hash)
	AND c.cancel_hash IS NOT NULL AND c.expires_at > @now
	AND c.epoch = g.epoch AND g.disabled = false;

-- name: ConfirmEmail :one
-- Of any number of confirmations with one link one has it; and of the two links
-- one is the last, which finds the other confirmed.
UPDATE email_changes SET
	old_hash = NULLIF(old_hash, @hash),
	new_hash = NULLIF(new_hash, @hash)
WHERE (old_hash = @hash OR new_hash = @hash)
	AND cancel_hash IS NOT NULL AND email_changes.expires_at > @now
	AND EXISTS (SELECT 1 FROM guards g WHERE g.subject = email_changes.account
		AND g.epoch = email_changes.epoch AND g.disabled = false)
RETURNING account, email,
	CAST(old_hash IS NULL AS BOOLEAN) AS old_done,
	CAST(new_hash IS NULL AS BOOLEAN) AS new_done;

-- name: CancelEmail :one
-- No row: there is no such live change.
UPDATE email_changes SET old_hash = NULL, new_hash = NULL, cancel_hash = NULL
WHERE cancel_hash = @cancel_hash AND email_changes.expires_at > @now
	AND EXISTS (SELECT 1 FROM guards g WHERE g.subject = email_changes.account
		AND g.epoch = email_changes.epoch AND g.disabled = false)
RETURNING account;

-- name: EndEmail :execrows
-- Whatever change there is of the account. Rows only if there was one.
UPDATE email_changes SET old_hash = NULL, new_hash = NULL, cancel_hash = NULL
WHERE account = @account AND cancel_hash IS NOT NULL AND expires_at > @now;

-- name: EmailTaken :one
-- Whether somebody else is named so, by address or username.
SELECT COUNT(*) FROM identifiers WHERE key = @key AND person <> @person;

-- name: TakeEmail :execrows
-- No row: it is somebody else's. A username of one's own becomes both.
INSERT INTO identifiers (key, person, email) VALUES (@key, @person, true)
ON CONFLICT (key) DO UPDATE SET email = true
WHERE identifiers.person = excluded.person;

-- name: LeaveEmail :exec
-- The old address names nobody any more.
DELETE FROM identifiers WHERE key = @key AND person = @person AND email = true;

-- name: SetEmail :execrows
UPDATE people SET
	email = @email,
	email_verified = true,
	username = @username,
	updated_at = @now
WHERE id = @id;

-- name: SetLocale :execrows
UPDATE people SET locale = @locale, updated_at = @now
WHERE id = @id AND locale <> @locale;
