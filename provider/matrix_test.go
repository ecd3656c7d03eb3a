package provider

import (
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/settings"
)

// actor is who asks, in a browser.
type actor struct {
	*person
	name       string
	member     *member
	out, stale bool // not signed in (any more); signed in, but not lately
}

// cell is one request of the matrix.
type cell struct {
	actor        *actor
	method, path string
	route        *settings.Route // nil: there is none for the method
	try          try
}

func (c cell) String() string {
	return c.actor.name + ": " + c.method + " " + c.path + " (" + c.try.name + ")"
}

func (c cell) admitted() bool {
	return c.route != nil && !c.actor.out && (!c.actor.stale || c.route.Needs != settings.Fresh)
}

// ruling is the rule for it.
func (c cell) ruling() ruling {
	switch {
	case c.route == nil:
		return absent
	case c.route.Needs == settings.Nothing:
		return laws[c.route.Pattern](c.actor.member, c.try)
	case !c.admitted():
		return asks
	case strings.HasPrefix(c.path, "/account/team") && !c.actor.runs():
		return denied
	}
	return laws[c.route.Pattern](c.actor.member, c.try)
}

func (a *actor) runs() bool {
	return a.member != nil && a.member.practice != "" && a.member.role.Manages()
}

// N80: role × practice × route × method × target, of all pages of the team.
// Who may not, changes nothing, and reads of nobody. IDP_FULL=1 tries all cells,
// other runs some of each rule of each route (IDP_SEED takes others).
func TestMatrixOfTeams(t *testing.T) {
	t.Parallel()
	w := newPractices(t)
	actors := w.enter()
	taken, idle := w.cells(actors)
	all := len(taken) + len(idle)
	if os.Getenv("IDP_FULL") == "" {
		seed := uint64(80)
		fromEnv(t, "IDP_SEED", func(n uint64) { seed = n })
		r := rand.New(rand.NewPCG(seed, 80))
		r.Shuffle(len(taken), func(i, j int) { taken[i], taken[j] = taken[j], taken[i] })
		r.Shuffle(len(idle), func(i, j int) { idle[i], idle[j] = idle[j], idle[i] })
		taken, idle = some(taken, 1), idle[:60]
	}
	seen := map[ruling]int{}
	for n, c := range append(taken, idle...) {
		seen[c.ruling()]++
		w.judge(c)
		if n%1000 == 999 {
			w.restore() // drops the sign-ins that were begun
		}
	}
	t.Logf("%d of %d cells, by ruling %v", len(taken)+len(idle), all, seen)
	for _, v := range []ruling{sees, takes, does, moot, denied, absent, stands, wrong, over} {
		if seen[v] == 0 {
			t.Errorf("nobody ever came to %v: the matrix tries too little", v)
		}
	}
}

// some are so many of each that a rule of a route says of own and of others'
// people, locations and invitations.
func some(cells []cell, most int) (out []cell) {
	type rule struct {
		pattern, method                string
		ruling                         ruling
		foreign, person, place, invite bool
	}
	met := map[rule]int{}
	for _, c := range cells {
		t := c.try
		r := rule{c.route.Pattern, c.method, c.ruling(), c.admitted() && c.foreign(), t.person != nil, t.place != "", t.invite != ""}
		if met[r]++; met[r] <= most {
			out = append(out, c)
		}
	}
	return out
}

// cells are all there are: of methods that a route takes, and of others.
func (w *practices) cells(actors []*actor) (taken, idle []cell) {
	w.t.Helper()
	routes, paths := map[string]*settings.Route{}, []string{}
	for _, rt := range w.settings().Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if !strings.HasPrefix(path, "/account/team") && !strings.Contains(path, "ownership") {
			continue
		}
		if laws[rt.Pattern] == nil {
			w.t.Fatalf("%s: say in laws who may", rt.Pattern)
		}
		routes[rt.Pattern] = &rt
		if method == "GET" {
			routes["HEAD "+path] = &rt
		}
		paths = append(paths, path)
	}
	if len(routes) < len(laws) {
		w.t.Fatalf("%d routes for %d laws", len(routes), len(laws))
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			rt := routes[method+" "+path]
			pattern := ""
			if rt != nil {
				pattern = rt.Pattern
			}
			for _, t := range w.tries(pattern) {
				for _, a := range actors {
					c := cell{a, method, path, rt, t}
					if rt == nil {
						idle = append(idle, c)
					} else {
						taken = append(taken, c)
					}
				}
			}
		}
	}
	return taken, idle
}

