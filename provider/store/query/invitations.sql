-- Whoever invites holds the practice, so nobody else of it does meanwhile; and
-- so does whoever accepts.

-- name: WhoHas :one
-- Whose address it is, or username: nobody is ever invited as somebody else.
SELECT person FROM identifiers WHERE key = @key;

-- name: InvitesSince :one
SELECT COUNT(*) FROM invitation_links l
JOIN invitations i ON i.id = l.invitation
WHERE i.practice = @practice AND l.sent_at > @since;

-- name: InvitationTo :one
-- The one of a practice to an address, however it stands.
SELECT role, ended_at, expires_at FROM invitations WHERE practice = @practice AND key = @key;

-- name: Invitation :one
-- One that is pending.
SELECT key, role, locations FROM invitations
WHERE id = @id AND practice = @practice AND ended_at = 0;

-- name: PutInvitation :one
-- No row: the address had its three mails in the last hour, and nothing
-- changed, so the newest one still works; or, sent again, it is over.
INSERT INTO invitations (
	id, practice, key, role, locations, locale, known, invited_by, token_hash,
	sent_at, expires_at
) VALUES (
	@id, @practice, @key, @role, @locations, @locale, @known, @invited_by,
	@token_hash, @now, @expires_at
)
ON CONFLICT (practice, key) DO UPDATE SET
	role = excluded.role,
	locations = excluded.locations,
	locale = excluded.locale,
	known = excluded.known,
	invited_by = excluded.invited_by,
	token_hash = excluded.token_hash,
	sent_3 = invitations.sent_2,
	sent_2 = invitations.sent_at,
	sent_at = excluded.sent_at,
	expires_at = excluded.expires_at,
	ended_at = 0
WHERE invitations.sent_3 <= @hour_ago AND (@anew = true OR invitations.ended_at = 0)
RETURNING id;

-- name: AddInvitationLink :exec
INSERT INTO invitation_links (hash, invitation, sent_at) VALUES (@hash, @invitation, @sent_at);

-- name: WithdrawInvitation :execrows
UPDATE invitations SET token_hash = NULL, ended_at = @now
WHERE id = @id AND practice = @practice AND ended_at = 0;

-- name: WithdrawInvitationsBy :many
UPDATE invitations SET token_hash = NULL, ended_at = @now
WHERE practice = @practice AND invited_by = @person AND ended_at = 0
RETURNING id;

-- name: Invitations :many
-- Those of a practice that are neither accepted nor withdrawn, the newest first.
SELECT id, key, role, locations, sent_at, expires_at FROM invitations
WHERE practice = @practice AND ended_at = 0
ORDER BY sent_at DESC, id;

-- name: InvitationLink :one
-- A link, and its invitation. live: it is the one not yet used, withdrawn or
-- superseded.
SELECT i.id, i.practice, i.key, i.role, i.known, i.expires_at, i.sent_at AS newest_at,
	l.sent_at, l.used_at, pr.name AS practice_name, pr.require_second,
	CAST(COALESCE(i.token_hash = l.hash, false) AS BOOLEAN) AS live,
	CAST(EXISTS (SELECT 1 FROM identifiers d WHERE d.key = i.key) AS BOOLEAN) AS taken
FROM invitation_links l
JOIN invitations i ON i.id = l.invitation
JOIN practices pr ON pr.id = i.practice
WHERE l.hash = @hash;

-- name: TakeInvitation :one
-- Of any number of times one has it; and of it and a newer link, or its being
-- withdrawn, one comes first.
UPDATE invitations SET token_hash = NULL, ended_at = @now
WHERE token_hash = @token_hash AND practice = @practice AND known = false AND expires_at > @now
RETURNING id, key, role, locations, invited_by, sent_at;

-- name: UseInvitationLink :exec
UPDATE invitation_links SET used_at = @now WHERE hash = @hash;

-- name: LiveInvitation :one
-- Whether a link would still lead somewhere.
SELECT COUNT(*) FROM invitations WHERE token_hash = @token_hash AND expires_at > @now;
