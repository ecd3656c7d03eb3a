-- name: AddPractice :execrows
-- No row: there is one of that id, with a name.
INSERT INTO practices (id, name, require_second) VALUES (@id, @name, @require_second)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, require_second = excluded.require_second
WHERE practices.name = '';

-- name: RequireSecond :execrows
UPDATE practices SET require_second = @require_second
WHERE id = @id AND require_second <> @require_second;

-- name: MustChange :exec
UPDATE people SET must_change = true WHERE id = @id;

-- name: AddPerson :exec
INSERT INTO people (
	id, practice, role, username, email, email_verified, name, locale, claims,
	npi, npi_hash, password_hash, must_change, short_password, created_at, updated_at
) VALUES (
	@id, @practice, @role, @username, @email, @email_verified, @name, @locale,
	@claims, @npi, @npi_hash, @password_hash, @must_change, @short_password, @now, @now
);

-- name: AddIdentifier :exec
INSERT INTO identifiers (key, person, email) VALUES (@key, @person, @email);

-- name: PersonByIdentifier :one
SELECT p.id, p.practice, p.role, p.username, p.email, p.email_verified, p.name,
	p.locale, p.claims, p.npi, p.password_hash, p.must_change, p.disabled, p.version,
	p.short_password, p.recovered_at, COALESCE(pr.name, '') AS practice_name,
	COALESCE(pr.require_second, false) AS require_second
FROM identifiers i JOIN people p ON p.id = i.person
LEFT JOIN practices pr ON pr.id = p.practice
WHERE i.key = @key;

-- name: PersonByEmail :one
SELECT p.id, p.practice, p.role, p.username, p.email, p.email_verified, p.name,
	p.locale, p.claims, p.npi, p.password_hash, p.must_change, p.disabled, p.version,
	p.short_password, p.recovered_at, COALESCE(pr.name, '') AS practice_name,
	COALESCE(pr.require_second, false) AS require_second
FROM identifiers i JOIN people p ON p.id = i.person
LEFT JOIN practices pr ON pr.id = p.practice
WHERE i.key = @key AND i.email = true;

-- name: Person :one
SELECT p.id, p.practice, p.role, p.username, p.email, p.email_verified, p.name,
	p.locale, p.claims, p.npi, p.password_hash, p.must_change, p.disabled, p.version,
	p.short_password, p.recovered_at, COALESCE(pr.name, '') AS practice_name,
	COALESCE(pr.require_second, false) AS require_second
FROM people p
LEFT JOIN practices pr ON pr.id = p.practice
WHERE p.id = @id;

-- name: SetPassword :execrows
UPDATE people SET
	password_hash = @password_hash,
	must_change = false,
	short_password = @short_password,
	version = version + 1,
	updated_at = @now
WHERE id = @id;

-- name: Recovered :exec
UPDATE people SET recovered_at = @now WHERE id = @id;

-- name: RenewHash :exec
-- The same password under today's parameters, unless it was changed meanwhile.
UPDATE people SET password_hash = @password_hash
WHERE id = @id AND password_hash = @old;

-- name: SetPersonDisabled :execrows
UPDATE people SET disabled = @disabled, updated_at = @now WHERE id = @id;

-- name: TakeOver :execrows
-- What their practice deactivated is an operator's matter from now on.
UPDATE people SET deactivated_at = 0 WHERE id = @id AND deactivated_at > 0;
