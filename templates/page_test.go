package templates

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var noon = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

// sample is a page with everything on it that it can have. The structs are
// those of the handlers by shape; package web proves that its own fit.
type sample struct {
	name string
	page Page
}

func samples() []sample {
	wrong := func(fields ...string) []Problem {
		var p []Problem
		for _, f := range fields {
			p = append(p, Problem{Field: f, Text: "Something is wrong with " + f})
		}
		return p
	}
	type signIn struct{ Identifier, App string }
	type password struct {
		Username string
		Min, Max int
	}
	type locked struct {
		Minutes int
		Until   time.Time
	}
	type busy struct{ Seconds int }
	type email struct{ Email string }
	type sent struct {
		Email, From string
		Minutes     int
	}
	type link struct {
		Fate    string
		NewerAt time.Time
	}
	type token struct{ Token string }
	type form struct{ Name, Practice, NPI, Username, Email string }
	type due struct {
		Reference string
		Due       time.Time
	}
	type user struct{ Username string }
	type reference struct{ Reference string }
	type stale struct{ Expired bool }
	type oauth struct{ App, Code, Description string }
	type field struct{ Name, Value string }
	type post struct {
		App, Action string
		Fields      []field
	}
	return []sample{
		{"first visit", Page{Name: "login", Step: "identify", Flow: "f1", App: "Chart", Data: signIn{App: "Chart"}}},
		{"after saving a password", Page{Name: "login", Step: "identify", Flow: "f1", Notice: "Saved.", Data: signIn{}}},
		{"wrong password", Page{Name: "login", Step: "password", Flow: "f1", App: "Chart", Problems: wrong(""),
			Warning: "Few attempts left.", Data: signIn{"grace", "Chart"}}},
		{"nothing typed", Page{Name: "login", Step: "identify", Flow: "f1", Problems: wrong("identifier", "password"), Data: signIn{}}},
		{"Internet Explorer", Page{Name: "login", Step: "identify", Flow: "f1", Outdated: true, Data: signIn{}}},
		{"", Page{Name: "new_password", Flow: "f1", Action: "/id/reset-password", Data: password{"grace", 15, 256}}},
		{"refused", Page{Name: "new_password", Flow: "f1", Action: "/id/reset-password",
			Problems: wrong("new_password", "confirm_password"), Data: password{"grace", 15, 256}}},
		{"30 minutes", Page{Name: "locked", Flow: "f1", Data: locked{30, noon}}},
		{"1 minute", Page{Name: "locked", Flow: "f1", Data: locked{1, noon}}},
		{"", Page{Name: "disabled", Flow: "f1"}},
		{"seconds", Page{Name: "busy", Flow: "f1", Data: busy{2}}},
		{"minutes", Page{Name: "busy", Data: busy{300}}},
		{"", Page{Name: "forgot", Flow: "f1", Data: email{}}},
		{"refused", Page{Name: "forgot", Problems: wrong("email"), Data: email{"grace"}}},
		{"", Page{Name: "forgot_sent", Flow: "f1", Data: sent{"grace@riverside.example", "no-reply@medximity.example", 60}}},
		{"expired", Page{Name: "link", Data: link{Fate: "expired"}}},
		{"superseded", Page{Name: "link", Data: link{"superseded", noon}}},
		{"used", Page{Name: "link", Data: link{Fate: "used"}}},
		{"unknown", Page{Name: "link", Data: link{Fate: "unknown"}}},
		{"", Page{Name: "cancel", Data: token{"t1"}}},
		{"", Page{Name: "cancelled"}},
		{"", Page{Name: "support", Flow: "f1", Data: form{}}},
		{"refused", Page{Name: "support", Problems: wrong("name", "practice", "npi", "username", "email"),
			Data: form{"Grace", "Riverside", "123", "grace", "grace"}}},
		{"", Page{Name: "support_sent", Data: due{"AB12CD34", noon}}},
		{"", Page{Name: "home", Data: user{"grace"}}},
		{"", Page{Name: "logout"}},
		{"", Page{Name: "logged_out"}},
		{"answered", Page{Name: "stale", Flow: "f1", Data: stale{}}},
		{"expired", Page{Name: "stale", Flow: "f1", Data: stale{true}}},
		{"", Page{Name: "lost_cookie"}},
		{"", Page{Name: "fault", Data: reference{"AB12CD34"}}},
		{"", Page{Name: "unavailable"}},
		{"", Page{Name: "not_found"}},
		{"", Page{Name: "too_large"}},
		{"", Page{Name: "bad_request"}},
		{"known app", Page{Name: "oauth_error", Data: oauth{"Chart", "invalid_scope", "no such scope"}}},
		{"unknown app", Page{Name: "oauth_error", Data: oauth{Code: "invalid_client"}}},
		{"", Page{Name: "form_post", Data: post{"Chart", "https://chart.example/cb", []field{{"code", "c"}, {"state", "s"}}}}},
	}
}

