package metrics

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
)

// people is what is counted from events. Identifiers that nobody has are
// counted like accounts: guessing at them is guessing.
type people struct {
	attempts, failures, logins *counter
	lockouts, cleared          *counter
	recovery                   prometheus.Histogram
	resetAsked, resetOpened    *counter
	resetDone                  *counter
	resetTook                  prometheus.Histogram
	invited, inviteOpened      *counter
	inviteTook                 prometheus.Histogram
	reused, sessionsEnded      *counter
	held, backupUsed           *counter
	secondChanged, secondReset *counter
	offsets                    *counter
	audit                      *counter
	deskActions, deskOutcomes  *counter
	passkeys                   *counter
	deskTook                   *prometheus.HistogramVec
}

func newPeople(f factory) people {
	step := label{"step", []string{"password", "totp", "backup-code", "passkey"}}
	p := people{
		attempts: f.counter("login_attempts_total", "Answers to a step that judges a secret.",
			step, label{"outcome", []string{"passed", "failed", "refused"}}),
		failures: f.counter("login_failures_total", "Sign-ins that failed or were refused, by why.",
			label{"factor", []string{account.Password.String(), account.SecondFactor.String()}},
			label{"reason", reasons(account.BadCredentials, account.UnknownUser, account.LockedOut,
				account.Disabled, account.RateLimited, account.UpstreamError, account.TooBusy, account.Lapsed,
				account.BadCode, account.ReplayedCode, account.Held)}),
		logins: f.counter("logins_total", "Completed sign-ins, by how.",
			label{"method", []string{"password", "totp", "backup_code", "passkey"}}),
		lockouts: f.counter("lockouts_total", "Locks, by the step whose failures made them.", step),
		cleared: f.counter("lockouts_cleared_total", "Locks ended, by what.",
			label{"by", bys(account.ByTimeout, account.ByReset, account.ByOwner, account.BySupport)}),
		recovery: f.histogram("lockout_recovery_seconds", "From a lock to the next completed sign-in.",
			[]float64{60, 300, 600, 1200, 1800, 2400, 3600, 7200, 14400, 86400}),
		resetAsked: f.counter("password_reset_requests_total",
			"Requests for a reset link. mail_error counts links that could not be delivered, once more.",
			label{"result", reasons(account.Sent, account.NoAccount, account.RateLimited, account.MailError)}),
		resetOpened: f.counter("password_reset_links_total", "Reset links opened, by what they were worth.",
			label{"result", reasons(account.Valid, account.Expired, account.Superseded,
				account.Used, account.Unknown)}),
		resetDone: f.counter("password_resets_completed_total", "Passwords set anew, by who had asked.",
			label{"initiator", bys(account.BySelf, account.ByOwner, account.BySupport)}),
		resetTook: f.histogram("password_reset_completion_seconds", "From a reset link's making to the new password.",
			[]float64{30, 60, 120, 300, 600, 900, 1800, 3600}),
		invited: f.counter("invitations_total",
			"Invitations sent, or not. mail_error counts those that could not be delivered, once more.",
			label{"result", reasons(account.Sent, account.HasAccount, account.RateLimited, account.Capped, account.MailError)}),
		inviteOpened: f.counter("invitation_links_total", "Links of invitations opened, by what they were worth.",
			label{"result", reasons(account.Valid, account.Expired, account.Superseded,
				account.Used, account.Withdrawn, account.Taken, account.Unknown)}),
		inviteTook: f.histogram("invitation_acceptance_seconds", "From an invitation's newest link to the account made by it.",
			[]float64{60, 300, 900, 3600, 14400, 43200, 86400, 172800, 259200}),
		reused: f.counter("refresh_token_reuse_total",
			"Families of tokens revoked because a code or refresh token came twice."),
		sessionsEnded: f.counter("sessions_revoked_total", "Sessions ended before their time, by why.",
			label{"reason", reasons(account.SignedOut, account.ResetDone,
				account.Replaced, account.Displaced, account.OperatorSaid, account.ProofChanged, account.PersonAsked,
				account.Held, account.NotMe, account.TeamSaid)}),
		held:       f.counter("second_factor_holds_total", "Second factors stopped after too many wrong codes."),
		backupUsed: f.counter("backup_codes_used_total", "Backup codes used up."),
		secondChanged: f.counter("second_factor_changes_total", "Second factors changed by their owners.",
			label{"method", []string{"totp", "backup_codes", "passkey"}}, label{"change", []string{"added", "removed"}}),
		secondReset: f.counter("second_factor_resets_total", "Second factors taken away for their owners, by whom.",
			label{"by", bys(account.ByOwner, account.BySupport)}),
		offsets: f.counter("totp_accepted_offset_total", "Accepted codes, by how many steps their app's clock was ahead.",
			label{"offset", []string{"-1", "0", "1"}}),
		passkeys: f.counter("passkeys_refused_total", "Passkeys that were not believed, by why.",
			label{"cause", reasons(account.PasskeyCauses...)}),
		deskActions: f.counter("support_actions_total", "What was done to cases, or refused, by whomever.",
			caseActions(), label{"result", []string{"done", "refused"}}),
		deskOutcomes: f.counter("support_outcomes_total", "What came of cases. One that does two things counts for both.",
			caseOutcomes()),
		deskTook: f.histograms("support_case_resolution_seconds", "From a case's opening to its end, by how it ended.",
			[]float64{900, 3600, 4 * 3600, 8 * 3600, 86400, 2 * 86400, 3 * 86400, 7 * 86400, 14 * 86400, 30 * 86400}, "outcome"),
		audit: f.counter("audit_events_total", "Rows written to the audit trail.", label{"event", kinds()}),
	}
	for _, s := range flows.CaseStates {
		if s.Closed() {
			p.deskTook.WithLabelValues(string(s))
		}
	}
	return p
}

