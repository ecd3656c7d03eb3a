-- name: RedeemCode :one
-- No row: the code was used before, its session or account is over, or consent
-- was withdrawn from an app that asks for it. A
-- timed lock stops codes too, though not the refresh of what was given out: the
-- account's lock, or where a known device signed in that device's own.
-- s.id only tells PostgreSQL that the hashes are bytea: a CAST would, but makes
-- SQLite turn them into numbers.
INSERT INTO grants (
	id, client, account, practice, epoch, session, code_hash, access_hash,
	refresh_hash, scopes, auth_time, methods, acr, requested, created_at,
	access_until, refresh_until, expires_at, root
)
SELECT
	@id, CAST(@client AS TEXT), s.account, s.practice, s.epoch, s.id,
	COALESCE(@code_hash, s.id) AS code_hash,
	COALESCE(@access_hash, s.id) AS access_hash,
	NULLIF(COALESCE(sqlc.narg(refresh_hash), s.id), s.id) AS refresh_hash,
	CAST(@scopes AS TEXT),
	CAST(@auth_time AS BIGINT), CAST(@methods AS TEXT), CAST(@acr AS TEXT),
	CAST(@requested AS TEXT), CAST(@created_at AS BIGINT),
	CAST(@access_until AS BIGINT), CAST(@refresh_until AS BIGINT),
	CAST(@expires_at AS BIGINT), COALESCE(s.root, s.id)
FROM sessions s
JOIN guards g ON g.subject = s.account
WHERE s.id = @session AND s.account = @account AND s.expires_at > @now
	AND s.epoch = @epoch AND g.epoch = s.epoch
	AND g.disabled = false
	AND CASE WHEN s.known_device = '' THEN g.locked_until
		ELSE COALESCE((SELECT d.locked_until FROM guards d WHERE d.subject = s.known_device), 0) END <= @now
	AND (CAST(@asks AS BOOLEAN) = false OR EXISTS (SELECT 1 FROM consents c
		WHERE c.account = s.account AND c.client = @consented))
ON CONFLICT DO NOTHING
RETURNING root;

-- name: AddClientGrant :exec
-- A token that a client has for itself: no account, session or code. Its own
-- hash stands for the code's, which must be unique.
INSERT INTO grants (
	id, client, account, epoch, session, code_hash, access_hash, scopes,
	auth_time, methods, acr, requested, created_at, access_until,
	refresh_until, expires_at
) VALUES (
	@id, @client, '', 0, @session, @access_hash, @access_hash, @scopes,
	0, '', '', @requested, @created_at, @access_until, 0, @access_until
);

-- name: GrantOfCode :one
SELECT id FROM grants WHERE code_hash = @code_hash;

-- name: GrantByAccess :one
-- A live access token and, in the same breath, whose it is; the person's
-- columns are empty for an account of another directory, and for a client's
-- own token, which has no account.
SELECT
	gr.id, gr.client, gr.account, gr.practice, gr.epoch, gr.session, gr.scopes,
	gr.auth_time, gr.methods, gr.acr, gr.requested, gr.created_at,
	gr.access_until, gr.refresh_until, gr.expires_at,
	COALESCE(gr.root, gr.session) AS root,
	CAST(COALESCE(p.id, '') AS TEXT) AS person,
	COALESCE(p.practice, '') AS person_practice,
	COALESCE(pr.name, '') AS practice_name,
	COALESCE(p.role, '') AS role,
	COALESCE(p.username, '') AS username,
	COALESCE(p.email, '') AS email,
	COALESCE(p.email_verified, false) AS email_verified,
	COALESCE(p.name, '') AS name,
	COALESCE(p.locale, '') AS locale,
	COALESCE(p.claims, '{}') AS claims,
	p.npi,
	COALESCE(p.disabled, false) AS disabled,
	COALESCE(p.must_change, false) AS must_change,
	COALESCE(p.version, 0) AS version,
	COALESCE(p.recovered_at, 0) AS recovered_at
FROM grants gr
LEFT JOIN guards g ON g.subject = gr.account
LEFT JOIN people p ON p.id = gr.account
LEFT JOIN practices pr ON pr.id = p.practice
WHERE gr.access_hash = @access_hash AND gr.access_until > @now
	AND gr.revoked_at = 0
	AND (gr.account = '' OR gr.epoch = g.epoch AND g.disabled = false);

