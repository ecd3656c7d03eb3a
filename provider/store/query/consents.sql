-- name: Consent :one
SELECT scopes FROM consents WHERE account = @account AND client = @client;

-- name: GiveConsent :exec
INSERT INTO consents (account, client, scopes, given_at) VALUES (@account, @client, @scopes, @now)
ON CONFLICT (account, client) DO UPDATE SET scopes = excluded.scopes, given_at = excluded.given_at;

-- name: Consents :many
-- A client that is no more has none.
SELECT c.client, cl.name, c.scopes, c.given_at FROM consents c
JOIN clients cl ON cl.id = c.client
WHERE c.account = @account ORDER BY cl.name, c.client;

-- name: WithdrawConsent :execrows
DELETE FROM consents WHERE account = @account AND client = @client;

-- name: RevokeGrantsFor :execrows
-- The families of one app, from whatever session.
UPDATE grants SET revoked_at = @now
WHERE account = @account AND client = @client AND revoked_at = 0 AND expires_at > @now;

-- name: DropConsents :exec
-- Whoever registers under the name later asks anew.
DELETE FROM consents WHERE client = @client;
