-- name: AskReset :execrows
-- No row: the subject had its three mails in the last hour, and nothing
-- changed, so the newest mail still works.
INSERT INTO resets (
	subject, shadow, token_hash, cancel_hash, initiator, sent_at, expires_at
) VALUES (
	@subject, @shadow, @token_hash, @cancel_hash, @initiator, @now, @expires_at
)
ON CONFLICT (subject) DO UPDATE SET
	token_hash = excluded.token_hash,
	cancel_hash = excluded.cancel_hash,
	initiator = excluded.initiator,
	sent_3 = resets.sent_2,
	sent_2 = resets.sent_at,
	sent_at = excluded.sent_at,
	expires_at = excluded.expires_at
WHERE resets.sent_3 <= @hour_ago;

-- name: AddResetLink :exec
INSERT INTO reset_links (hash, subject, sent_at) VALUES (@hash, @subject, @sent_at);

-- name: ResetLink :one
-- A link, and the newest of its subject. live: it is the one not yet used,
-- cancelled or superseded.
SELECT l.subject, l.sent_at, l.used_at, r.initiator, r.sent_at AS newest_at,
	r.expires_at, CAST(COALESCE(r.token_hash = l.hash, false) AS BOOLEAN) AS live
FROM reset_links l
JOIN resets r ON r.subject = l.subject
WHERE l.hash = @hash;

-- name: TakeReset :one
-- The row's lock orders it against AskReset: of the two, one is first. A link
-- asked for while the account was being disabled is worth nothing either.
UPDATE resets SET token_hash = NULL, cancel_hash = NULL
WHERE resets.subject = @subject AND token_hash = @token_hash AND expires_at > @now
	AND NOT EXISTS (SELECT 1 FROM guards g WHERE g.subject = resets.subject AND g.disabled = true)
RETURNING sent_at, initiator;

-- name: UseResetLink :exec
UPDATE reset_links SET used_at = @now WHERE hash = @hash;

-- name: CancelReset :one
UPDATE resets SET token_hash = NULL, cancel_hash = NULL
WHERE cancel_hash = @cancel_hash AND expires_at > @now
RETURNING subject;

-- name: EndReset :exec
-- Whatever link there is: its account has another password, or none of its
-- proofs hold any more.
UPDATE resets SET token_hash = NULL, cancel_hash = NULL
WHERE subject = @subject AND token_hash IS NOT NULL;

-- name: RestartResets :exec
-- As EndReset; and the next one need not wait for the hour to be over.
UPDATE resets SET token_hash = NULL, cancel_hash = NULL, sent_2 = 0, sent_3 = 0
WHERE subject = @subject;
