package main

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/medximity/idp/flows/account"
)

// authenticator is an app on somebody's phone. It tells the time by the demo's
// clock, as a phone tells it by the network's.
type authenticator struct {
	d   *demo
	key []byte
}

// authenticator is the app that a key was typed into, with blanks or without.
func (d *demo) authenticator(key string) authenticator {
	d.t.Helper()
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil || len(b) != 20 {
		d.t.Fatalf("the key %q is %d bytes: %v", key, len(b), err)
	}
	return authenticator{d, b}
}

// next waits for the app's next code. The new step has just begun, so a test
// has half a minute for what it does with the code.
func (a authenticator) next() string { a.d.t.Helper(); return a.drifted(0) }

// drifted waits for the next code of an app whose clock is some steps ahead.
func (a authenticator) drifted(steps int) string {
	a.d.t.Helper()
	step := a.d.now().Truncate(account.CodeEvery).Add(account.CodeEvery)
	a.d.set(step)
	return account.ShowCode(a.key, step.Add(time.Duration(steps)*account.CodeEvery))
}

// wrong is a code that the app shows at no time near.
func (a authenticator) wrong() string {
	a.d.t.Helper()
	var near []string
	for step := -3; step <= 3; step++ {
		near = append(near, account.ShowCode(a.key, a.d.now().Add(time.Duration(step)*account.CodeEvery)))
	}
	for n := 0; ; n++ {
		if code := fmt.Sprintf("%06d", n); !slices.Contains(near, code) {
			return code
		}
	}
}

// pass moves the demo's clock forward.
func (d *demo) pass(by time.Duration) { d.t.Helper(); d.set(d.now().Add(by)) }

// person finds one of the demo's people.
func (d *demo) person(username string) demoPerson {
	d.t.Helper()
	for _, p := range d.People {
		if p.Username == username {
			return p
		}
	}
	d.t.Fatalf("the demo has no %s", username)
	return demoPerson{}
}

// phone is the authenticator that somebody has from the start.
func (d *demo) phone(who demoPerson) authenticator {
	d.t.Helper()
	return d.authenticator(who.TOTPSecret)
}

// idp runs a command on the demo's store, as its operator does, and returns
// what it printed.
func (d *demo) idp(args ...string) map[string]any {
	d.t.Helper()
	data := ""
	for i, a := range d.process.cmd.Args {
		if a == "--data" {
			data = d.process.cmd.Args[i+1] // the last one counts
		}
	}
	cmd := exec.Command(idpBinary(d.t), append(args, "--json", "--store", "sqlite:"+data+"/idp.db")...)
	cmd.Env = append(environ(), "IDP_KEYS__RING_FILE="+data+"/ring.json")
	var wrong strings.Builder
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	doc := map[string]any{}
	if err == nil {
		err = json.Unmarshal(out, &doc)
	}
	if err != nil {
		d.t.Fatalf("idp %s: %v\n%s%s", strings.Join(args, " "), err, out, &wrong)
	}
	return doc
}

// environ is ours without what is for the tests: the binary knows its own
// settings and no others.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, prefix) })
}

// told waits for a mail to the address with this subject.
func (d *demo) told(to, subject string) received {
	d.t.Helper()
	var got []received
	eventually(d.t, fmt.Sprintf("a mail %q to %s", subject, to), func() bool {
		got = slices.DeleteFunc(d.inbox(to), func(m received) bool { return m.Subject != subject })
		return len(got) > 0
	})
	return got[len(got)-1]
}

// one returns the element of the page with this id.
func (g *page) one(t *testing.T, id string) *html.Node {
	t.Helper()
	for n := range g.doc.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	t.Fatalf("no #%s on %s:\n%s", id, g.url, g.words())
	return nil
}

// has reports whether the page has a link with these words.
func (g *page) has(words string) bool {
	for a := range g.elements("a") {
		if squeeze(text(a)) == words {
			return true
		}
	}
	return false
}

// tick sends the form that has the control, with a value that the form as
// served has not: of a box that is ticked, or of the button that is pressed.
func (p *person) tick(control, value string) *page {
	p.t.Helper()
	for form := range p.page.elements("form") {
		for n := range form.Descendants() {
			if n.Type != html.ElementNode || attr(n, "name") != control || attr(n, "value") != value {
				continue
			}
			values := defaults(form)
			values.Set(control, value)
			to, err := p.page.url.Parse(attr(form, "action"))
			if err != nil {
				p.t.Fatal(err)
			}
			return p.send(to.String(), values)
		}
	}
	p.t.Fatalf("no %s=%s on %s:\n%s", control, value, p.page.url, p.page.words())
	return nil
}

// enterCode answers the challenge page, or the set-up page.
func (p *person) enterCode(code string) *page {
	p.t.Helper()
	return p.press("Continue", map[string]string{"otp": code})
}

func (p *person) enterBackup(code string) *page {
	p.t.Helper()
	return p.press("Continue", map[string]string{"backup_code": code})
}

// setUp goes through the set-up page, up to the backup codes.
func (p *person) setUp(d *demo) authenticator {
	p.t.Helper()
	p.sees("Set up your authenticator app")
	a := d.authenticator(squeeze(text(p.page.one(p.t, "key"))))
	p.enterCode(a.next())
	return a
}

// saveCodes saves the backup codes that the page shows, and returns them.
func (p *person) saveCodes() []string {
	p.t.Helper()
	p.sees("Save these backup codes")
	codes := codesOn(p.t, p.page)
	p.tick("saved", "yes")
	return codes
}

// told reads from an app's page what the app was told.
func (p *person) told(claim string) string {
	p.t.Helper()
	next := false
	for n := range p.page.doc.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "dt":
			next = squeeze(text(n)) == claim
		case n.Data == "dd" && next:
			return squeeze(text(n))
		}
	}
	p.t.Fatalf("the app was not told %s; the page is %s (%d):\n%s", claim, p.page.url, p.page.status, p.page.words())
	return ""
}

// provedTwo wants the app to have been told of two factors.
func (p *person) provedTwo() {
	p.t.Helper()
	if acr, amr := p.told("acr"), p.told("amr"); acr != "urn:medximity:acr:2fa" || amr != "pwd otp mfa" {
		p.t.Errorf("the app was told acr %q, amr %q", acr, amr)
	}
}

// onPath wants the page to be at a path.
func (p *person) onPath(path string) {
	p.t.Helper()
	if got := p.page.url.Path; got != path {
		p.t.Errorf("the page is %s, want %s:\n%s", got, path, p.page.words())
	}
}

// keyURI reads the link that opens an authenticator app on the same device.
func (p *person) keyURI() *url.URL {
	p.t.Helper()
	for a := range p.page.elements("a") {
		if strings.HasPrefix(attr(a, "href"), "otpauth:") {
			u, err := url.Parse(attr(a, "href"))
			if err != nil {
				p.t.Fatal(err)
			}
			return u
		}
	}
	p.t.Fatalf("no otpauth: link on %s", p.page.url)
	return nil
}
