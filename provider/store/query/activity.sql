-- name: Activity :many
-- The newest of an account, but for what is only of use to operators. What a
-- stranger can make happen without end must not push the rest out of sight.
SELECT kind, factor, reason, source, actor, initiator, at FROM audit
WHERE subject = @subject
	AND kind NOT IN ('code_accepted', 'passkey_used', 'passkey_refused', 'second_factor_freed', 'reset_opened', 'client_changed', 'practice_changed', 'keys_rotated',
		'location_changed', 'case_changed', 'case_rejected')
	AND NOT (kind = 'reset_requested' AND reason <> 'sent')
	AND NOT (kind = 'email_change_asked' AND reason <> '')
	AND NOT (kind = 'session_ended' AND reason = 'replaced')
	AND NOT (kind = 'grant_revoked' AND reason <> 'reuse')
ORDER BY at DESC, id DESC LIMIT @most;
