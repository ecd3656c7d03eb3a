-- name: Client :one
SELECT id, name, secret_hash, document, from_config FROM clients WHERE id = @id;

-- name: Clients :many
SELECT id, name, secret_hash, document, from_config FROM clients ORDER BY id;

-- name: PutClient :one
-- No row: it is like that already.
INSERT INTO clients (
	id, name, secret_hash, document, from_config, created_at, updated_at
) VALUES (
	@id, @name, @secret_hash, @document, @from_config, @now, @now
)
ON CONFLICT (id) DO UPDATE SET
	name = excluded.name,
	secret_hash = excluded.secret_hash,
	document = excluded.document,
	from_config = excluded.from_config,
	updated_at = excluded.updated_at
WHERE clients.name <> excluded.name OR clients.document <> excluded.document
	OR clients.from_config <> excluded.from_config
	OR clients.secret_hash IS DISTINCT FROM excluded.secret_hash
RETURNING created_at;

-- name: RemoveClient :execrows
DELETE FROM clients WHERE id = @id;
