-- name: UseAssertion :execrows
-- No row: it was used before. A name is free again when what bore it is over.
INSERT INTO assertions (client, jti_hash, expires_at)
VALUES (@client, @jti_hash, @expires_at)
ON CONFLICT (jti_hash, client) DO UPDATE SET expires_at = excluded.expires_at
WHERE assertions.expires_at <= @now;

-- name: SweepAssertions :execrows
DELETE FROM assertions WHERE jti_hash IN (
	SELECT a.jti_hash FROM assertions a WHERE a.expires_at <= @before LIMIT @batch
) AND expires_at <= @before;
