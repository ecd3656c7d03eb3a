-- name: Secret :one
SELECT sealed FROM secrets WHERE name = @name;

-- name: AddSecret :exec
INSERT INTO secrets (name, sealed) VALUES (@name, @sealed)
ON CONFLICT (name) DO NOTHING;

-- name: HoldSecret :execrows
-- Locks the row until the end of the transaction, so that of two that change
-- what it stands for one is first.
UPDATE secrets SET name = name WHERE name = @name;
