package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// person is somebody with a browser that has no JavaScript: cookies, links
// and forms, and nothing else.
type person struct {
	t      *testing.T
	client *http.Client
	page   *page
}

// page is what the browser shows.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   string
	doc    *html.Node
}

func newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, client: &http.Client{Jar: jar}}
}

// visit opens an address and follows where it leads.
func (p *person) visit(address string) *page {
	p.t.Helper()
	if p.page != nil {
		to, err := p.page.url.Parse(address)
		if err != nil {
			p.t.Fatal(err)
		}
		address = to.String()
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(req)
}

func (p *person) do(req *http.Request) *page {
	p.t.Helper()
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Accept-Language", "en")
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.page = &page{resp.Request.URL, resp.StatusCode, resp.Header, string(body), doc}
	return p.page
}

// follow clicks the link with these words.
func (p *person) follow(words string) *page {
	p.t.Helper()
	for a := range p.page.elements("a") {
		if squeeze(text(a)) == words {
			return p.visit(attr(a, "href"))
		}
	}
	p.t.Fatalf("no link %q on %s:\n%s", words, p.page.url, p.page.words())
	return nil
}

// press fills in the form that has the button with these words, and sends it.
func (p *person) press(words string, fields map[string]string) *page {
	p.t.Helper()
	for form := range p.page.elements("form") {
		if !hasButton(form, words) {
			continue
		}
		values := defaults(form)
		for name, v := range fields {
			if !values.Has(name) && !offers(form, name) {
				p.t.Fatalf("the form with %q has no field %s", words, name)
			}
			values.Set(name, v)
		}
		to, err := p.page.url.Parse(attr(form, "action"))
		if err != nil {
			p.t.Fatal(err)
		}
		return p.send(to.String(), values)
	}
	p.t.Fatalf("no button %q on %s:\n%s", words, p.page.url, p.page.words())
	return nil
}

// form returns the values of the page's form that has the control, as served.
func (p *person) form(control string) url.Values {
	p.t.Helper()
	for f := range p.page.elements("form") {
		for in := range elements(f, "input") {
			if attr(in, "name") == control {
				return defaults(f)
			}
		}
	}
	p.t.Fatalf("no form with %s on %s:\n%s", control, p.page.url, p.page.words())
	return nil
}

// send posts a form as a browser does from a page of the same origin.
func (p *person) send(to string, values url.Values) *page {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, to, strings.NewReader(values.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(req)
}

// signIn fills in the sign-in page.
func (p *person) signIn(identifier, password string) *page {
	p.t.Helper()
	return p.press("Sign In", map[string]string{"identifier": identifier, "password": password})
}

// sees wants the words on the page.
func (p *person) sees(words ...string) {
	p.t.Helper()
	all := p.page.words()
	for _, w := range words {
		if !strings.Contains(all, w) {
			p.t.Errorf("%s (%d) does not say %q:\n%s", p.page.url, p.page.status, w, all)
		}
	}
}

// words is all that the page says, with single spaces.
func (g *page) words() string {
	for body := range g.elements("body") {
		return squeeze(text(body))
	}
	return ""
}

func (g *page) title() string {
	for t := range g.elements("title") {
		return squeeze(text(t))
	}
	return ""
}

func (g *page) elements(tag string) func(func(*html.Node) bool) { return elements(g.doc, tag) }

func elements(root *html.Node, tag string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && n.Data == tag && !yield(n) {
				return
			}
		}
	}
}

// defaults are the form's values as served.
func defaults(form *html.Node) url.Values {
	v := url.Values{}
	for n := range form.Descendants() {
		if n.Type != html.ElementNode || attr(n, "name") == "" {
			continue
		}
		switch n.Data {
		case "input":
			if !slices.Contains([]string{"checkbox", "radio", "submit"}, attr(n, "type")) {
				v.Set(attr(n, "name"), attr(n, "value"))
			}
		case "textarea":
			v.Set(attr(n, "name"), text(n))
		case "select":
			for o := range elements(n, "option") {
				if !v.Has(attr(n, "name")) || hasAttr(o, "selected") {
					v.Set(attr(n, "name"), attr(o, "value"))
				}
			}
		}
	}
	return v
}

func hasButton(form *html.Node, words string) bool {
	for b := range elements(form, "button") {
		if squeeze(text(b)) == words {
			return true
		}
	}
	return false
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// offers reports whether a form has a box of that name to tick.
func offers(form *html.Node, name string) bool {
	for in := range elements(form, "input") {
		if attr(in, "name") == name {
			return true
		}
	}
	return false
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// text is what a reader sees of a node.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" {
			b.WriteString(d.Data)
			b.WriteByte(' ')
		}
	}
	return b.String()
}

var space = regexp.MustCompile(`\s+`)

func squeeze(s string) string { return strings.TrimSpace(space.ReplaceAllString(s, " ")) }

// linkIn returns the first link of a mail whose URL contains a part.
func linkIn(t *testing.T, m received, part string) string {
	t.Helper()
	for _, word := range strings.Fields(m.Text) {
		if strings.HasPrefix(word, "http") && strings.Contains(word, part) {
			return word
		}
	}
	t.Fatalf("no link with %q in the mail %q:\n%s", part, m.Subject, m.Text)
	return ""
}
