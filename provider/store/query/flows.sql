-- name: BeginFlow :one
-- A flow that starts with an account proven (a reset link) carries its epoch.
INSERT INTO flows (
	id, kind, browser, account, practice, epoch, typed, link, facts, request,
	revision, started_at, expires_at
) VALUES (
	@id, @kind, @browser, @account, @practice,
	COALESCE((SELECT g.epoch FROM guards g WHERE g.subject = @account), 0),
	@typed, @link, @facts, @request, 0, @started_at, @expires_at
)
RETURNING epoch;

-- name: Flow :one
-- A flow dies with the epoch its account was proven in. One that holds a reset
-- link does not: its proof is the link, and a used link says so itself.
SELECT f.id, f.kind, f.browser, f.account, f.practice, f.epoch, f.typed, f.link,
	f.facts, f.request, f.revision, f.started_at, f.expires_at
FROM flows f
LEFT JOIN guards g ON g.subject = f.account
WHERE f.id = @id AND f.browser = @browser AND f.expires_at > @now
	AND (f.account = '' OR f.kind = 'reset' OR f.epoch = COALESCE(g.epoch, 0));

-- name: LastLogin :one
-- The browser's newest sign-in that waits for an answer.
SELECT f.id, f.kind, f.browser, f.account, f.practice, f.epoch, f.typed, f.link,
	f.facts, f.request, f.revision, f.started_at, f.expires_at
FROM flows f
WHERE f.browser = @browser AND f.kind = 'login' AND f.account = ''
	AND f.expires_at > @now
	AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.flow = f.id)
ORDER BY f.started_at DESC LIMIT 1;

-- name: AdvanceFlow :execrows
-- An account once proven stays, with the epoch it was proven in.
UPDATE flows SET
	account = @account,
	practice = @practice,
	epoch = @epoch,
	typed = @typed,
	facts = @facts,
	revision = revision + 1
WHERE id = @id AND revision = @revision AND expires_at > @now
	AND (account = '' OR account = @account AND epoch = @epoch);
