package account

import "time"

// Kind says what happened. Each kind is an audit entry and feeds a metric: it
// is an API, never renamed.
type Kind string

// The kinds, all of them.
const (
	SignedIn         Kind = "signed_in"              // a login flow ended in a session
	SteppedUp        Kind = "stepped_up"             // a session proved anew, or more, who it is
	SignInFailed     Kind = "sign_in_failed"         // a secret was judged and wrong
	SignInRefused    Kind = "sign_in_refused"        // nothing was judged: locked, disabled, limited, busy
	Locked           Kind = "locked"                 // the 5th consecutive failure
	LockCleared      Kind = "lock_cleared"           // By says how it ended
	PasswordDisabled Kind = "password_disabled"      // the 100th wrong password
	PasswordChanged  Kind = "password_changed"       // by its owner, signing in or signed in
	ResetRequested   Kind = "reset_requested"        // Reason says what came of it
	ResetOpened      Kind = "reset_opened"           // Reason says what the link was worth
	ResetCompleted   Kind = "reset_completed"        // Took is the time since the link was made
	ResetCancelled   Kind = "reset_cancelled"        // "this was not me"
	CodeAccepted     Kind = "code_accepted"          // of an authenticator; Offset is its clock's
	SecondAdded      Kind = "second_factor_added"    // an authenticator; Step says where
	SecondRemoved    Kind = "second_factor_removed"  // an authenticator, by its owner
	SecondReset      Kind = "second_factor_reset"    // all of it, by Support or an operator; By says who
	SecondHeld       Kind = "second_factor_held"     // the 10th wrong code
	SecondFreed      Kind = "second_factor_freed"    // a passkey ended the hold
	BackupMade       Kind = "backup_codes_made"      // a new set; the old one is dead
	BackupVoided     Kind = "backup_codes_voided"    // by an operator; a new set is made at the next sign-in
	BackupUsed       Kind = "backup_code_used"       // instead of an authenticator
	PasskeyAdded     Kind = "passkey_added"          // by its owner
	PasskeyRemoved   Kind = "passkey_removed"        // likewise
	PasskeyUsed      Kind = "passkey_used"           // it was right
	PasskeyRefused   Kind = "passkey_refused"        // Reason says why; nothing of the account moves
	PasskeyCloned    Kind = "passkey_cloned"         // its count did not rise: there may be a copy
	EmailAsked       Kind = "email_change_asked"     // both addresses were sent a link
	EmailChanged     Kind = "email_changed"          // both agreed
	EmailCancelled   Kind = "email_change_cancelled" // by either, or given up
	Disavowed        Kind = "disavowed"              // "this was not me": everything proven is void
	LanguageChanged  Kind = "language_changed"
	ConsentGiven     Kind = "consent_given"     // to an app of others; Step is its client_id
	ConsentWithdrawn Kind = "consent_withdrawn" // from it
	SessionEnded     Kind = "session_ended"     // Reason says why
	GrantRevoked     Kind = "grant_revoked"     // a family of tokens died; Reason says why
	AccountAdded     Kind = "account_added"     // by an operator, or by an invitation: then there is InviteAccepted, too
	AccountDisabled  Kind = "account_disabled"  // by an operator, or by its team
	AccountEnabled   Kind = "account_enabled"   // likewise
	MemberChanged    Kind = "member_changed"    // by their team; Reason says what
	LocationChanged  Kind = "location_changed"  // of a practice, by its team, or by an operator's import; Step is its ID
	AccessReviewed   Kind = "access_reviewed"   // the list of who has access was taken out
	Invited          Kind = "invited"           // an invitation, the Subject, by Actor; Reason says what came of it
	InviteWithdrawn  Kind = "invite_withdrawn"  // an invitation, the Subject, by Actor
	InviteOpened     Kind = "invite_opened"     // an invitation, the Subject; Reason says what the link was worth
	InviteAccepted   Kind = "invite_accepted"   // by the Subject, of Actor; Step is the invitation's ID, Took the time since its link was sent

	OwnershipOffered     Kind = "ownership_offered" // of a practice, to Subject
	OwnershipAgreed      Kind = "ownership_agreed"  // by Subject; it happens a day later
	OwnershipKept        Kind = "ownership_kept"    // a transfer ended in nothing; Reason says why
	OwnershipTransferred Kind = "ownership_transferred"

	SupportAsked    Kind = "support_asked"    // the contact form was sent; Step is the case
	CaseConfirmed   Kind = "case_confirmed"   // who opened it reads the new address; Step is the case
	CaseWithdrawn   Kind = "case_withdrawn"   // by whoever opened it; Step is the case, Took the time since it was opened
	CaseChanged     Kind = "case_changed"     // Reason is a flows.CaseAction; Step is the case, Subject whom it is about
	CaseWaiting     Kind = "case_waiting"     // approved: it is done a day later, if nobody stops it; Step is the case
	CaseFrozen      Kind = "case_frozen"      // "this was not me", of whoever holds the account; Step is the case
	CaseDone        Kind = "case_done"        // as CaseWithdrawn; Methods are the flows.Remedies
	CaseRejected    Kind = "case_rejected"    // as CaseWithdrawn, by the desk
	CaseRefused     Kind = "case_refused"     // an agent's act that could not be: observed, never in the trail
	KeysRotated     Kind = "keys_rotated"     // a new signing key signs
	ClientChanged   Kind = "client_changed"   // by an operator; Reason says how
	PracticeChanged Kind = "practice_changed" // by an operator: what it demands of its people
)

