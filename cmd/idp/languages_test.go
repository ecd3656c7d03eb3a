package main

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// Whoever reads Korean, French or Spanish reads nothing else, on the pages of
// the running server: what it puts on them itself included, such as errors,
// notices, names of browsers and times (promise 6.4).
func TestNoEnglishBetweenTheLines(t *testing.T) {
	d := startDemo(t)
	for _, lang := range []string{"ko", "fr", "es"} {
		t.Run(lang, func(t *testing.T) {
			p := newPerson(t)
			english := englishBut(t, lang)
			check := func(what string) {
				t.Helper()
				if p.page.header.Get("Content-Language") != lang {
					t.Errorf("%s (%s) is in %q", what, p.page.url, p.page.header.Get("Content-Language"))
				}
				all := p.page.title() + " " + p.page.words() + " " + spoken(p.page.doc)
				for key, part := range english {
					if strings.Contains(all, part) {
						t.Errorf("%s (%s) says %s in English: %q", what, p.page.url, key, part)
					}
				}
			}
			p.visit(d.Issuer + "/login")
			p.send(d.Issuer+"/language", url.Values{"lang": {lang}, "back": {"/login"}})
			walkInEvery(t, d, p, check)
		})
	}
}

// walkInEvery sees most of the pages, and most of what can be wrong on them.
func walkInEvery(t *testing.T, d *demo, p *person, check func(string)) {
	who := d.person("mateo")
	visit := func(path string) { t.Helper(); p.visit(d.Issuer + path); check(path) }
	answer := func(control string, fields ...string) {
		t.Helper()
		p.answer(control, fields...)
		check(control + " answered with " + strings.Join(fields, " "))
	}
	for _, path := range []string{"/login", "/no-such-page", "/logout", "/reset-password?token=none", "/reset-password?flow=none",
		"/confirm-email?token=none", "/not-me?token=none", "/invite?token=none", "/authorize?client_id=none", "/reset-password/cancel?token=none"} {
		visit(path)
	}
	visit("/contact-support")
	answer("npi", "npi", "123")
	visit("/forgot-password")
	answer("email")
	answer("email", "email", "nobody")
	answer("email", "email", "nobody@riverside.example")
	visit("/login")
	answer("identifier")
	answer("identifier", "identifier", "nobody.at.all", "password", "not the right one")
	for range 4 {
		answer("identifier", "identifier", "nobody.at.all", "password", "not the right one")
	}

	p.visit(d.Issuer + "/account/security")
	answer("identifier", "identifier", who.Username, "password", who.Password)
	for _, path := range []string{"/account/security", "/account/sessions", "/account/activity", "/account/email", "/login"} {
		visit(path)
	}
	visit("/account/email")
	answer("email", "email", "nobody")
	answer("email", "email", who.Email)
	p.visit(d.Issuer + "/account/security")
	p.send(d.Issuer+"/account/security/authenticators", url.Values{})
	check("set up")
	answer("otp", "otp", "12")
	answer("otp", "otp", "123456", "authenticator", strings.Repeat("long ", 9))
	answer("otp", "otp", "123456", "authenticator", "")

	d.pass(10 * time.Minute)
	p.visit(d.Issuer + "/account/security")
	p.send(d.Issuer+"/account/security/password", url.Values{})
	check("confirm")
	answer("password", "password", "not the right one")
	answer("password", "password", who.Password)
	answer("new_password", "new_password", "short", "confirm_password", "other")
	answer("new_password", "new_password", "passwordpassword", "confirm_password", "other")
	flow := p.form("new_password").Get("flow")
	p.send(d.Issuer+"/login/extend", url.Values{"flow": {flow}})
	check("more time")
	p.send(d.Issuer+"/login/extend", url.Values{"flow": {"none"}})
	check("out of date")
	d.pass(31 * time.Minute) // the lock of nobody.at.all is over for the next language
}

// answer fills in the form that has the control, and sends it.
func (p *person) answer(control string, fields ...string) {
	p.t.Helper()
	for f := range p.page.elements("form") {
		for in := range elements(f, "input") {
			if attr(in, "name") != control || attr(in, "type") == "hidden" {
				continue
			}
			values := defaults(f)
			for i := 0; i < len(fields); i += 2 {
				values.Set(fields[i], fields[i+1])
			}
			to, err := p.page.url.Parse(attr(f, "action"))
			if err != nil {
				p.t.Fatal(err)
			}
			p.send(to.String(), values)
			return
		}
	}
	p.t.Fatalf("no form with %s on %s:\n%s", control, p.page.url, p.page.words())
}

// spoken is what a page has for screen readers and for its script.
func spoken(doc *html.Node) string {
	var all []string
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "aria-label" || strings.HasPrefix(a.Key, "data-") {
				all = append(all, a.Val)
			}
		}
	}
	return strings.Join(all, " ")
}

var gap = regexp.MustCompile(`\{\{[^}]*\}\}`)

// englishBut returns the longest part without a gap of every English text that
// has some words of its own, and is said otherwise in the language.
func englishBut(t *testing.T, lang string) map[string]string {
	t.Helper()
	theirs := locale(t, lang)
	parts := map[string]string{}
	for key, text := range locale(t, "en") {
		longest := ""
		for _, part := range gap.Split(text, -1) {
			if part = squeeze(part); len(part) > len(longest) {
				longest = part
			}
		}
		if len(longest) >= 12 && theirs[key] != text {
			parts[key] = longest
		}
	}
	if len(parts) < 200 {
		t.Fatalf("only %d texts", len(parts))
	}
	return parts
}

// locale returns the texts of a language; of those that count, the form "other".
func locale(t *testing.T, lang string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", "templates", "locale", lang, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		var some map[string]json.RawMessage
		if err := json.Unmarshal(mustRead(t, name), &some); err != nil {
			t.Fatal(err)
		}
		for key, raw := range some {
			var one string
			var forms struct{ Other string }
			if json.Unmarshal(raw, &one) != nil && json.Unmarshal(raw, &forms) != nil {
				t.Fatalf("%s: %s", name, key)
			}
			all[key] = one + forms.Other
		}
	}
	return all
}