func load(t *testing.T) *Set {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// render returns a page in a language, under an issuer with a path.
func render(t *testing.T, s *Set, p Page, lang string) string {
	t.Helper()
	p.Lang, p.Base = lang, "/id"
	if p.Name != "form_post" {
		p.Path = "/login?flow=f1"
	}
	var b bytes.Buffer
	if err := s.Page(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every page, in every state and language, keeps the rules of pages.md.
func TestPages(t *testing.T) {
	s := load(t)
	seen := map[string]bool{}
	for _, sample := range samples() {
		seen[sample.page.Name] = true
		for _, lang := range Languages() {
			t.Run(sample.page.Name+" "+sample.name+" "+lang, func(t *testing.T) {
				out := render(t, s, sample.page, lang)
				doc, err := html.Parse(strings.NewReader(out))
				if err != nil {
					t.Fatal(err)
				}
				c := check{T: t, doc: doc, lang: lang}
				c.document()
				c.ids()
				c.controls()
				c.links()
				c.nothingInline()
				c.problems(sample.page.Problems)
			})
		}
	}
	files, _ := fs.Glob(files, "page/*.html")
	for _, file := range files {
		if !seen[nameOf(file)] {
			t.Errorf("%s has no sample here", file)
		}
	}
}

// check is one page under examination.
type check struct {
	*testing.T
	doc  *html.Node
	lang string
}

func (c check) all(tags ...string) []*html.Node {
	var found []*html.Node
	for n := range c.doc.Descendants() {
		if n.Type == html.ElementNode && (len(tags) == 0 || slices.Contains(tags, n.Data)) {
			found = append(found, n)
		}
	}
	return found
}

func (c check) document() {
	for _, tag := range []string{"h1", "main", "title", "header", "footer"} {
		if n := len(c.all(tag)); n != 1 {
			c.Errorf("%d of <%s>", n, tag)
		}
	}
	for _, h := range c.all("html") {
		if attr(h, "lang") != c.lang {
			c.Errorf("lang=%q", attr(h, "lang"))
		}
	}
	for _, tag := range []string{"h1", "h2", "title", "a", "button", "label", "legend", "p", "li", "dt", "dd"} {
		for _, n := range c.all(tag) {
			if wording(n) == "" {
				c.Errorf("an empty <%s>", tag)
			}
		}
	}
	if all := wording(c.doc); strings.Contains(all, "<no value>") || strings.Contains(all, "{{") {
		c.Errorf("words with a hole: %s", all)
	}
}

func (c check) ids() {
	ids := map[string]bool{}
	for _, n := range c.all() {
		if id := attr(n, "id"); id != "" && ids[id] {
			c.Errorf("id %q twice", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	for _, n := range c.all() {
		for _, a := range []string{"for", "aria-describedby", "aria-labelledby", "aria-controls"} {
			for _, id := range strings.Fields(attr(n, a)) {
				if !ids[id] {
					c.Errorf("%s=%q names nothing", a, id)
				}
			}
		}
		if to, ok := strings.CutPrefix(attr(n, "href"), "#"); ok && !ids[to] {
			c.Errorf("a link to #%s, which is nowhere", to)
		}
	}
}

func (c check) controls() {
	labelled := map[string]bool{}
	for _, l := range c.all("label") {
		labelled[attr(l, "for")] = true
	}
	for _, n := range c.all("input", "textarea", "select") {
		if attr(n, "type") == "hidden" {
			continue
		}
		if id := attr(n, "id"); id == "" || id != attr(n, "name") || !labelled[id] {
			c.Errorf("control %q (name %q) has no label, or not its name as id", id, attr(n, "name"))
		}
		if attr(n, "autocomplete") == "" {
			c.Errorf("control %q has no autocomplete", attr(n, "id"))
		}
		for _, a := range []string{"required", "placeholder", "maxlength", "pattern"} {
			if has(n, a) {
				c.Errorf("control %q has %s", attr(n, "id"), a)
			}
		}
		if attr(n, "type") == "password" && attr(n, "value") != "" {
			c.Error("a password on the page")
		}
	}
	for _, f := range c.all("form") {
		if attr(f, "method") != "post" {
			c.Errorf("a form by %q", attr(f, "method"))
		}
	}
}

// links all stay below the issuer's path; only form_post leaves.
func (c check) links() {
	for _, n := range c.all() {
		for _, a := range []string{"href", "src", "action"} {
			to := attr(n, a)
			if to == "" || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "/id/") || to == "https://chart.example/cb" {
				continue
			}
			c.Errorf("<%s %s=%q>", n.Data, a, to)
		}
	}
}

func (c check) nothingInline() {
	for _, n := range c.all() {
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				c.Errorf("<%s %s>", n.Data, a.Key)
			}
		}
		if n.Data == "style" || n.Data == "script" && (attr(n, "src") == "" || n.FirstChild != nil) {
			c.Errorf("an inline <%s>", n.Data)
		}
	}
}

// problems stand in the summary, first in main, and beside their controls.
func (c check) problems(problems []Problem) {
	marked := 0
	for _, n := range c.all("input") {
		if attr(n, "aria-invalid") == "true" {
			marked++
			if !strings.Contains(attr(n, "aria-describedby"), attr(n, "id")+"-wrong") {
				c.Errorf("%s is not described by what is wrong with it", attr(n, "id"))
			}
		}
	}
	want := 0
	for _, p := range problems {
		if p.Field != "" {
			want++
		}
	}
	if marked != want {
		c.Errorf("%d controls are marked, want %d", marked, want)
	}
	if len(problems) == 0 {
		return
	}
	first := firstElement(c.all("main")[0])
	if attr(first, "role") != "alert" || attr(first, "tabindex") != "-1" {
		c.Error("the summary is not first in main")
	}
	title := wording(c.all("title")[0])
	prefix := strings.Fields(load(c.T).Text(c.lang, "err.title_prefix", nil)) // French has a no-break space in it
	if !strings.HasPrefix(title, strings.Join(prefix, " ")) {
		c.Errorf("title %q", title)
	}
}

func firstElement(n *html.Node) *html.Node {
	for child := range n.ChildNodes() {
		if child.Type == html.ElementNode {
			return child
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func wording(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
