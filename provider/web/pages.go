package web

import (
	"slices"
	"time"
)

// The data of pages that belong to no step. Each is named after its file in
// templates/page.

// LockedPage says how long a lock lasts.
type LockedPage struct {
	Minutes int // left, rounded up
	Until   time.Time
}

// BusyPage says how long to wait.
type BusyPage struct{ Seconds int }

// ForgotPage asks for the address that the link goes to.
type ForgotPage struct{ Email string }

// ForgotSentPage is the answer to everybody who asked for a link.
type ForgotSentPage struct {
	Email   string // as typed
	From    string // where the mail comes from
	Minutes int    // how long the link is good
}

// LinkPage says why a link is worth nothing.
type LinkPage struct {
	Fate    string    // expired, superseded, used or unknown; of an invitation also withdrawn or taken
	NewerAt time.Time // when the newest one was sent, if superseded
}

// CancelPage asks whether a link is to be cancelled.
type CancelPage struct{ Token string }

// SupportPage is the contact form, as filled in so far.
type SupportPage struct{ Name, Practice, NPI, Username, Email, Happened string }

// SupportSentPage says what happens now.
type SupportSentPage struct {
	Reference string
	Due       time.Time // when an answer is promised
}

// CasePage tells whoever opened a case how it stands.
type CasePage struct {
	Token     string
	Reference string
	State     string // a flows.CaseState, or "frozen": a key of locale, after "case.state."
	Opened    time.Time
	Due       time.Time
	Answered  bool
	Overdue   bool
	Until     time.Time // when the wait of one that waits is over
	Reply     string    // what Support answered: a key of locale, after "case.reply."; or ""
	Confirmed bool      // the new address is theirs
	Closed    bool
}

// HomePage is shown to whoever is signed in and goes nowhere.
type HomePage struct{ Username string }

// ConsentPage asks what an app of others may see.
type ConsentPage struct {
	Username string // whose account it would see
	Site     string // the host that the answer goes to
	Scopes   []ScopeLine
	Request  string // sealed
}

// ScopeLine is one thing that an app may see: in words if we know it, by its
// name if it is the app's own.
type ScopeLine struct {
	Name  string
	Known bool
}

// ScopeLines returns a line for each scope.
func ScopeLines(scopes, known []string) []ScopeLine {
	lines := make([]ScopeLine, len(scopes))
	for i, s := range scopes {
		lines[i] = ScopeLine{s, slices.Contains(known, s)}
	}
	return lines
}

// AppsPage lists the apps of others that may see something.
type AppsPage struct{ Apps []AppLine }

// AppLine is one of them.
type AppLine struct {
	Client string // its client_id
	Name   string
	Scopes []ScopeLine
	Given  time.Time
}

// LogoutPage asks whether to sign out, and keeps what an app asked for along
// with it.
type LogoutPage struct {
	Fields  []FormField
	Problem string // with the app's request, for its developers; "" for none
}

// LoggedOutPage tells apps in frames that somebody signed out, and leads on.
type LoggedOutPage struct {
	Frames []Frame // their origins go into frame-src
	To     string  // where the app wants the browser to go; "" for nowhere
}

// Frame is one app's.
type Frame struct{ App, URI string }

// StalePage leads on from a form that was answered, or is out of date.
type StalePage struct{ Expired bool }

// The pages of Account Settings > Security.

// SecurityPage is how one's account is proven, and what to change about it.
type SecurityPage struct {
	Username       string
	Email          string
	NewEmail       string // asked for and not confirmed from both addresses yet, or ""
	Language       string // of mails and pages, one of templates.Languages, or ""
	OwnPassword    bool   // it can be changed here
	OwnProfile     bool   // so can e-mail and language
	Required       bool   // a second factor is
	Authenticators []Authenticator
	Passkeys       []Authenticator
	CanPasskey     bool // one can be made here
	Fixed          bool // there is one second factor, and it cannot go
	CodesLeft      int  // backup codes not used yet
}

// Authenticator is one app that makes codes, or one passkey.
type Authenticator struct {
	ID    string
	Name  string
	Added time.Time
	Used  time.Time // last
}

// RemovePage asks whether an authenticator is to go.
type RemovePage struct {
	Authenticator
	Last bool // with it goes the second factor, and the backup codes
}

// SessionsPage lists where one is signed in, this browser first.
type SessionsPage struct{ Sessions []SessionLine }

// SessionLine is one browser that is signed in.
type SessionLine struct {
	ID      string // for the form that ends it
	Device  string // "Firefox on Windows", or ""
	Address string // where it came from, or ""
	Started time.Time
	Seen    time.Time
	Current bool // this one
}

// ActivityPage is what happened to the account lately, newest first.
type ActivityPage struct{ Lines []ActivityLine }

// ActivityLine is one event: what, in the words of activity.What.
type ActivityLine struct {
	What   string // "signed_in", "sign_in_failed.password": a key of locale, after "activity."
	At     time.Time
	Source string // an address, or ""
	Other  bool   // somebody else did it: Support, an operator, a job
	Team   bool   // those who run the team of their practice did
}

// EmailPage asks for the new address.
type EmailPage struct{ Now, Email string } // as it is, and as typed

// EmailSentPage says that both addresses have mail.
type EmailSentPage struct{ Now, New string }

// EmailLinkPage asks to confirm, or to cancel, a change of address.
type EmailLinkPage struct {
	Token string
	New   string // the address to be
}

// EmailConfirmedPage says what is missing yet.
type EmailConfirmedPage struct {
	Done bool   // both did: the address is changed
	Wait string // else the address whose link is still to be opened
}

// NotMePage asks whether a change was somebody else's.
type NotMePage struct{ Token string }

// The pages of Account Settings > Team Members that invite people.

// InvitePage is the form of an invitation, as filled in so far.
type InvitePage struct {
	Email     string
	Role      string
	Roles     []string // that they may give, the most restrictive first
	Locations []LocationChoice
}

// InvitesPage lists the invitations that are pending, the newest first.
type InvitesPage struct{ Invites []InviteLine }

// InviteLine is one of them.
type InviteLine struct {
	ID        string
	Email     string
	Role      string
	Locations []string // their names
	Sent      time.Time
	Until     time.Time
	Expired   bool
	Theirs    bool // to resend and to withdraw
}

// FaultPage gives what to tell Support.
type FaultPage struct{ Reference string }

// OAuthErrorPage says that an app's request cannot be answered, where the app
// itself cannot be told.
type OAuthErrorPage struct {
	App         string // its name, if it is known
	Code        string // RFC 6749 section 4.1.2.1
	Description string // for its developers
}

// FormPostPage posts an answer to an app (OAuth 2.0 Form Post Response Mode).
type FormPostPage struct {
	App    string
	Action string // the app's redirect URI; its origin goes into form-action
	Fields []FormField
}

// FormField is one hidden control.
type FormField struct{ Name, Value string }