// judge makes the request and holds what came of it against the rule.
func (w *practices) judge(c cell) {
	w.t.Helper()
	want := c.ruling()
	w.events = nil
	a := c.actor.ask(c.method, c.path, c.try.form)
	if a.StatusCode != want.status {
		w.t.Errorf("%s: %d, want %d\n%s", c, a.StatusCode, want.status, a.text)
	}
	if to := a.Header.Get("Location"); want == asks && strings.Contains(to, "/login?flow=") == c.admitted() {
		w.t.Errorf("%s: leads to %s", c, to)
	}
	w.reads(c, a)
	tables := w.changed()
	if want.changes != (len(tables) > 0) || want.changes != (len(w.events) > 0) {
		w.t.Errorf("%s: changes %v, tells %v", c, tables, w.events)
	}
	if len(tables) > 0 {
		w.scope(c, tables)
		w.restore()
	}
	if c.admitted() && c.foreign() && !want.changes && want.status >= 300 {
		w.alike(c, a)
	}
}

// reads fails for every word of somebody whom the one who asks may not read
// of, but for what they sent themselves.
func (w *practices) reads(c cell, a answer) {
	w.t.Helper()
	var may []string
	if c.admitted() && c.actor.member != nil {
		s := c.actor.member
		may = append(s.marks(), "Practice"+string(s.practice)+"z")
		if c.actor.runs() {
			may = w.marks[s.practice]
		}
		if strings.HasPrefix(c.path, "/account/ownership") && s.name == "billing of harbor" {
			may = append(may, memberOf("owner of harbor").word("Name"))
		}
	}
	text := a.text
	for name, v := range a.Header {
		text += "\n" + name + ": " + strings.Join(v, "\n")
	}
	for _, marks := range w.marks {
		for _, mark := range marks {
			if strings.Contains(text, mark) && !slices.Contains(may, mark) && !strings.Contains(c.try.form.Encode(), url.QueryEscape(mark)) {
				w.t.Errorf("%s: reads %q", c, mark)
			}
		}
	}
}

// scope fails for every row of another practice, or of anybody but the target,
// that was changed; and for every role that was not to be given.
func (w *practices) scope(c cell, tables []string) {
	w.t.Helper()
	own, target := string(c.actor.member.practice), ""
	if c.try.person != nil {
		target = c.try.person.id()
	}
	for column, want := range map[string]map[string]string{
		own:    {"people": "practice", "locations": "practice", "invitations": "practice", "transfers": "practice", "audit": "practice", "sessions": "practice", "grants": "practice"},
		target: {"people": "id", "guards": "subject", "sessions": "account", "grants": "account", "authenticators": "account", "resets": "subject", "people_locations": "person"},
	} {
		for table, name := range want {
			if !slices.Contains(tables, table) {
				continue
			}
			if rows := w.rows(table, name); len(rows) > 1 || len(rows) == 1 && rows[0] != column {
				w.t.Errorf("%s: changes %s of %q", c, table, rows)
			}
		}
	}
	if slices.Contains(tables, "practices") {
		w.t.Errorf("%s: changes a practice", c)
	}
	if target == "" {
		return
	}
	want := string(c.try.person.role)
	if c.route.Pattern == "POST /account/team/role" {
		want = string(c.try.gift)
	}
	if got := w.column("SELECT role FROM main.people WHERE id = '" + target + "'"); got[0] != want {
		w.t.Errorf("%s: makes them %q, want %q", c, got, want)
	}
}

// foreign reports whether what is asked about belongs to others.
func (c cell) foreign() bool {
	own := ""
	if c.actor.member != nil {
		own = string(c.actor.member.practice)
	}
	of, _, _ := strings.Cut(c.try.invite, " ")
	return c.try.person != nil && string(c.try.person.practice) != own || c.try.place != "" && c.try.place != own || of != "" && of != own
}

// alike fails if what belongs to others is answered otherwise than what there
// is not.
func (w *practices) alike(c cell, got answer) {
	w.t.Helper()
	none := c.try.with("of nobody", "id", "nobody-at-all")
	none.form.Del("name-" + c.try.form.Get("id"))
	none.form.Set("name-nobody-at-all", "New name")
	a := c.actor.ask(c.method, c.path, none.form)
	// A page names where it is, for whoever chooses another language there.
	text := strings.ReplaceAll(got.text, c.try.form.Get("id"), "nobody-at-all")
	if a.StatusCode != got.StatusCode || a.text != text || a.Header.Get("Location") != got.Header.Get("Location") {
		w.t.Errorf("%s: %d to %q, and of nobody %d to %q", c, got.StatusCode, got.Header.Get("Location"), a.StatusCode, a.Header.Get("Location"))
	}
	if tables := w.changed(); len(tables) > 0 {
		w.t.Errorf("%s: of nobody changes %v", c, tables)
		w.restore()
	}
}
