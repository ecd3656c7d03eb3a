-- Each deletes one small batch, so that no lock is held for long.

-- name: SweepFlows :execrows
DELETE FROM flows WHERE id IN (
	SELECT f.id FROM flows f WHERE f.expires_at <= @before LIMIT @batch
);

-- name: SweepSessions :execrows
DELETE FROM sessions WHERE id IN (
	SELECT s.id FROM sessions s WHERE s.expires_at <= @before LIMIT @batch
);

-- name: SweepGrants :execrows
DELETE FROM grants WHERE id IN (
	SELECT g.id FROM grants g WHERE g.expires_at <= @before LIMIT @batch
);

-- name: SweepResets :execrows
DELETE FROM resets WHERE subject IN (
	SELECT r.subject FROM resets r WHERE r.sent_at <= @before LIMIT @batch
) AND sent_at <= @before;

-- name: SweepResetLinks :execrows
DELETE FROM reset_links WHERE hash IN (
	SELECT l.hash FROM reset_links l WHERE l.sent_at <= @before LIMIT @batch
);

-- name: SweepEmailChanges :execrows
DELETE FROM email_changes WHERE account IN (
	SELECT e.account FROM email_changes e WHERE e.expires_at <= @before LIMIT @batch
) AND expires_at <= @before;

-- name: SweepDisavowals :execrows
DELETE FROM disavowals WHERE hash IN (
	SELECT d.hash FROM disavowals d WHERE d.expires_at <= @before LIMIT @batch
);

-- name: SweepInvitations :execrows
-- With all their links.
DELETE FROM invitations WHERE id IN (
	SELECT i.id FROM invitations i WHERE i.expires_at <= @before LIMIT @batch
) AND expires_at <= @before;

-- name: SweepPushed :execrows
DELETE FROM pushed_requests WHERE id IN (
	SELECT p.id FROM pushed_requests p WHERE p.expires_at <= @before LIMIT @batch
) AND expires_at <= @before;

-- name: SweepSources :execrows
DELETE FROM sources WHERE source IN (
	SELECT s.source FROM sources s
	WHERE s.hour_start <= @before AND s.window_start <= @before LIMIT @batch
) AND hour_start <= @before AND window_start <= @before;

-- name: SweepMails :execrows
DELETE FROM mails WHERE id IN (
	SELECT m.id FROM mails m WHERE m.state = @state AND m.created_at <= @before LIMIT @batch
);

-- name: SweepSigningKeys :execrows
DELETE FROM signing_keys WHERE removed_at > 0 AND removed_at <= @before;
