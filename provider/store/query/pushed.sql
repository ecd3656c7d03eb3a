-- name: Push :exec
INSERT INTO pushed_requests (id, client, request, visit, expires_at)
VALUES (@id, @client, @request, '', @expires_at);

-- name: Pushed :one
SELECT p.request FROM pushed_requests p
WHERE p.id = @id AND p.client = @client AND p.visit = '' AND p.expires_at > @now;

-- name: UsePushed :execrows
-- No row: another visit was answered. The request itself may be swept by now,
-- for a sign-in may take longer than it was good.
INSERT INTO pushed_requests (id, client, request, visit, expires_at)
VALUES (@id, @client, '', @visit, @expires_at)
ON CONFLICT (id) DO UPDATE
SET request = '', visit = excluded.visit, expires_at = excluded.expires_at
WHERE pushed_requests.visit IN ('', excluded.visit);
