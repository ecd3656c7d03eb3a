package flows

import (
	"slices"
	"time"
)

// A case is what somebody asked the support desk for who cannot get in. Where a
// case goes is decided here alone: by its state, by who acts, and by what they do.
//
//	open → verifying → approved → waiting → done
//	                 └──────── done, for what gives nobody access
//
// It may end as rejected or withdrawn from wherever it is. Frozen is a mark beside
// the state: somebody who holds the account says that it was not them.

// CaseState is how far a case has come.
type CaseState string

// The states.
const (
	CaseOpen      CaseState = "open"      // nobody of the desk is at it
	CaseVerifying CaseState = "verifying" // an agent finds out who asks
	CaseApproved  CaseState = "approved"  // by one agent; it needs more than one
	CaseWaiting   CaseState = "waiting"   // for a day, in which the account's holder can stop it
	CaseDone      CaseState = "done"
	CaseRejected  CaseState = "rejected"  // by the desk
	CaseWithdrawn CaseState = "withdrawn" // by whoever opened it
)

// CaseStates are all.
var CaseStates = []CaseState{CaseOpen, CaseVerifying, CaseApproved, CaseWaiting, CaseDone, CaseRejected, CaseWithdrawn}

// CaseFor is how long it waits: whoever holds the account needs a day to see it.
const CaseFor = 24 * time.Hour

// Closed reports whether nothing will ever be done any more.
func (s CaseState) Closed() bool {
	return s == CaseDone || s == CaseRejected || s == CaseWithdrawn
}

// CaseActor is who does something to a case.
type CaseActor string

// The actors.
const (
	Claimant CaseActor = "claimant" // whoever opened it, by the link in the mail to the new address
	Holder   CaseActor = "holder"   // reads the address on file, has a live session, or owns the practice
	Agent    CaseActor = "agent"    // of the desk
	Timer    CaseActor = "timer"
)

// CaseAction is what they do.
type CaseAction string

// The actions. Those with a reason keep it, sealed, in the log of the case.
const (
	CaseConfirm  CaseAction = "confirm" // the new address is theirs
	CaseWithdraw CaseAction = "withdraw"
	CaseTake     CaseAction = "take"   // the agent works on it from now on
	CaseNote     CaseAction = "note"   // down what was found
	CaseReply    CaseAction = "reply"  // with one of our own texts, never with an agent's
	CaseReveal   CaseAction = "reveal" // what the directory holds, for a reason
	CaseChoose   CaseAction = "choose" // whose account, and what is to be done; voids approvals
	CaseCheck    CaseAction = "check"  // one item of the checklist, with its evidence
	CaseApprove  CaseAction = "approve"
	CaseReject   CaseAction = "reject"
	CaseFreeze   CaseAction = "freeze"  // "this was not me"
	CaseThaw     CaseAction = "thaw"    // for a reason; all is to be approved anew, more strictly
	CaseRelease  CaseAction = "release" // it was them: no need to wait
	CaseFinish   CaseAction = "finish"  // the wait is over
	CaseReturn   CaseAction = "return"  // what was approved cannot be done any more
)

// CaseActions are all.
var CaseActions = []CaseAction{CaseConfirm, CaseWithdraw, CaseTake, CaseNote, CaseReply, CaseReveal, CaseChoose,
	CaseCheck, CaseApprove, CaseReject, CaseFreeze, CaseThaw, CaseRelease, CaseFinish, CaseReturn}

// caseMove is a row of the table: who does what, in which states, and where it
// leads.
type caseMove struct {
	actor  CaseActor
	action CaseAction
	from   []CaseState
	to     CaseState // stays: where it is; judged: see Case.judge
	frozen bool      // also while it is frozen
}

const (
	stays  CaseState = ""
	judged CaseState = "judged"
)

// caseMoves are all. What is not here is refused.
var caseMoves = []caseMove{
	{Claimant, CaseConfirm, in(CaseOpen, CaseVerifying, CaseApproved), stays, false},
	{Claimant, CaseWithdraw, in(CaseOpen, CaseVerifying, CaseApproved, CaseWaiting), CaseWithdrawn, true},

	{Agent, CaseTake, in(CaseOpen), CaseVerifying, false},
	{Agent, CaseTake, in(CaseVerifying, CaseApproved), stays, true},
	{Agent, CaseNote, in(CaseOpen, CaseVerifying, CaseApproved, CaseWaiting), stays, true},
	{Agent, CaseReply, in(CaseVerifying, CaseApproved, CaseWaiting), stays, true},
	{Agent, CaseReveal, in(CaseVerifying, CaseApproved, CaseWaiting), stays, true},
	{Agent, CaseChoose, in(CaseVerifying, CaseApproved), CaseVerifying, false},
	{Agent, CaseCheck, in(CaseVerifying), stays, false},
	{Agent, CaseCheck, in(CaseApproved), judged, false},
	{Agent, CaseApprove, in(CaseVerifying, CaseApproved), judged, false},
	{Agent, CaseReject, in(CaseOpen, CaseVerifying, CaseApproved, CaseWaiting), CaseRejected, true},

	{Holder, CaseFreeze, in(CaseVerifying, CaseApproved, CaseWaiting), stays, false},
	{Holder, CaseRelease, in(CaseWaiting), CaseDone, false},

	{Timer, CaseFinish, in(CaseWaiting), CaseDone, false},
	{Timer, CaseReturn, in(CaseWaiting), CaseVerifying, false},
}

