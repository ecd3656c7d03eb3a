-- name: SigningKeys :many
SELECT id, algorithm, private, created_at, signs_at, retires_at, removed_at
FROM signing_keys ORDER BY created_at, id;

-- name: AddSigningKey :exec
INSERT INTO signing_keys (
	id, algorithm, private, created_at, signs_at, retires_at, removed_at
) VALUES (
	@id, @algorithm, @private, @created_at, @signs_at, 0, 0
);

-- name: RetireSigningKey :exec
UPDATE signing_keys SET retires_at = @retires_at, removed_at = @removed_at
WHERE id = @id;
