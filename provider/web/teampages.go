package web

import "time"

// The pages of Account Settings > Team Members.

// TeamPage lists the people of a practice.
type TeamPage struct {
	Practice string // its name
	Query    string // what was searched for
	Members  []MemberLine
	Found    int // on all pages
	Previous int // pages, from 1; 0: none
	Next     int
}

// MemberLine is one person of a practice.
type MemberLine struct {
	ID       string
	Name     string // or else the username
	Username string
	Role     string
	Status   string    // "active", "locked", "invited", …: a key of locale, after "status."
	Until    time.Time // when the lock, or the invitation, ends
	SignedIn time.Time // last; zero: never
	Second   bool      // has a second factor
	Dormant  bool      // has not signed in for long, and could
	You      bool
	Manage   bool // the reader may
}

// MemberPage is Manage Access for one person.
type MemberPage struct {
	MemberLine
	Email      string
	NoPassword bool     // only a reset link helps
	Roles      []string // those that may be given, and theirs; empty: it cannot be changed
	Locations  []LocationChoice
	Heir       bool // the reader may offer them the practice
}

// LocationChoice is a place where somebody works, or could.
type LocationChoice struct {
	ID, Name string
	Chosen   bool
}

// MemberConfirmPage asks before what cannot be taken back by a click.
type MemberConfirmPage struct {
	MemberLine
	Act string // "reset-second", "deactivate" or "transfer": the end of the form's path, and keys of locale
}

// OwnershipPage tells how it stands with a practice that changes hands.
type OwnershipPage struct {
	State       string // "none", "asked" (the reader), "offered" (by the reader) or "agreed"
	Practice    string
	Owner, Heir string    // their names
	Expires     time.Time // for the heir to agree
	Due         time.Time // when it happens
}

// LocationsPage lists the places of a practice.
type LocationsPage struct {
	Practice  string
	Locations []LocationChoice
	Name      string // as typed, of one to add
	Renaming  string // the ID of the one whose name was refused, or ""
	NewName   string // as typed, of that
	Full      bool
}

// AccessPage is the access review: who has access to a practice.
type AccessPage struct {
	Practice string
	At       time.Time
	Members  []AccessLine
	Days     int // without a sign-in that make somebody dormant
}

// AccessLine is one of them.
type AccessLine struct {
	MemberLine
	Email     string
	Locations []string
}
