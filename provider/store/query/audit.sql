-- name: AddAudit :exec
-- The practice of an account is filled in where the event does not know it.
INSERT INTO audit (
	id, at, kind, actor, subject, practice, step, factor, reason, initiator, source
) VALUES (
	$1, $2, $3, $4, $5,
	COALESCE(NULLIF(CAST(@practice AS TEXT), ''), (SELECT p.practice FROM people p WHERE p.id = $5), ''),
	@step, @factor, @reason, @initiator, @source
);
