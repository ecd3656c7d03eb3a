-- As people.sql and team.sql add one, but of what is taken no row is added: an
-- import goes on, to tell all that is wrong, and is undone at the end.

-- name: PracticeName :one
SELECT name FROM practices WHERE id = @id;

-- name: ImportLocation :execrows
INSERT INTO locations (id, practice, name) VALUES (@id, @practice, @name)
ON CONFLICT (id) DO NOTHING;

-- name: ImportPerson :execrows
INSERT INTO people (
	id, practice, role, username, email, email_verified, name, locale, claims,
	npi, npi_hash, password_hash, must_change, short_password, created_at, updated_at
) VALUES (
	@id, @practice, @role, @username, @email, @email_verified, @name, @locale,
	@claims, @npi, @npi_hash, @password_hash, @must_change, @short_password, @now, @now
)
ON CONFLICT (id) DO NOTHING;

-- name: ImportIdentifier :execrows
INSERT INTO identifiers (key, person, email) VALUES (@key, @person, @email)
ON CONFLICT (key) DO NOTHING;
