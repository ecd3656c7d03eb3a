package web

import (
	"time"

	"github.com/medximity/idp/provider/store"
)

// The pages of the support desk, and those by which the holder of an account stops
// a case about it.

// DeskPage lists cases.
type DeskPage struct {
	Cases  []CaseLine
	Closed bool   // those that are over
	Query  string // the number that was searched for, and not found
}

// CaseLine is a case in a list.
type CaseLine struct {
	ID       string
	State    string // a flows.CaseState, or "frozen": a key of locale, after "case.state."
	Name     string // as claimed
	Practice string // likewise
	Remedies []string
	Opened   time.Time
	Due      time.Time
	Overdue  bool
	Answered bool
	Until    time.Time // when the wait is over; zero: it does not wait
	Closed   time.Time // zero: it is not
	Yours    bool      // the reader works on it
	Taken    bool      // somebody does
}

// DeskCasePage is one case, and all that can be done to it.
type DeskCasePage struct {
	CaseLine
	Email     string // the new one, as claimed
	Happened  string
	Confirmed bool // the new address is read by whoever opened it
	Strict    bool // was stopped once
	Round     int64
	Reply     string // the newest, a key after "case.reply."

	Facts    []FactLine
	Revealed bool // the reader sees what the directory holds
	Known    bool // whose account it is, the desk thinks it knows
	Status   string
	Role     string
	Second   bool
	Phone    bool // there is a number on file

	People    []PersonChoice
	Choices   []RemedyChoice
	Checks    []CheckLine
	Lacks     []string // before anybody can approve: keys after "desk.lack."
	Approvers int
	Approved  bool // by the reader
	Open      bool // not closed
	Frozen    bool
	Begun     bool // somebody works on it, or did
	Waiting   bool

	Replies, Refusals []string // keys after "case.reply."
	Log               []CaseLogLine
	Alike             []string
	Minutes           int               // for how long stored values are shown
	Typed             map[string]string // that could not be taken, by control
}

// FactLine sets what was claimed beside what the directory, and the registry,
// hold.
type FactLine struct {
	What    string // a key after "desk.fact."
	Claimed string
	Fits    string // "yes", "no", "unknown": a key after "desk.fits."
	Stored  string // once it is revealed
}

// PersonChoice is an account that a case may be about.
type PersonChoice struct {
	ID     string
	By     string // what it was found by: a key after "desk.by."
	Chosen bool
}

// RemedyChoice is one thing that can be done.
type RemedyChoice struct {
	Name   string // a key after "remedy."
	Chosen bool
}

// CheckLine is an item of the checklist.
type CheckLine struct {
	Name string // a key after "check."
	Done bool
}

// CaseLogLine is one thing that was done in a case.
type CaseLogLine struct {
	At     time.Time
	Who    string // an agent's username; "" for others
	Action string // a key after "desk.log."
	Item   string // of a check and a reply, a key; else ""
	Text   string
}

// DeskTrailPage is what happened to the account of a case.
type DeskTrailPage struct {
	ID    string
	Lines []ActivityLine
}

// CaseNoticePage tells the holder of an account what the desk is about to do.
type CaseNoticePage struct {
	Token     string // "": they are signed in
	Reference string
	Remedies  []string
	Waiting   bool
	Until     time.Time
	Frozen    bool
	Release   bool
}

// CaseNoticeOf is a notice as the page shows it.
func CaseNoticeOf(n *store.CaseNotice, token string) CaseNoticePage {
	p := CaseNoticePage{Token: token, Reference: n.ID, Waiting: n.Waiting, Until: n.Until, Frozen: n.Frozen, Release: n.Release}
	for _, r := range n.Remedies {
		p.Remedies = append(p.Remedies, string(r))
	}
	return p
}
