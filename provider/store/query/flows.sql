-- name: BeginFlow :one
-- A flow that starts with an account proven (a reset link) carries its epoch.
-- Its locks are those of the device, if it goes on in a known one.
INSERT INTO flows (
	id, kind, browser, account, practice, epoch, locks, device, typed, link, session,
	facts, request, revision, started_at, expires_at
) VALUES (
	@id, @kind, @browser, @account, @practice,
	COALESCE((SELECT g.epoch FROM guards g WHERE g.subject = @account), 0),
	COALESCE((SELECT g.locks FROM guards g
		WHERE g.subject = COALESCE(NULLIF(CAST(@device AS TEXT), ''), @account)), 0),
	@device, @typed, @link, @session, @facts, @request, 0, @started_at, @expires_at
)
RETURNING epoch, locks;

-- name: Flow :one
-- A flow dies with the epoch its account was proven in, and with its next lock,
-- which is the device's own where a known one proved it.
-- One that holds a reset link does not: its proof is the link, and a used link
-- says so itself. One that raises a session dies with that.
SELECT f.id, f.kind, f.browser, f.account, f.practice, f.epoch, f.typed, f.link,
	f.facts, f.request, f.revision, f.started_at, f.expires_at, f.locks, f.session, f.device
FROM flows f
LEFT JOIN guards g ON g.subject = f.account
WHERE f.id = @id AND f.browser = @browser AND f.expires_at > @now
	AND (f.account = '' OR f.kind = 'reset' OR f.epoch = COALESCE(g.epoch, 0)
		AND f.locks = CASE WHEN f.device = '' THEN COALESCE(g.locks, 0)
			ELSE COALESCE((SELECT d.locks FROM guards d WHERE d.subject = f.device), 0) END)
	AND (f.session IS NULL OR EXISTS (SELECT 1 FROM sessions s
		WHERE s.id = f.session AND s.expires_at > @now AND s.seen_at + s.idle > @now));

-- name: LastLogin :one
-- The browser's newest sign-in that waits for an answer.
SELECT f.id, f.kind, f.browser, f.account, f.practice, f.epoch, f.typed, f.link,
	f.facts, f.request, f.revision, f.started_at, f.expires_at, f.locks, f.session, f.device
FROM flows f
WHERE f.browser = @browser AND f.kind = 'login' AND f.account = ''
	AND f.expires_at > @now
	AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.flow = f.id)
ORDER BY f.started_at DESC LIMIT 1;

-- name: AdvanceFlow :execrows
-- An account once proven stays, with the epoch it was proven in; was_epoch is
-- that one, where what this proves raises it.
UPDATE flows SET
	account = @account,
	practice = @practice,
	epoch = @epoch,
	locks = @locks,
	device = @device,
	typed = @typed,
	facts = @facts,
	revision = revision + 1
WHERE flows.id = @id AND revision = @revision AND flows.expires_at > @now
	AND (flows.account = '' OR flows.account = @account AND flows.epoch = @was_epoch
		AND locks = @locks AND device = @device)
	AND (session IS NULL OR EXISTS (SELECT 1 FROM sessions s
		WHERE s.id = flows.session AND s.expires_at > @now AND s.seen_at + s.idle > @now));

-- name: ExtendFlow :execrows
-- Whoever needs longer for a sign-in gets it, while the sign-in lives. One that
-- gave its session is over: the row of that is what bars another, and is swept.
UPDATE flows SET expires_at = @expires_at
WHERE flows.id = @id AND browser = @browser AND kind NOT IN ('reset', 'invite')
	AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.flow = flows.id)
	AND flows.expires_at > @now AND started_at >= @since;

-- name: FlowRequest :one
-- What a sign-in was for, over or not.
SELECT request FROM flows WHERE id = @id AND browser = @browser AND kind NOT IN ('reset', 'invite');