-- name: LiveGrant :one
-- GrantByAccess for who only wants to know whether the token is live: of the
-- person no more than that there is one, who is not disabled.
SELECT
	gr.id, gr.client, gr.account, gr.practice, gr.epoch, gr.session, gr.scopes,
	gr.auth_time, gr.methods, gr.acr, gr.requested, gr.created_at,
	gr.access_until, gr.refresh_until, gr.expires_at,
	COALESCE(gr.root, gr.session) AS root,
	CAST(p.id IS NOT NULL AS BOOLEAN) AS known,
	COALESCE(p.disabled, false) AS disabled
FROM grants gr
LEFT JOIN guards g ON g.subject = gr.account
LEFT JOIN people p ON p.id = gr.account
WHERE gr.access_hash = @access_hash AND gr.access_until > @now
	AND gr.revoked_at = 0
	AND (gr.account = '' OR gr.epoch = g.epoch AND g.disabled = false);

-- name: Grant :one
-- live: neither revoked nor over, and what was proven for it still holds.
SELECT
	gr.id, gr.client, gr.account, gr.practice, gr.epoch, gr.session, gr.scopes,
	gr.auth_time, gr.methods, gr.acr, gr.requested, gr.created_at,
	gr.access_until, gr.refresh_until, gr.expires_at, gr.refresh_hash,
	COALESCE(gr.root, gr.session) AS root,
	CAST(gr.revoked_at = 0 AND gr.expires_at > @now AND (gr.account = ''
		OR COALESCE(gr.epoch = g.epoch AND g.disabled = false, false)) AS BOOLEAN) AS live
FROM grants gr
LEFT JOIN guards g ON g.subject = gr.account
WHERE gr.id = @id;

-- name: RotateGrant :execrows
-- No row: another refresh token is the current one, or the family is dead.
UPDATE grants SET
	access_hash = @access_hash,
	refresh_hash = @refresh_hash,
	access_until = @access_until,
	refresh_until = @refresh_until
WHERE id = @id AND refresh_hash = @old AND revoked_at = 0
	AND refresh_until > @now AND expires_at > @now
	AND EXISTS (SELECT 1 FROM guards g WHERE g.subject = grants.account
		AND g.epoch = grants.epoch AND g.disabled = false);

-- name: RevokeGrant :one
-- No row: there is no such family, or it was revoked before.
UPDATE grants SET revoked_at = @now
WHERE id = @id AND revoked_at = 0
RETURNING account, practice, client;

-- name: MoveGrants :exec
-- A session that was raised has another id; what came from it is still its own,
-- and goes by the name that apps know.
UPDATE grants SET session = @to_session, root = COALESCE(root, session)
WHERE account = @account AND session = @from_session;

-- name: SessionsEntered :many
-- The sessions in which an account entered apps, live or over, for as long as
-- the families of their tokens are remembered.
SELECT DISTINCT session, COALESCE(root, session) AS root, practice FROM grants
WHERE account = @account;

-- name: AppsOf :many
-- The apps that somebody is signed in to from a session. An app whose tokens are
-- revoked counts until the session ends: its own goes on without them.
SELECT DISTINCT gr.client FROM grants gr
WHERE gr.account = @account AND gr.session = @session
	AND (gr.revoked_at = 0 OR EXISTS (SELECT 1 FROM sessions s
		WHERE s.id = gr.session AND s.expires_at > @now))
ORDER BY gr.client;

-- name: AppsLeft :many
-- The apps that somebody was signed in to from a session that ends, or with
-- tokens that do, at this very moment. Tokens that are over by themselves count:
-- an app's own session lives on without them.
SELECT DISTINCT gr.client, COALESCE(gr.root, gr.session) AS root, c.document
FROM grants gr
JOIN clients c ON c.id = gr.client
LEFT JOIN sessions s ON s.id = gr.session
WHERE gr.account = @account AND (s.expires_at = @now OR gr.revoked_at = @now)
ORDER BY gr.client;

-- name: RevokeGrantsOf :execrows
-- The families that came from one session.
UPDATE grants SET revoked_at = @now
WHERE account = @account AND session = @session AND revoked_at = 0 AND expires_at > @now;
