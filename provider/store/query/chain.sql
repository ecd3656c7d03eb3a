-- name: LastLink :one
SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1;

-- name: NewestLinked :one
SELECT CAST(COALESCE(MAX(row_id), '') AS TEXT) FROM audit_chain WHERE row_id < @high;

-- name: LinksDue :one
-- What is asked each second; both answers come from the ends of indexes.
SELECT
	CAST(COALESCE((SELECT MAX(c.row_id) FROM audit_chain c WHERE c.row_id < @high), '') AS TEXT) AS newest,
	EXISTS (
		SELECT 1 FROM audit a
		WHERE a.id > @low AND a.id < @high AND LENGTH(a.id) = 27 AND NOT EXISTS (
			SELECT 1 FROM audit_chain c WHERE c.row_id = a.id AND c.row_id > @low AND c.row_id < @high
		)
	) AS due;

-- name: Unlinked :many
-- The bounds are given twice, so that no plan reads all of the chain. Times go
-- into the hash as text, which SQLite would neither round nor cut. An id that is
-- not as long as ours is never linked.
SELECT
	a.id, CAST(a.at AS TEXT) AS at, a.kind, a.actor, a.subject, a.practice,
	a.step, a.factor, a.reason, a.initiator, a.source
FROM audit a
WHERE a.id > @low AND a.id < @high AND LENGTH(a.id) = 27 AND NOT EXISTS (
	SELECT 1 FROM audit_chain c WHERE c.row_id = a.id AND c.row_id > @low AND c.row_id < @high
)
ORDER BY a.id LIMIT @batch;

-- name: Links :many
SELECT
	c.seq, c.hash, c.row_id, CAST(a.id IS NOT NULL AS BOOLEAN) AS there,
	CAST(COALESCE(CAST(a.at AS TEXT), '') AS TEXT) AS at,
	COALESCE(a.kind, '') AS kind, COALESCE(a.actor, '') AS actor,
	COALESCE(a.subject, '') AS subject, COALESCE(a.practice, '') AS practice,
	COALESCE(a.step, '') AS step, COALESCE(a.factor, '') AS factor,
	COALESCE(a.reason, '') AS reason, COALESCE(a.initiator, '') AS initiator,
	COALESCE(a.source, '') AS source
FROM audit_chain c LEFT JOIN audit a ON a.id = c.row_id
WHERE c.seq > @after ORDER BY c.seq LIMIT @page;

-- name: CountUnlinked :one
SELECT COUNT(*) FROM audit a
WHERE a.id > @low AND a.id < @high AND LENGTH(a.id) = 27 AND NOT EXISTS (
	SELECT 1 FROM audit_chain c WHERE c.row_id = a.id AND c.row_id > @low AND c.row_id < @high
);

-- name: Strangers :one
-- Rows that no link names and none ever will.
SELECT COUNT(*) AS strangers, CAST(COALESCE(MIN(a.id), '') AS TEXT) AS first_id FROM audit a
WHERE NOT (a.id > @low AND a.id < @high AND LENGTH(a.id) = 27) AND NOT EXISTS (
	SELECT 1 FROM audit_chain c WHERE c.row_id = a.id
);

-- name: Anchor :one
SELECT seq, hash, mac FROM audit_anchor ORDER BY seq DESC LIMIT 1;

-- name: MoveAnchor :execrows
UPDATE audit_anchor SET seq = @to_seq, hash = @hash, mac = @mac WHERE seq = @from_seq;

-- name: SweepLinked :exec
DELETE FROM audit WHERE id IN (SELECT c.row_id FROM audit_chain c WHERE c.seq <= @to_seq);

-- name: SweepLinks :exec
DELETE FROM audit_chain WHERE seq <= @to_seq;

-- name: SweepStrangers :execrows
DELETE FROM audit WHERE id IN (
	SELECT a.id FROM audit a
	WHERE a.id < @before AND NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.row_id = a.id)
	ORDER BY a.id LIMIT @batch
);
