package flows

import (
	"errors"
	"slices"
	"time"

	"github.com/medximity/idp/flows/account"
)

// ErrNoFlow means that there is no such flow for this browser: it never was,
// is over, or belongs to another browser. Which of these is not told.
var ErrNoFlow = errors.New("flows: no such flow in this browser")

// ErrStale means that the flow went on elsewhere (another tab, a double
// click): nothing was changed.
var ErrStale = errors.New("flows: answered already")

// Kind is what a flow is for.
type Kind string

// The kinds.
const (
	Login  Kind = "login"  // ends in a session
	StepUp Kind = "stepup" // ends in a session in place of the one it began in, with more proven or anew
	Enroll Kind = "enroll" // does so, too, and changes how the account is proven (Request.Change)
	Reset  Kind = "reset"  // ends in a new password, and in no session
	Invite Kind = "invite" // ends in a new account, and in no session
)

// How long a person has for a flow. Whoever needs longer for a sign-in asks for
// it, again and again, up to LoginAtMost from its start (WCAG 2.2 SC 2.2.1).
const (
	LoginFor    = 60 * time.Minute
	LoginAtMost = 12 * time.Hour
	ResetFor    = account.LinkFor   // from the opening of the link, whose own time may end before
	InviteFor   = account.InviteFor // likewise
)

// StepName names a step: its URL element, template and metric label. Stable.
type StepName string

// FactKind is what was proven.
type FactKind string

// The kinds of facts.
const (
	Identified    FactKind = "identified"     // an identifier was typed; proves nothing
	KnowsPassword FactKind = "knows_password" // the password was right
	HoldsSecond   FactKind = "holds_second"   // gave a code of the second factor, or used a passkey
	VerifiedUser  FactKind = "verified_user"  // whose PIN or finger the passkey's authenticator knew
	HoldsLink     FactKind = "holds_link"     // opened a live link of a reset or an invitation
	NewPasswordIs FactKind = "new_password"   // chose a new password
	NewCodes      FactKind = "new_codes"      // asked for new backup codes
	NoNewCodes    FactKind = "no_new_codes"   // would rather not, now
	NoPasskey     FactKind = "no_passkey"     // would rather not have a passkey
	SavedCodes    FactKind = "saved_codes"    // has a new set of them
)

// Fact is one thing proven in a flow. Facts are only ever added. A fact holds
// for the flow, the browser and the account that it was proven in, and for no
// other: no session and no new password without all its proofs. What the live
// session proved in which a step-up began is such a fact, by FromSession.
type Fact struct {
	Kind    FactKind  `json:"kind"`
	Step    StepName  `json:"step"`
	Methods []string  `json:"amr,omitempty"` // RFC 8176
	At      time.Time `json:"at"`
}

// Request is what the app asked for, as far as a flow needs to know it.
type Request struct {
	Authorize  string     `json:"authorize,omitempty"` // the whole authorization request, form-encoded; "" for a visit of our own
	Arrived    time.Time  `json:"arrived"`             // when it first came
	Pushed     string     `json:"pushed,omitempty"`    // the visit to it, as the provider names it, if the app pushed it
	Client     string     `json:"client,omitempty"`
	ClientName string     `json:"client_name,omitempty"`
	Target     string     `json:"target,omitempty"` // the origin that the answer goes to, for form-action
	Locales    string     `json:"locales,omitempty"`
	Hint       string     `json:"hint,omitempty"`    // login_hint
	Subject    account.ID `json:"subject,omitempty"` // the only account that will do
	Second     bool       `json:"second,omitempty"`  // the app wants two factors
	Change     Change     `json:"change,omitempty"`  // what an Enroll flow is for
	Return     string     `json:"return,omitempty"`  // the page of ours that asked, if no app did
}

// Change is what a person changes about how the account is proven.
type Change string

// The changes.
const (
	ChangePassword     Change = "password"
	AddAuthenticator   Change = "authenticator"
	AddPasskey         Change = "passkey"
	ReplaceBackupCodes Change = "backup-codes"
)

// FromSession is the step of facts that a flow began with, since a live session
// of the browser had proven them.
const FromSession StepName = "session"

// Flow is one sign-in or recovery under way. It lives in the store; the
// browser holds only its id and the cookie that binds it.
type Flow struct {
	ID       string
	Kind     Kind
	Browser  []byte     // SHA-256 of the binding cookie
	Account  account.ID // "" until proven
	Practice account.PracticeID
	Epoch    int64  // of Account's proofs, when it was proven
	Locks    int64  // of Account until then, or of Device: the flow ends with the next
	Device   string // account.Device.Guard of the known device that proved Account, or ""
	Session  []byte // the ID of the session that a StepUp or Enroll raises
	Typed    string // the identifier as typed
	Link     []byte // SHA-256 of the link's token, for Reset and Invite
	Facts    []Fact
	Request  Request
	Revision int64
	Started  time.Time
	Finished time.Time      // when its session was made: the auth_time; not stored here
	From     account.Source // of the request at hand, for the trail; not stored here
	Expires  time.Time
}

// Has reports whether a fact of the kind was proven.
func (f *Flow) Has(k FactKind) bool {
	return slices.ContainsFunc(f.Facts, func(p Fact) bool { return p.Kind == k })
}

// PassedStep reports whether the step gave a fact.
func (f *Flow) PassedStep(n StepName) bool {
	return slices.ContainsFunc(f.Facts, func(p Fact) bool { return p.Step == n })
}

// Last is the step by which the person proved last who they are, in this flow.
func (f *Flow) Last() (n StepName) {
	for _, p := range f.Facts {
		if len(p.Methods) > 0 && p.Step != FromSession {
			n = p.Step
		}
	}
	return n
}

// Methods returns the RFC 8176 names of what was proven, in order, once each.
func (f *Flow) Methods() []string {
	var amr []string
	for _, p := range f.Facts {
		for _, m := range p.Methods {
			if !slices.Contains(amr, m) {
				amr = append(amr, m)
			}
		}
	}
	if f.twoFactors() {
		amr = append(amr, "mfa")
	}
	return amr
}

// twoFactors reports whether something held was proven, and something known; or
// that its authenticator knew its person.
func (f *Flow) twoFactors() bool {
	return f.Has(HoldsSecond) && (f.Has(KnowsPassword) || f.Has(VerifiedUser))
}

// authTime is when the oldest of what was proven was: nothing that a session
// stands for is older than its auth_time says.
func (f *Flow) authTime() (t time.Time) {
	for _, p := range f.Facts {
		if len(p.Methods) > 0 && (t.IsZero() || p.At.Before(t)) {
			t = p.At
		}
	}
	return t
}
