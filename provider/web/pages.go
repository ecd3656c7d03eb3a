package web

import "time"

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
	Fate    string    // expired, superseded, used or unknown
	NewerAt time.Time // when the newest one was sent, if superseded
}

// CancelPage asks whether a link is to be cancelled.
type CancelPage struct{ Token string }

// SupportPage is the contact form, as filled in so far.
type SupportPage struct{ Name, Practice, NPI, Username, Email string }

// SupportSentPage says what happens now.
type SupportSentPage struct {
	Reference string
	Due       time.Time // when an answer is promised
}

// HomePage is shown to whoever is signed in and goes nowhere.
type HomePage struct{ Username string }

// StalePage leads on from a form that was answered, or is out of date.
type StalePage struct{ Expired bool }

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
