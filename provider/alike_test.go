package provider

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shape is all by which an answer could tell whose name was typed.
type shape struct {
	Status     int
	Headers    map[string][]string
	Text       string
	Statements []string
	Hashes     int64
}

var (
	randomParts = regexp.MustCompile(`(name="flow" value="|flow=)[A-Za-z0-9_-]{43}`)
	challenges  = regexp.MustCompile(`(challenge&#34;:&#34;)[A-Za-z0-9_-]{43}`)
	times       = regexp.MustCompile(`(datetime|data-until|data-left)="[^"]*"|>[^<]*UTC[^<]*<`)
)

// shapeOf does something for a name and notes all that it shows.
func (h *house) shapeOf(name string, do func() answer) shape {
	h.t.Helper()
	var s shape
	var a answer
	hashes := h.Hasher.Verified()
	s.Statements = h.during(func() { a = do() })
	s.Hashes = h.Hasher.Verified() - hashes
	s.Status, s.Headers = a.StatusCode, a.Header
	s.Text = times.ReplaceAllString(randomParts.ReplaceAllString(strings.ReplaceAll(a.text, name, "NAME"), "FLOW"), "TIME")
	s.Text = challenges.ReplaceAllString(s.Text, "${1}CHALLENGE")
	return s
}

// Whom nobody may tell apart: somebody, somebody whose account is stopped,
// whose address was never proven, who has no password yet, and nobody.
var whoever = []string{"grace", "stopt", "unver", "empty", "nobdy"}

// N33, CVE-2022-39307: T27 for the words, the status, the headers, the cookies
// and the work, on the page that asks for a link.
func TestForgotPasswordTellsNobodyApart(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.browser().post("/forgot-password", "email", "warms@the.caches")
	want := map[int]shape{}
	for _, name := range whoever {
		b := h.browser()
		for try := range 4 { // the fourth in an hour mails nothing
			got := h.shapeOf(name, func() answer { return b.post("/forgot-password", "email", name+"@river.example") })
			mailed := slices.Contains(got.Statements, "AddMail")
			if mailed != (try < 3) || got.Status != 200 || len(got.Headers["Set-Cookie"]) != 0 {
				t.Errorf("%s, try %d: %+v", name, try, got)
			}
			if name == whoever[0] {
				want[try] = got
			}
			if d := cmp.Diff(want[try], got); d != "" {
				t.Errorf("%s, try %d (-%s +%s):\n%s", name, try, whoever[0], name, d)
			}
		}
	}
}

// The same for signing in: four wrong passwords, the fifth, which locks, and
// what comes after it.
func TestSigningInTellsNobodyApart(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.phone("id-edith") // nor is it told who has a second factor
	want := map[int]shape{}
	for _, name := range append(whoever, "edith") {
		b := h.browser()
		page := b.get("/login")
		for try := range 7 {
			got := h.shapeOf(name, func() answer { return b.signIn(page, name, "not the right one") })
			if name == whoever[0] {
				want[try] = got
			}
			if d := cmp.Diff(want[try], got); d != "" {
				t.Errorf("%s, try %d (-%s +%s):\n%s", name, try, whoever[0], name, d)
			}
		}
	}
	if want[0].Status != 401 || want[0].Hashes != 1 || want[5].Status != 403 || want[5].Hashes != 0 {
		t.Errorf("the first try gave %d, the sixth %d", want[0].Status, want[5].Status)
	}
	if !slices.Contains(want[4].Statements, "AddMail") {
		t.Errorf("the fifth wrong password mails nobody: %v", want[4].Statements)
	}
}

// A stopped account answers the right password as any wrong one.
func TestTheRightPasswordOfAStoppedAccountTellsNothing(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	page := b.get("/login")
	right := h.shapeOf("stopt", func() answer { return b.signIn(page, "stopt", rightPassword) })
	wrong := h.shapeOf("unver", func() answer { return b.signIn(page, "unver", "not the right one") })
	if d := cmp.Diff(wrong, right); d != "" {
		t.Error(d)
	}
}
