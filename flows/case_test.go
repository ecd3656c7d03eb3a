package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// moves are who does what in which states, where it leads, and whether it can be
// done while the case is frozen ("too": also, "only": not otherwise). It is written
// down a second time here, so that the table of case.go is not its own judge.
const moves = `
claimant confirm   open,verifying,approved          stays
claimant withdraw  open,verifying,approved,waiting  withdrawn  too
agent    take      open                             verifying
agent    take      verifying,approved               stays      too
agent    note      open,verifying,approved,waiting  stays      too
agent    reply     verifying,approved,waiting       stays      too
agent    reveal    verifying,approved,waiting       stays      too
agent    choose    verifying,approved               verifying
agent    check     verifying                        stays
agent    check     approved                         judged
agent    approve   verifying,approved               judged
agent    reject    open,verifying,approved,waiting  rejected   too
agent    thaw      verifying,approved,waiting       verifying  only
holder   freeze    verifying,approved,waiting       stays
holder   release   waiting                          done
timer    finish    waiting                          done
timer    return    waiting                          verifying
`

// worths are what none, one and two approvals lead to, of cases that lack nothing.
const worths = `
light                verifying  done      done
light called         verifying  done      done
light strict         verifying  done      done
light strict called  verifying  done      done
heavy                verifying  approved  waiting
heavy called         verifying  waiting   waiting
heavy strict         verifying  approved  approved
heavy strict called  verifying  approved  waiting
`

// variation is a case in one way it can be, but for its state and frost.
type variation struct {
	Case
	worth string // its row of worths; "": it lacks something
}

// lackings take from a heavy case what it needs, each something else; the first
// takes nothing.
var lackings = map[string]func(*Case){
	"":            func(*Case) {},
	"person":      func(c *Case) { c.Known = false },
	"remedy":      func(c *Case) { c.Remedies = nil },
	"confirmed":   func(c *Case) { c.Confirmed = false },
	"facts":       func(c *Case) { c.Checks = without(c.Checks, FactsCheck) },
	"identity":    func(c *Case) { c.Checks = without(c.Checks, IdentityCheck) },
	"affiliation": func(c *Case) { c.Checks = without(c.Checks, AffiliationCheck) },
}

func without(checks []Check, c Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(o Check) bool { return o == c })
}

// variations are light and heavy, with none to two approvals, called back or not,
// frozen before or not; and the heavy ones lacking each thing in turn.
func variations() (all []variation) {
	for _, weight := range []string{"light", "heavy"} {
		for lack, take := range lackings {
			if weight == "light" && lack != "" {
				continue
			}
			for bits := range 4 {
				for approvals := range 3 {
					v := variation{Case{Strict: bits&1 > 0, Known: true, Confirmed: true, Approvals: approvals,
						Remedies: []Remedy{Unlock}, Checks: []Check{FactsCheck}}, weight}
					if weight == "heavy" {
						v.Remedies = []Remedy{Unlock, RestoreEmail}
						v.Checks = append(v.Checks, IdentityCheck, AffiliationCheck)
					}
					if v.Strict {
						v.worth += " strict"
					}
					if bits&2 > 0 {
						v.worth += " called"
						v.Checks = append(v.Checks, CallBack)
					}
					if take(&v.Case); lack != "" {
						v.worth = ""
					}
					all = append(all, v)
				}
			}
		}
	}
	return all
}

// everywhere calls f with every state, frost, actor, action and variation.
func everywhere(f func(v variation, by CaseActor, do CaseAction)) {
	for _, v := range variations() {
		for _, state := range CaseStates {
			for _, frozen := range []bool{false, true} {
				v.State, v.Frozen = state, frozen
				for _, by := range []CaseActor{Claimant, Holder, Agent, Timer} {
					for _, do := range CaseActions {
						f(v, by, do)
					}
				}
			}
		}
	}
}

// judged is what worths say of a variation.
func (v variation) judged(t *testing.T) CaseState {
	if v.worth == "" {
		return CaseVerifying
	}
	for line := range strings.Lines(worths) {
		if f := strings.Fields(line); len(f) > 3 && strings.Join(f[:len(f)-3], " ") == v.worth {
			return CaseState(f[len(f)-3+v.Approvals])
		}
	}
	t.Fatalf("worths have no row %q", v.worth)
	return ""
}

// expected is what moves say; false: it is refused.
func (v variation) expected(t *testing.T, by CaseActor, do CaseAction) (CaseState, bool) {
	for line := range strings.Lines(moves) {
		f := append(strings.Fields(line), "no")
		if len(f) < 5 || f[0] != string(by) || f[1] != string(do) || !slices.Contains(strings.Split(f[2], ","), string(v.State)) {
			continue
		}
		if v.Frozen && f[4] == "no" || !v.Frozen && f[4] == "only" {
			continue
		}
		switch f[3] {
		case "stays":
			return v.State, true
		case "judged":
			return v.judged(t), true
		}
		return CaseState(f[3]), true
	}
	return v.State, false
}

func (v variation) String() string {
	return fmt.Sprintf("%s (frozen %v, strict %v) for %v with %v, %d approvals, lacking %v",
		v.State, v.Frozen, v.Strict, v.Remedies, v.Checks, v.Approvals, v.Lacks())
}

