-- The desk. Whatever changes a case holds its row first (HoldCase, HoldCaseOf),
-- and is judged by flows.Case under that lock: two agents, the holder of the
-- account, whoever opened the case and the timer come one after another.

-- name: HoldAgent :one
-- Takes the lock of an agent's row, if they are one (still). No row: they are not.
UPDATE people SET updated_at = updated_at
WHERE id = @id AND role = 'support' AND disabled = false
	AND NOT EXISTS (SELECT 1 FROM guards g WHERE g.subject = people.id AND g.disabled = true)
RETURNING username;

-- name: HoldCase :one
UPDATE cases SET round = round WHERE id = @id
RETURNING id, state, claims, locale, opened_at, due_at, confirmed_at, closed_at, person, practice,
	remedies, agent, round, frozen_at, strict, wait_until, answered_at, reply;

-- name: PutCase :exec
UPDATE cases SET
	state = @state, person = @person, practice = @practice, remedies = @remedies, agent = @agent,
	round = @round, frozen_at = @frozen_at, strict = @strict, wait_until = @wait_until,
	answered_at = @answered_at, reply = @reply, confirmed_at = @confirmed_at, closed_at = @closed_at
WHERE id = @id;

-- name: ForgetClaims :exec
UPDATE cases SET claims = @nothing, npi_hash = NULL WHERE id = @id;

-- name: CaseIDByLink :one
SELECT id FROM cases WHERE token_hash = @token_hash;

-- name: CaseIDByNotice :one
-- A link in a mail to the holder of the account. release: of this round, to the
-- address on file.
SELECT l.case_id, CAST(l.release AND l.round = c.round AS BOOLEAN) AS release
FROM case_links l JOIN cases c ON c.id = l.case_id
WHERE l.hash = @hash;

-- name: CasesOf :many
-- That are about somebody's account, and not closed. Each is frozen or not by itself.
SELECT id FROM cases WHERE person = @person AND person <> '' AND closed_at = 0 ORDER BY id;

-- name: WaitingCaseOf :one
-- The first that will be done; where none will, one that was stopped. several: it is
-- not the only one that will be.
SELECT c.id, CAST((SELECT COUNT(*) FROM cases o WHERE o.person = c.person AND o.closed_at = 0
	AND o.state = 'waiting' AND o.frozen_at = 0) > 1 AS BOOLEAN) AS several
FROM cases c
WHERE c.person = @person AND c.person <> '' AND c.closed_at = 0 AND c.state = 'waiting'
ORDER BY CASE WHEN c.frozen_at = 0 THEN 0 ELSE 1 END, c.wait_until, c.id LIMIT 1;

-- name: DueCases :many
SELECT id FROM cases WHERE state = 'waiting' AND frozen_at = 0 AND wait_until <= @now
ORDER BY wait_until LIMIT @most;

-- name: CaseQueue :many
-- Those whose answer is owed by due time, then the rest.
SELECT id, state, claims, opened_at, due_at, remedies, agent, frozen_at, wait_until, answered_at
FROM cases WHERE closed_at = 0
ORDER BY CASE WHEN answered_at = 0 THEN 0 ELSE 1 END, due_at, id LIMIT @most;

-- name: ClosedCases :many
SELECT id, state, claims, opened_at, due_at, remedies, agent, closed_at
FROM cases WHERE closed_at > 0 ORDER BY closed_at DESC, id LIMIT @most;

-- name: DeskCase :one
SELECT id, state, claims, locale, opened_at, due_at, confirmed_at, closed_at, person, practice,
	remedies, agent, round, frozen_at, strict, wait_until, answered_at, reply
FROM cases WHERE id = @id;

-- name: Alike :many
-- Other cases with the same NPI or the same new address.
SELECT o.id FROM cases c JOIN cases o ON o.id <> c.id
	AND (o.npi_hash = c.npi_hash OR o.email_hash = c.email_hash)
WHERE c.id = @id ORDER BY o.opened_at DESC LIMIT 20;

-- name: AddCaseLog :exec
INSERT INTO case_log (id, case_id, at, actor, action, item, text)
VALUES (@id, @case_id, @at, @actor, @action, @item, @text);

-- name: CaseLog :many
SELECT l.id, l.at, l.actor, l.action, l.item, l.text, COALESCE(p.username, '') AS username
FROM case_log l LEFT JOIN people p ON p.id = l.actor
WHERE l.case_id = @case_id ORDER BY l.id;

-- name: AddCheck :exec
INSERT INTO case_checks (case_id, item, agent, at) VALUES (@case_id, @item, @agent, @at)
ON CONFLICT (case_id, item) DO UPDATE SET agent = excluded.agent, at = excluded.at;

-- name: DropChecks :exec
DELETE FROM case_checks WHERE case_id = @case_id;

-- name: CaseChecks :many
SELECT item FROM case_checks WHERE case_id = @case_id ORDER BY item;

-- name: AddApproval :execrows
-- No row: the agent approved of it before.
INSERT INTO case_approvals (case_id, round, agent, at) VALUES (@case_id, @round, @agent, @at)
ON CONFLICT (case_id, round, agent) DO NOTHING;

-- name: ApprovalsBy :one
SELECT COUNT(*) FROM case_approvals WHERE agent = @agent AND at > @since;

-- name: Approvers :many
-- Of a round, who are agents still.
SELECT a.agent FROM case_approvals a
JOIN people p ON p.id = a.agent
LEFT JOIN guards g ON g.subject = a.agent
WHERE a.case_id = @case_id AND a.round = @round AND p.role = 'support' AND p.disabled = false
	AND COALESCE(g.disabled, false) = false
ORDER BY a.at;

-- name: AddCaseLink :exec
INSERT INTO case_links (hash, case_id, round, release) VALUES (@hash, @case_id, @round, @release);

-- name: OwnersOf :many
-- Of a practice. None of those who cannot sign in gets a mail, nor stays its owner.
SELECT id FROM people
WHERE practice = @practice AND practice <> '' AND role = 'owner' AND id <> @but
ORDER BY id;

-- name: SweepCases :execrows
-- With all that was said in them.
DELETE FROM cases WHERE id IN (
	SELECT c.id FROM cases c WHERE c.closed_at > 0 AND c.closed_at <= @before LIMIT @batch
) AND closed_at > 0 AND closed_at <= @before;
