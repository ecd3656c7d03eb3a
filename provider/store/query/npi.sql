-- name: PeopleByNPI :many
SELECT id FROM people WHERE npi_hash = @npi_hash ORDER BY id LIMIT @most;

-- name: ClearNPIs :many
-- People whose claims hold an NPI, or look as if: other claims may have such a
-- name within. The condition is that of an index, letter for letter.
SELECT id, claims FROM people
WHERE claims LIKE '%"npi":%' AND id > @after ORDER BY id LIMIT @page;

-- name: HideNPI :exec
-- Unless the claims were changed meanwhile: the next sweep finds them. What was
-- in the claims and was no NPI replaces none.
UPDATE people SET claims = @claims, npi = COALESCE(@npi, npi), npi_hash = COALESCE(@npi_hash, npi_hash)
WHERE id = @id AND claims = @old;
