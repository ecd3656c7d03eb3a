-- Every statement is scoped by practice in its WHERE.

-- name: HoldPractice :exec
-- Its row's lock orders all changes of a team: what an Owner may do is read
-- under it, so two of them cannot deprive one another at once. A practice of
-- which people were added and never its name gets its row here.
INSERT INTO practices (id, name) VALUES (@id, '')
ON CONFLICT (id) DO UPDATE SET name = practices.name;

-- name: Acting :one
-- Who acts on whom. No row: the one does not (any more) belong to the practice,
-- or cannot sign in; or the other does not, or is the same person.
SELECT a.role AS actor_role, p.role, p.disabled, p.deactivated_at, p.email_verified,
	COALESCE(g.disabled, false) AS stopped
FROM people a
JOIN people p ON p.practice = a.practice AND p.id <> a.id
LEFT JOIN guards ga ON ga.subject = a.id
LEFT JOIN guards g ON g.subject = p.id
WHERE a.id = @actor AND p.id = @person AND a.practice = @practice AND a.practice <> ''
	AND a.disabled = false AND COALESCE(ga.disabled, false) = false;

-- name: ActingRole :one
-- Of somebody who acts on the practice itself. No row: see Acting.
SELECT a.role FROM people a
LEFT JOIN guards g ON g.subject = a.id
WHERE a.id = @actor AND a.practice = @practice AND a.practice <> ''
	AND a.disabled = false AND COALESCE(g.disabled, false) = false;

-- name: TeamOf :many
SELECT p.id, p.role, p.username, p.email, p.name, p.disabled, p.deactivated_at, p.created_at,
	CAST(p.password_hash = '' AS BOOLEAN) AS no_password,
	COALESCE(g.locked_until, 0) AS locked_until,
	COALESCE(g.password_wrong, 0) AS password_wrong,
	COALESCE(g.code_wrong, 0) AS code_wrong,
	CAST(EXISTS (SELECT 1 FROM authenticators a WHERE a.account = p.id)
		OR EXISTS (SELECT 1 FROM passkeys k WHERE k.account = p.id) AS BOOLEAN) AS has_second,
	CAST(COALESCE((SELECT u.at FROM audit u WHERE u.subject = p.id AND u.kind = 'signed_in'
		ORDER BY u.at DESC LIMIT 1), 0) AS BIGINT) AS signed_in_at
FROM people p
LEFT JOIN guards g ON g.subject = p.id
WHERE p.practice = @practice AND p.practice <> '';

-- name: MemberOf :one
SELECT p.id, p.role, p.username, p.email, p.name, p.disabled, p.deactivated_at, p.created_at,
	CAST(p.password_hash = '' AS BOOLEAN) AS no_password,
	COALESCE(g.locked_until, 0) AS locked_until,
	COALESCE(g.password_wrong, 0) AS password_wrong,
	COALESCE(g.code_wrong, 0) AS code_wrong,
	CAST(EXISTS (SELECT 1 FROM authenticators a WHERE a.account = p.id)
		OR EXISTS (SELECT 1 FROM passkeys k WHERE k.account = p.id) AS BOOLEAN) AS has_second,
	CAST(COALESCE((SELECT u.at FROM audit u WHERE u.subject = p.id AND u.kind = 'signed_in'
		ORDER BY u.at DESC LIMIT 1), 0) AS BIGINT) AS signed_in_at
FROM people p
LEFT JOIN guards g ON g.subject = p.id
WHERE p.id = @id AND p.practice = @practice AND p.practice <> '';

-- name: SetRole :execrows
UPDATE people SET role = @role, updated_at = @now
WHERE id = @id AND practice = @practice AND role <> @role;

-- name: SetDeactivated :exec
UPDATE people SET deactivated_at = @deactivated_at WHERE id = @id AND practice = @practice;

-- name: LocationsOf :many
SELECT id, name FROM locations WHERE practice = @practice;

-- name: WhereTheyWork :many
SELECT pl.person, pl.location FROM people_locations pl
JOIN locations l ON l.id = pl.location
WHERE l.practice = @practice;

-- name: WhereOneWorks :many
SELECT pl.location FROM people_locations pl
JOIN locations l ON l.id = pl.location
WHERE pl.person = @person AND l.practice = @practice;

-- name: LeaveLocations :execrows
DELETE FROM people_locations WHERE person = @person;

-- name: JoinLocation :execrows
-- No row: the practice has no such location.
INSERT INTO people_locations (person, location)
SELECT p.id, l.id FROM people p JOIN locations l ON l.practice = p.practice
WHERE p.id = @person AND p.practice = @practice AND l.id = @location;

-- name: AddLocation :exec
INSERT INTO locations (id, practice, name) VALUES (@id, @practice, @name);

-- name: RenameLocation :execrows
UPDATE locations SET name = @name WHERE id = @id AND practice = @practice;

-- name: RemoveLocation :execrows
DELETE FROM locations WHERE id = @id AND practice = @practice;

-- name: ClaimsOf :one
SELECT claims FROM people WHERE id = @id AND practice = @practice;

-- name: SetClaims :exec
UPDATE people SET claims = @claims, updated_at = @now WHERE id = @id AND practice = @practice;

-- name: WhoWorksAt :many
SELECT pl.person FROM people_locations pl
JOIN locations l ON l.id = pl.location
WHERE l.id = @location AND l.practice = @practice;