// Every actor does every action in every state: what the table does not have is
// refused, and leaves the case where it is.
func TestCaseMoves(t *testing.T) {
	allowed := map[string]bool{}
	everywhere(func(v variation, by CaseActor, do CaseAction) {
		got, ok := v.Move(by, do)
		want, may := v.expected(t, by, do)
		if got != want || ok != may {
			t.Errorf("%s: the %s's %s leads to %s (%v), want %s (%v)", v, by, do, got, ok, want, may)
		}
		if ok {
			allowed[fmt.Sprintf("%s %s %s %v", v.State, by, do, v.Frozen)] = true
		}
	})
	// 7 states, frozen or not, 4 actors, 15 actions: 840, of which so few are moves.
	if len(allowed) != 59 {
		t.Errorf("%d of the 840 combinations are moves", len(allowed))
	}
}

func TestNothingLeadsOutOfAClosedCase(t *testing.T) {
	everywhere(func(v variation, by CaseActor, do CaseAction) {
		if _, ok := v.Move(by, do); ok && slices.Contains([]CaseState{CaseDone, CaseRejected, CaseWithdrawn}, v.State) {
			t.Errorf("%s: the %s's %s is possible", v, by, do)
		}
	})
}

// A frozen case is talked about, ended or thawed; nothing in it comes nearer to
// being done, and the timer leaves it alone.
func TestAFrozenCaseGoesNowhere(t *testing.T) {
	may := []CaseAction{CaseWithdraw, CaseNote, CaseReply, CaseReveal, CaseTake, CaseReject, CaseThaw}
	everywhere(func(v variation, by CaseActor, do CaseAction) {
		to, ok := v.Move(by, do)
		if !ok || !v.Frozen {
			return
		}
		if !slices.Contains(may, do) || by == Timer || by == Holder {
			t.Errorf("%s: the %s's %s is possible", v, by, do)
		}
		if to == CaseDone || to == CaseWaiting && v.State != CaseWaiting {
			t.Errorf("%s: the %s's %s leads to %s", v, by, do, to)
		}
	})
}

// enough is the rule in words: one agent for what gives nobody access; else two, or
// one who called back; and both once somebody had stopped the case.
func (v variation) enough() bool {
	called := slices.Contains(v.Checks, CallBack)
	switch {
	case v.worth == "":
		return false
	case !slices.Contains(v.Remedies, RestoreEmail):
		return v.Approvals >= 1
	case v.Strict:
		return v.Approvals >= 2 && called
	}
	return v.Approvals >= 2 || v.Approvals == 1 && called
}

// No agent gets a case done, or on its way to that, without the approvals that it
// needs; and what opens an account is never done but by way of the wait.
func TestNoAgentGetsACaseDoneAlone(t *testing.T) {
	everywhere(func(v variation, by CaseActor, do CaseAction) {
		to, ok := v.Move(by, do)
		if !ok || to == v.State {
			return
		}
		if by == Agent && (to == CaseDone || to == CaseWaiting) && !v.enough() {
			t.Errorf("%s: an agent's %s leads to %s", v, do, to)
		}
		if to == CaseDone && slices.Contains(v.Remedies, RestoreEmail) && v.State != CaseWaiting {
			t.Errorf("%s: the %s's %s leads there at once", v, by, do)
		}
		if to == CaseDone && v.State == CaseWaiting && by != Holder && by != Timer {
			t.Errorf("%s: the %s's %s ends the wait", v, by, do)
		}
	})
}

// Stands is asked when the wait is over, of agents who may be none any more.
func TestWhatWasApprovedStandsWhileItIsEnough(t *testing.T) {
	for _, v := range variations() {
		if got := v.Stands(); got != v.enough() {
			t.Errorf("%s: stands is %v", v, got)
		}
	}
}

func TestWhatACaseLacks(t *testing.T) {
	all := []Check{FactsCheck, IdentityCheck, AffiliationCheck}
	for _, tc := range []struct {
		name string
		c    Case
		want string
	}{
		{"a new one", Case{}, "person remedy facts"},
		{"light, nothing checked", Case{Known: true, Remedies: []Remedy{SendLink}}, "facts"},
		{"light, facts agree", Case{Known: true, Remedies: []Remedy{SendLink, Unlock}, Checks: all[:1]}, ""},
		{"heavy, facts agree", Case{Known: true, Remedies: []Remedy{RestoreSecond}, Checks: all[:1]}, "identity affiliation"},
		{"heavy, a call-back instead of the rest", Case{Known: true, Remedies: []Remedy{ReplaceOwner},
			Checks: []Check{FactsCheck, CallBack}}, "identity affiliation"},
		{"heavy, all checked", Case{Known: true, Remedies: []Remedy{ReplaceOwner, Unlock}, Checks: all}, ""},
		{"an address that nobody confirmed", Case{Known: true, Remedies: []Remedy{RestoreEmail}, Checks: all}, "confirmed"},
		{"an address that was confirmed", Case{Known: true, Confirmed: true, Remedies: []Remedy{RestoreEmail}, Checks: all}, ""},
		{"heavy beside light", Case{Known: true, Remedies: []Remedy{SendLink, RestoreSecond}}, "facts identity affiliation"},
	} {
		if got := strings.Join(tc.c.Lacks(), " "); got != tc.want {
			t.Errorf("%s lacks %q, want %q", tc.name, got, tc.want)
		}
	}
}