// Observe counts an event. It is store.Config's Observe, which is called after
// the commit; what is refused unjudged is an event without an audit row.
func (m *Metrics) Observe(e account.Event) {
	p := &m.people
	if audited(e) {
		p.audit.inc(string(e.Kind))
	}
	switch e.Kind {
	case account.SignedIn:
		p.signedIn(e)
	case account.SignInFailed:
		p.attempts.inc(e.Step, "failed")
		p.failures.inc(e.Factor.String(), string(e.Reason))
	case account.SignInRefused:
		p.attempts.inc(e.Step, "refused")
		p.failures.inc(e.Factor.String(), string(e.Reason))
	case account.Locked:
		p.lockouts.inc(e.Step)
	case account.LockCleared:
		p.cleared.inc(string(e.By))
	case account.ResetRequested:
		p.resetAsked.inc(string(e.Reason))
	case account.ResetOpened:
		p.resetOpened.inc(string(e.Reason))
	case account.ResetCompleted:
		p.resetDone.inc(string(e.By))
		p.resetTook.Observe(e.Took.Seconds())
	case account.Invited:
		p.invited.inc(string(e.Reason))
	case account.InviteOpened:
		p.inviteOpened.inc(string(e.Reason))
	case account.InviteAccepted:
		p.inviteTook.Observe(e.Took.Seconds())
	case account.CodeAccepted:
		p.attempts.inc(e.Step, "passed")
		p.offsets.inc(strconv.Itoa(e.Offset))
	case account.BackupUsed:
		p.attempts.inc(e.Step, "passed")
		p.backupUsed.inc()
	case account.SecondHeld:
		p.held.inc()
	case account.SecondAdded:
		p.secondChanged.inc("totp", "added")
	case account.SecondRemoved:
		p.secondChanged.inc("totp", "removed")
	case account.BackupMade:
		p.secondChanged.inc("backup_codes", "added")
	case account.BackupVoided:
		p.secondChanged.inc("backup_codes", "removed")
	case account.PasskeyUsed:
		p.attempts.inc("passkey", "passed")
	case account.PasskeyRefused:
		p.attempts.inc("passkey", "refused")
		p.passkeys.inc(string(e.Reason))
	case account.PasskeyAdded:
		p.secondChanged.inc("passkey", "added")
	case account.PasskeyRemoved:
		p.secondChanged.inc("passkey", "removed")
	case account.SecondReset:
		p.secondReset.inc(string(e.By))
	case account.CaseChanged:
		p.deskActions.inc(string(e.Reason), "done")
	case account.CaseRefused:
		p.deskActions.inc(string(e.Reason), "refused")
	case account.CaseConfirmed:
		p.deskActions.inc(string(flows.CaseConfirm), "done")
	case account.CaseFrozen:
		p.deskActions.inc(string(flows.CaseFreeze), "done")
	case account.CaseDone, account.CaseRejected, account.CaseWithdrawn:
		p.caseClosed(e)
	case account.SessionEnded:
		p.sessionsEnded.inc(string(e.Reason))
	case account.GrantRevoked:
		if e.Reason == account.ReuseSeen {
			p.reused.inc()
		}
	}
}