// caseThaw leads out of being frozen, from wherever that came.
var caseThaw = caseMove{Agent, CaseThaw, in(CaseVerifying, CaseApproved, CaseWaiting), CaseVerifying, true}

func in(states ...CaseState) []CaseState { return states }

// Remedy is what the desk can do for somebody. None gives an agent anything: what
// is sent goes to the address of the account.
type Remedy string

// The remedies.
const (
	RestoreEmail  Remedy = "email"  // the account gets the confirmed new address, and there a reset link
	RestoreSecond Remedy = "second" // the second factor is taken away, and a reset link is sent
	ReplaceOwner  Remedy = "owner"  // they become the Account Owner of their practice
	Unlock        Remedy = "unlock"
	SendLink      Remedy = "link" // a reset link to the address on file
)

// Remedies are all, in the order in which they are done.
var Remedies = []Remedy{RestoreEmail, RestoreSecond, ReplaceOwner, Unlock, SendLink}

// Heavy reports whether it gives access that a thief could want: two people and
// a day are between asking for it and having it.
func (r Remedy) Heavy() bool { return r == RestoreEmail || r == RestoreSecond || r == ReplaceOwner }

// Check is an item of the checklist. Names, practices and NPIs are public, so
// agreeing with them alone proves nothing (NIST SP 800-63B-4 section 4.2.2).
type Check string

// The checks.
const (
	FactsCheck       Check = "facts"       // what was claimed agrees with the directory
	IdentityCheck    Check = "identity"    // a photo ID was shown, live, by whoever asks
	AffiliationCheck Check = "affiliation" // the practice, or a licensing board, vouches for them
	CallBack         Check = "call"        // they were called, at the number on file
)

// Checks are all.
var Checks = []Check{FactsCheck, IdentityCheck, AffiliationCheck, CallBack}

// Case is all of one that its moves depend on.
type Case struct {
	State     CaseState
	Frozen    bool
	Strict    bool // was frozen once: a second agent and a call-back, not one of them
	Known     bool // whose account it is about
	Confirmed bool // the new address is read by whoever opened it
	Remedies  []Remedy
	Checks    []Check
	Approvals int // of just this, by so many agents
}

// Move returns the state to which an action leads; false if it is refused, with
// the state as it is. Of an approval and of a check the case must hold it already.
func (c Case) Move(by CaseActor, do CaseAction) (CaseState, bool) {
	if do == CaseThaw {
		if !c.Frozen || by != caseThaw.actor || !slices.Contains(caseThaw.from, c.State) {
			return c.State, false
		}
		return caseThaw.to, true
	}
	for _, m := range caseMoves {
		if m.actor != by || m.action != do || !slices.Contains(m.from, c.State) || c.Frozen && !m.frozen {
			continue
		}
		switch m.to {
		case stays:
			return c.State, true
		case judged:
			return c.judge(), true
		}
		return m.to, true
	}
	return c.State, false
}

// judge says what so many approvals are worth.
func (c Case) judge() CaseState {
	called := slices.Contains(c.Checks, CallBack)
	switch {
	case c.Approvals == 0, len(c.Lacks()) > 0:
		return CaseVerifying
	case !c.Heavy():
		return CaseDone
	case c.Strict && c.Approvals > 1 && called, !c.Strict && (c.Approvals > 1 || called):
		return CaseWaiting
	}
	return CaseApproved
}

// Stands reports whether what was approved is enough to be done.
func (c Case) Stands() bool {
	to := c.judge()
	return to == CaseWaiting || to == CaseDone
}

// Heavy reports whether any of its remedies is.
func (c Case) Heavy() bool { return slices.ContainsFunc(c.Remedies, Remedy.Heavy) }

// Lacks are what a case needs before anybody can approve it: "person", "remedy",
// "confirmed", and the names of checks.
func (c Case) Lacks() (lacks []string) {
	need := func(ok bool, what string) {
		if !ok {
			lacks = append(lacks, what)
		}
	}
	need(c.Known, "person")
	need(len(c.Remedies) > 0, "remedy")
	need(c.Confirmed || !slices.Contains(c.Remedies, RestoreEmail), "confirmed")
	need(slices.Contains(c.Checks, FactsCheck), string(FactsCheck))
	if c.Heavy() {
		need(slices.Contains(c.Checks, IdentityCheck), string(IdentityCheck))
		need(slices.Contains(c.Checks, AffiliationCheck), string(AffiliationCheck))
	}
	return lacks
}
