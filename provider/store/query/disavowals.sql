-- name: AddDisavowal :exec
INSERT INTO disavowals (hash, account, template, expires_at)
VALUES (@hash, @account, @template, @expires_at);

-- name: Disavowable :one
SELECT COUNT(*) FROM disavowals WHERE hash = @hash AND used_at = 0 AND expires_at > @now;

-- name: Disavow :one
-- No row: there is no such link, or it is over, or it was used before.
UPDATE disavowals SET used_at = @now
WHERE hash = @hash AND used_at = 0 AND expires_at > @now
RETURNING account;