func (p *people) signedIn(e account.Event) {
	method := other
	if slices.Contains(e.Methods, "pwd") {
		method = "password"
		p.attempts.inc("password", "passed")
	}
	switch e.Step {
	case "totp", "set-up-totp", "offer-passkey":
		method = "totp"
	case "backup-code":
		method = "backup_code"
	case "passkey":
		method = "passkey"
	}
	p.logins.inc(method)
	if e.Took > 0 {
		p.recovery.Observe(e.Took.Seconds())
	}
}

// caseClosed counts the end of a case.
func (p *people) caseClosed(e account.Event) {
	outcome, all := string(flows.CaseDone), e.Methods
	switch e.Kind {
	case account.CaseRejected:
		outcome = string(flows.CaseRejected)
		p.deskActions.inc(string(flows.CaseReject), "done")
	case account.CaseWithdrawn:
		outcome = string(flows.CaseWithdrawn)
		p.deskActions.inc(string(flows.CaseWithdraw), "done")
	}
	if e.Kind != account.CaseDone {
		all = []string{outcome}
	}
	for _, o := range all {
		p.deskOutcomes.inc(o)
	}
	p.deskTook.WithLabelValues(outcome).Observe(e.Took.Seconds())
}

func caseActions() label {
	l := label{name: "action"}
	for _, a := range flows.CaseActions {
		l.values = append(l.values, string(a))
	}
	return l
}

// caseOutcomes are the remedies, and the ends without one.
func caseOutcomes() label {
	l := label{"outcome", []string{string(flows.CaseRejected), string(flows.CaseWithdrawn)}}
	for _, r := range flows.Remedies {
		l.values = append(l.values, string(r))
	}
	return l
}

// audited reports whether an event has an audit row. Refusals and links that
// nobody was sent have none, so that a flood cannot fill the trail.
func audited(e account.Event) bool {
	madeUp := (e.Kind == account.ResetOpened || e.Kind == account.InviteOpened) && e.Reason == account.Unknown
	return e.Kind != account.SignInRefused && e.Kind != account.CaseRefused && !madeUp
}

func reasons(all ...account.Reason) []string {
	text := make([]string, len(all))
	for i, r := range all {
		text[i] = string(r)
	}
	return text
}

func bys(all ...account.By) []string {
	text := make([]string, len(all))
	for i, b := range all {
		text[i] = string(b)
	}
	return text
}

func kinds() []string {
	var text []string
	for _, k := range []account.Kind{account.SignedIn, account.SignInFailed, account.Locked, account.LockCleared,
		account.PasswordDisabled, account.PasswordChanged, account.ResetRequested, account.ResetOpened,
		account.ResetCompleted, account.ResetCancelled, account.SessionEnded, account.GrantRevoked,
		account.AccountAdded, account.AccountDisabled, account.AccountEnabled, account.SupportAsked,
		account.CaseConfirmed, account.CaseWithdrawn, account.CaseChanged, account.CaseWaiting, account.CaseFrozen,
		account.CaseDone, account.CaseRejected,
		account.KeysRotated, account.ClientChanged, account.PracticeChanged, account.SteppedUp, account.CodeAccepted,
		account.SecondAdded, account.SecondRemoved, account.SecondReset, account.SecondHeld, account.SecondFreed, account.BackupMade,
		account.BackupVoided, account.BackupUsed, account.PasskeyAdded, account.PasskeyRemoved, account.PasskeyUsed,
		account.PasskeyRefused, account.PasskeyCloned, account.EmailAsked, account.EmailChanged, account.EmailCancelled,
		account.Disavowed, account.LanguageChanged, account.ConsentGiven, account.ConsentWithdrawn,
		account.MemberChanged, account.LocationChanged, account.AccessReviewed, account.OwnershipOffered,
		account.OwnershipAgreed, account.OwnershipKept, account.OwnershipTransferred,
		account.Invited, account.InviteWithdrawn, account.InviteOpened, account.InviteAccepted} {
		text = append(text, string(k))
	}
	return text
}
