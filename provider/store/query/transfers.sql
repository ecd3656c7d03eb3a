-- name: OfferPractice :execrows
-- No row: another offer is open, or agreed upon.
INSERT INTO transfers (practice, id, owner, heir, asked_at, expires_at)
VALUES (@practice, @id, @owner, @heir, @now, @expires_at)
ON CONFLICT (practice) DO UPDATE SET
	id = excluded.id,
	owner = excluded.owner,
	heir = excluded.heir,
	asked_at = excluded.asked_at,
	expires_at = excluded.expires_at
WHERE transfers.due_at = 0 AND transfers.expires_at <= excluded.asked_at;

-- name: TransferOf :one
-- The one that is open or agreed upon.
SELECT t.id, t.owner, t.heir, t.expires_at, t.due_at,
	COALESCE(NULLIF(o.name, ''), o.username, '') AS owner_name,
	COALESCE(NULLIF(h.name, ''), h.username, '') AS heir_name
FROM transfers t
LEFT JOIN people o ON o.id = t.owner
LEFT JOIN people h ON h.id = t.heir
WHERE t.practice = @practice AND (t.due_at > 0 OR t.expires_at > @now);

-- name: AgreeToTransfer :one
-- No row: it is not open any more, or not the heir's.
UPDATE transfers SET due_at = @due_at, owner_hash = @owner_hash, heir_hash = @heir_hash
WHERE practice = @practice AND heir = @heir AND due_at = 0 AND expires_at > @now
RETURNING owner;

-- name: EndTransfer :one
-- By either of its two people.
DELETE FROM transfers
WHERE practice = @practice AND (owner = @person OR heir = @person)
	AND (due_at > 0 OR expires_at > @now)
RETURNING owner, heir;

-- name: TransferByLink :one
SELECT practice, owner, heir FROM transfers WHERE owner_hash = @hash OR heir_hash = @hash;

-- name: CancelTransfer :one
DELETE FROM transfers WHERE owner_hash = @hash OR heir_hash = @hash
RETURNING practice, owner, heir;

-- name: DropTransfersOf :many
-- Of somebody whose account was in other hands.
DELETE FROM transfers WHERE owner = @person OR heir = @person
RETURNING practice, owner, heir;

-- name: DueTransfers :many
SELECT practice FROM transfers WHERE due_at > 0 AND due_at <= @now LIMIT @most;

-- name: TakeTransfer :one
DELETE FROM transfers WHERE practice = @practice AND due_at > 0 AND due_at <= @now
RETURNING owner, heir;

-- name: SweepTransfers :execrows
DELETE FROM transfers WHERE practice IN (
	SELECT t.practice FROM transfers t WHERE t.due_at = 0 AND t.expires_at <= @before LIMIT @batch
) AND due_at = 0 AND expires_at <= @before;
