package flows

import (
	"context"
	"net/url"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// Need says whether a step is due.
type Need uint8

// The needs.
const (
	Skip  Need = iota // not for this person now
	Offer             // one way among others
	Must              // nothing goes on without it
)

// View is what a policy and a step may know when they decide: the flow and,
// once an account is proven, the person. It is read, never changed.
type View struct {
	*Flow
	Person   *directory.Entry // nil until Account is proven
	Second   account.Second   // of Account, once that is proven
	Required bool             // two factors are, by practice, role or for everyone
	Passkeys bool             // can be used here

	Invitation *account.Invitation // of an Invite, to what it leads
}

// Page is the data of a step's template.
type Page any

// Form is what a person answered.
type Form = url.Values

// Step is one thing asked of a person; one step, one file. Implementations
// hold no state, so one value serves all requests at once.
type Step interface {
	// Name is stable: URL element, template and metric label.
	Name() StepName
	// Field is the form field without which nothing was answered. A form that
	// also has the next step's field answers both at once.
	Field() string
	// Applies says whether the step is due. It is pure: no clock, no I/O.
	Applies(v View) Need
	// Show returns what the page shows. It is idempotent: a GET burns nothing.
	Show(ctx context.Context, s *Scope) (Page, error)
	// Submit judges the answer. Wrong answers are Outcomes; an error is a
	// fault, after which nothing was decided.
	Submit(ctx context.Context, s *Scope, form Form) (Outcome, error)
}

// Outcome is how an answer ended: Passed, Again or Stop.
type Outcome interface{ outcome() }

// Passed means that the answer was right. All of it is written in one
// transaction with what it leads to.
type Passed struct {
	Facts  []Fact
	Typed  string           // the identifier, by the step that asked for it
	Person *directory.Entry // by the step that proved the account
	Lease  account.Lease    // to settle as right, where a secret was judged
	Burn   *account.Burn    // the code that was right, good once
	Hash   string           // a new password's hash, by the step that asked for one
	Short  bool             // that password is shorter than it may be without a second factor
	Name   string           // of a person who joins

	Authenticator *account.NewAuthenticator // to be added
	Codes         *account.BackupSet        // to replace the one there is
	NewPasskey    *account.NewPasskey       // to be added

	AskPasskey time.Time // when to ask again for one; zero: nobody was asked

	Passkey *account.Assertion // that was right, good once
	Holder  *PasskeyHolder     // of it, by the step that found them
}

// Again means that the same page is shown once more, with what was wrong.
type Again struct {
	Field   string // the control to mark; "" for the page as a whole
	Message Message
	Denied  bool   // a secret was judged, and wrong
	Left    int    // attempts left, when that is worth a warning; else 0
	Typed   string // what to keep of the answer
}

// Stop means that the flow cannot go on now.
type Stop struct {
	Reason error // one of flows/account's verdicts
	Until  time.Time
}

func (Passed) outcome() {}
func (Again) outcome()  {}
func (Stop) outcome()   {}

// Message is a text of templates/locale and what fills its gaps.
type Message struct {
	Key  string
	Args map[string]any
}

// Scope is all that a step may reach.
type Scope struct {
	View
	Now    time.Time
	Exempt bool // from limits by source
	// Known reports whether this browser completed a sign-in to the account
	// before: strangers' failures from the same address do not stop it.
	Known func(account.ID) bool
	// Devices returns what this browser is to the account, where known devices
	// have tries of their own; nil if they have not.
	Devices func(account.ID) account.Device

	guard     account.Guard
	store     Store
	directory directory.Directory
	hasher    *account.Hasher
	rules     account.PasswordRules
	shadow    func(identifier string) string
	require   account.Requirement
	draft     func(flow, purpose string) []byte
	passkeys  *account.RelyingParty
	handle    func(account.ID) []byte
	issuer    string
}
