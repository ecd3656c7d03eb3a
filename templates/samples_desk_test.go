package templates

import "time"

// deskSamples are the pages of the support desk, and those of whoever holds an
// account that a case is about.
func deskSamples(wrong func(...string) []Problem) []sample {
	type line struct {
		ID, State, Name, Practice string
		Remedies                  []string
		Opened, Due               time.Time
		Overdue, Answered         bool
		Until, Closed             time.Time
		Yours, Taken              bool
	}
	type list struct {
		Cases  []line
		Closed bool
		Query  string
	}
	type fact struct{ What, Claimed, Fits, Stored string }
	type person struct {
		ID, By string
		Chosen bool
	}
	type choice struct {
		Name   string
		Chosen bool
	}
	type check struct {
		Name string
		Done bool
	}
	type entry struct {
		At                      time.Time
		Who, Action, Item, Text string
	}
	type one struct {
		CaseLine line
		line
		Email, Happened                        string
		Confirmed, Strict                      bool
		Round                                  int64
		Reply                                  string
		Facts                                  []fact
		Revealed, Known                        bool
		Status, Role                           string
		Second, Phone                          bool
		People                                 []person
		Choices                                []choice
		Checks                                 []check
		Lacks                                  []string
		Approvers                              int
		Approved, Open, Frozen, Begun, Waiting bool
		Replies, Refusals                      []string
		Log                                    []entry
		Alike                                  []string
		Minutes                                int
		Typed                                  map[string]string
	}
	type activity struct {
		What   string
		At     time.Time
		Source string
		Other  bool
		Team   bool
	}
	type trail struct {
		ID    string
		Lines []activity
	}
	type notice struct {
		Token, Reference string
		Remedies         []string
		Waiting          bool
		Until            time.Time
		Frozen, Release  bool
	}

	fresh := line{ID: "AB12CD34", State: "open", Name: "Grace Okafor", Practice: "Riverside Family Practice", Opened: noon, Due: noon, Overdue: true}
	mine := fresh
	mine.State, mine.Overdue, mine.Answered, mine.Yours, mine.Taken = "verifying", false, true, true, true
	mine.Remedies = []string{"email", "second"}
	waits, done := mine, mine
	waits.State, waits.Until, waits.Yours = "waiting", noon, false
	done.State, done.Closed = "done", noon
	frozen := mine
	frozen.State = "frozen"

	facts := []fact{{"name", "Grace Okafor", "yes", "Grace Okafor"}, {"practice", "Riverside Family Practice", "yes", "Riverside Family Practice"},
		{"npi", "1234567893", "no", "1245319599"}, {"username", "", "unknown", "grace"},
		{"email", "grace@a-very-long-name-of-a-practice.example", "no", "grace@old.example"}, {"phone", "", "unknown", ""},
		{"registry", "Grace Okafor", "yes", ""}}
	hidden := make([]fact, len(facts))
	for i, f := range facts {
		f.Stored = ""
		hidden[i] = f
	}
	remedies := []choice{{"email", true}, {"second", true}, {"owner", false}, {"unlock", false}, {"link", false}}
	checks := []check{{"facts", true}, {"identity", false}, {"affiliation", false}, {"call", false}}
	log := []entry{{noon, "", "confirm", "", ""}, {noon, "", "withdraw", "", ""}, {noon, "amy", "take", "", ""}, {noon, "amy", "choose", "", ""}, {noon, "amy", "check", "check.facts", "Seen in the directory."},
		{noon, "amy", "reply", "case.reply.identity", ""}, {noon, "amy", "reveal", "", "To call back."}, {noon, "ben", "note", "", "Called at 4."},
		{noon, "", "freeze", "", ""}, {noon, "amy", "thaw", "", "It was a colleague."}, {noon, "amy", "approve", "", ""},
		{noon, "", "return", "", ""}, {noon, "", "release", "", ""}, {noon, "", "finish", "", ""}, {noon, "amy", "reject", "case.reply.unproven", ""}}
	of := func(l line) one {
		return one{CaseLine: l, line: l, Email: "grace@new.example", Happened: "Lost my phone.", Round: 1, Facts: hidden, Open: true,
			Replies: []string{"confirm", "identity", "practice", "call", "owner"}, Refusals: []string{"unproven", "not_needed", "owner"},
			Minutes: 15, Choices: remedies, Checks: checks, Lacks: []string{"person", "remedy", "confirmed", "facts", "identity", "affiliation"}}
	}
	begun := func(l line) one {
		c := of(l)
		c.Begun, c.Known, c.Status, c.Role, c.Second, c.Phone, c.Log = true, true, "held", "owner", true, true, log
		c.People = []person{{"p1", "chosen", true}, {"p2", "username", false}, {"p3", "npi", false}, {"p4", "email", false}}
		return c
	}
	seen := begun(mine)
	seen.Facts, seen.Revealed, seen.Confirmed, seen.Reply, seen.Alike, seen.Strict = facts, true, true, "identity", []string{"ZZ12CD34"}, true
	ready := begun(waits)
	ready.State, ready.CaseLine.State, ready.Lacks, ready.Approvers = "approved", "approved", nil, 1
	approved := ready
	approved.Approved = true
	waiting := begun(waits)
	waiting.Waiting = true
	stopped := begun(frozen)
	stopped.Frozen = true
	over := begun(done)
	over.Open = false
	page := func(name string, data any) Page { return Page{Name: name, Data: data} }
	refused := page("desk_case", begun(mine))
	refused.Problems = wrong("reason", "account", "evidence-identity", "reply", "why", "note")
	unthawed := page("desk_case", stopped)
	unthawed.Problems = wrong("thaw")
	told := page("desk_case", seen)
	told.Notice = "Done."

	ask := notice{"t1", "AB12CD34", []string{"email", "second"}, true, noon, false, true}
	iced := ask
	iced.Frozen, iced.Release = true, false
	byLink := Page{Name: "case_notice", Action: "/contact-support", Data: ask}
	lines := []activity{{"signed_in", noon, "192.0.2.7", false, false}, {"lock_cleared", noon, "", true, false}, {"lock_cleared", noon, "", false, true}}
	return []sample{
		{"", page("desk", list{Cases: []line{fresh, mine, waits, frozen}})},
		{"not found", page("desk", list{Query: "AB"})},
		{"closed", page("desk", list{Cases: []line{done}, Closed: true})},
		{"new", page("desk_case", of(fresh))},
		{"revealed", told},
		{"to approve", page("desk_case", ready)},
		{"approved", page("desk_case", approved)},
		{"waiting", page("desk_case", waiting)},
		{"frozen", page("desk_case", stopped)},
		{"not thawed", unthawed},
		{"refused", refused},
		{"over", page("desk_case", over)},
		{"", page("desk_trail", trail{"AB12CD34", lines})},
		{"nothing", page("desk_trail", trail{ID: "AB12CD34"})},
		{"", byLink},
		{"stopped", Page{Name: "case_notice", Action: "/account/case", Data: iced}},
		{"", Page{Name: "case_over"}},
	}
}