// Reason qualifies an event. The set is closed, since each is a label value.
type Reason string

// Reasons of SignInFailed and SignInRefused.
const (
	BadCredentials Reason = "bad_credentials"
	UnknownUser    Reason = "unknown_user"
	LockedOut      Reason = "locked"
	Disabled       Reason = "disabled"
	RateLimited    Reason = "rate_limited"
	UpstreamError  Reason = "upstream_error"
	BadCode        Reason = "bad_code"      // of an authenticator, or a backup code
	ReplayedCode   Reason = "replayed_code" // was right, once
	Held           Reason = "held"          // of SessionEnded, too
	TooBusy        Reason = "busy"
	Lapsed         Reason = "lapsed" // charged, and never settled: a crash counts
)

// Reasons of ResetRequested (Sent, NoAccount, RateLimited, MailError) and of
// ResetOpened (the fate of a link).
const (
	Sent       Reason = "sent"
	NoAccount  Reason = "no_account"
	MailError  Reason = "mail_error"
	Valid      Reason = "valid"
	Expired    Reason = "expired"
	Superseded Reason = "superseded"
	Used       Reason = "used"
	Unknown    Reason = "unknown"
)

// Further reasons of Invited (with Sent, RateLimited and MailError) and of
// InviteOpened (with the fates of a reset link).
const (
	HasAccount Reason = "has_account" // who was invited: they were told, and got no link
	Capped     Reason = "capped"      // the practice had its InvitesPerDay
	Withdrawn  Reason = "withdrawn"
	Taken      Reason = "taken" // somebody has got the address since
)

// OneDevice is the reason of Locked and LockCleared where the lock is of one known
// device alone.
const OneDevice Reason = "device"

// Reasons of SessionEnded and GrantRevoked.
const (
	SignedOut    Reason = "signed_out"
	ResetDone    Reason = "reset"
	Replaced     Reason = "replaced"  // signed in anew in the same browser
	Displaced    Reason = "displaced" // somebody else signed in there
	ReuseSeen    Reason = "reuse"     // a code or refresh token came twice
	ClientAsked  Reason = "client"    // RFC 7009 revocation
	OperatorSaid Reason = "operator"
	ProofChanged Reason = "proof_changed" // of the account: a password, a second factor
	PersonAsked  Reason = "person"        // from Account Settings
	NotMe        Reason = "disavowed"
	TeamSaid     Reason = "team" // the Owner or an Admin of the practice
)

// Reasons of OwnershipKept, beside PersonAsked (on the page), NotMe, and Expired
// (what was agreed could not be done any more).
const LinkUsed Reason = "link" // that each of the two was mailed

// Reasons of MemberChanged, beside SignedOut (everywhere).
const (
	RoleGiven      Reason = "role"
	LocationsGiven Reason = "locations"
)

// By says who or what caused an event.
type By string

// Who clears locks and starts resets.
const (
	ByTimeout By = "timeout"
	ByReset   By = "reset"
	ByOwner   By = "owner"
	BySupport By = "support"
	BySelf    By = "self"
)

// Event is one fact about an account. It is made inside the transaction that
// makes it true, written to the audit trail there, and counted by metrics
// after the commit; so audit, metrics and mail cannot disagree with the state.
// It never carries a secret, a name or an address.
type Event struct {
	Kind     Kind
	Subject  string     // the account's ID, or the shadow key of an identifier nobody has
	Practice PracticeID // of the account, where known
	Actor    string     // "" for the person, else who acted (an operator, a job)
	Step     string     // the step that judged, where one did; for SignedIn and SteppedUp the last that did
	Factor   Factor     // which counter, where one moved
	Reason   Reason
	By       By
	Source   Source
	Methods  []string      // RFC 8176 names, for SignedIn; see CaseDone
	Offset   int           // of an accepted code, in steps; see Match
	Took     time.Duration // see the kinds; for SignedIn, since the last lock if there was one
	At       time.Time
}
