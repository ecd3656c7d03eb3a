package templates

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

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
		if attr(n, "autocomplete") == "" && attr(n, "type") != "checkbox" {
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
		if attr(f, "method") != "post" && attr(f, "role") != "search" {
			c.Errorf("a form by %q", attr(f, "method"))
		}
	}
}

// links all stay below the issuer's path; only form_post leaves, what comes after
// signing out, and the link that opens an authenticator app.
func (c check) links() {
	for _, n := range c.all() {
		for _, a := range []string{"href", "src", "action"} {
			to := attr(n, a)
			if to == "" || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "/id/") ||
				strings.HasPrefix(to, "otpauth://totp/") || to == "https://chart.example/cb" {
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
	for _, n := range slices.Concat(c.all("input"), c.all("select"), c.all("textarea")) {
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
