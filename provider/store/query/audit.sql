-- name: AddAudit :exec
-- The practice of an account is filled in where the event does not know it.
INSERT INTO audit (
	id, at, kind, actor, subject, practice, step, factor, reason, initiator, source
) VALUES (
	$1, $2, $3, $4, $5,
	COALESCE(NULLIF(CAST(@practice AS TEXT), ''), (SELECT p.practice FROM people p WHERE p.id = $5), ''),
	@step, @factor, @reason, @initiator, @source
);

-- name: ExportAudit :many
-- A page of the trail, in the order of its ids, which is that of time. '' is
-- any practice, and anybody: as subject or as the one who acted.
SELECT a.id, a.at, a.kind, a.actor, a.subject, a.practice, a.step, a.factor, a.reason,
	a.initiator, a.source, COALESCE(c.seq, 0) AS seq
FROM audit a
LEFT JOIN audit_chain c ON c.row_id = a.id
WHERE a.id > @after AND a.at >= @since AND a.at < @until
	AND (CAST(@practice AS TEXT) = '' OR a.practice = @practice)
	AND (CAST(@person AS TEXT) = '' OR a.subject = @person OR a.actor = @person)
ORDER BY a.id LIMIT @most;
