-- name: AddMail :exec
INSERT INTO mails (id, template, subject, locale, data, state, created_at)
VALUES (@id, @template, @subject, @locale, @data, 'queued', @now);

-- name: TryMail :one
-- No row: it was sent, dropped or given up before.
UPDATE mails SET attempts = attempts + 1
WHERE id = @id AND state = 'queued'
RETURNING template, subject, locale, data, attempts, created_at;

-- name: NewerReset :one
-- Whether a link of the subject was asked for after this time.
SELECT COUNT(*) FROM resets WHERE subject = @subject AND sent_at > @than;

-- name: EndMail :execrows
UPDATE mails SET state = @state, recipient = NULL, data = NULL, done_at = @now
WHERE id = @id AND state = 'queued';

-- name: KillMail :execrows
-- The data stays, still sealed, for RetryMails; but no link that is over.
UPDATE mails SET
	state = 'dead',
	data = CASE WHEN template IN ('reset', 'email_confirm_old', 'email_confirm_new') THEN NULL ELSE data END,
	done_at = @now
WHERE id = @id AND state = 'queued';

-- name: RetryMails :many
UPDATE mails SET state = 'queued', attempts = 0, created_at = @now, done_at = 0
WHERE state = 'dead' AND data IS NOT NULL
RETURNING id;

-- name: MailStats :one
SELECT
	CAST(COALESCE(SUM(CASE WHEN state = 'queued' THEN 1 ELSE 0 END), 0) AS BIGINT) AS queued,
	CAST(COALESCE(SUM(CASE WHEN state = 'dead' THEN 1 ELSE 0 END), 0) AS BIGINT) AS dead,
	CAST(COALESCE(MIN(CASE WHEN state = 'queued' THEN created_at END), 0) AS BIGINT) AS oldest
FROM mails WHERE state IN ('queued', 'dead');
