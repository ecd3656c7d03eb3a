package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe-core finds no violation of WCAG 2.2 A or AA on any page, light or dark,
// and no page is wider than a 320 px window (SC 1.4.10).
func TestAccessibility(t *testing.T) {
	d := startDemo(t)
	axe := string(mustRead(t, filepath.Join("testdata", "node", "node_modules", "axe-core", "axe.min.js")))
	p := newPerson(t)
	link := linkIn(t, askForLink(t, d, p, d.grace()), "/reset-password?token=")
	for _, scheme := range []string{"light", "dark"} {
		c := openChromium(t, 320, true)
		c.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
		check := func(name string) {
			t.Run(scheme+" "+name, func(t *testing.T) { checkPage(t, c, axe) })
		}
		for _, path := range []string{"/login", "/forgot-password", "/contact-support", "/logout", "/no-such-page",
			"/reset-password?token=none", "/reset-password?flow=none", "/authorize?client_id=none"} {
			c.open(d.Issuer + path)
			check(path)
		}
		c.open(link)
		check("new password")
		c.fill("new_password", "short")
		c.click("#submit")
		check("new password, refused")
		c.open(d.Issuer + "/forgot-password")
		c.fill("email", "nobody@riverside.example")
		c.click("#submit")
		check("check your email")
		c.open(d.Issuer + "/login")
		for i := range 5 {
			c.fill("identifier", "nobody."+scheme)
			c.fill("password", "not the right one")
			c.click("#submit")
			if i == 3 {
				check("sign in, refused, one attempt left")
			}
		}
		check("locked")
	}
}

// checkPage runs axe on the page that the browser shows.
func checkPage(t *testing.T, c *chromium, axe string) {
	t.Helper()
	var raw string
	var wide int
	c.run(chromedp.Evaluate(axe+`;0`, nil),
		chromedp.Evaluate(`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
			.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary)}))))`,
			&raw, chromedp.EvalAsValue, awaitPromise),
		chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide))
	var violations []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(raw), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s: %s\n%s", v.ID, v.Help, strings.Join(v.Nodes, "\n"))
	}
	if wide > 320 {
		t.Error(fmt.Sprint("the page is wider than its window: ", wide, " px"))
	}
	c.shoot()
}
