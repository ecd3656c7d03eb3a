package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		c.scheme(scheme)
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

// The same for the pages of the second factor and of Account Settings.
func TestAccessibilitySecondFactor(t *testing.T) {
	accessible(t, func(d *demo, c *chromium, check func(name, words string)) {
		who := d.person("mateo")
		c.open(d.App + "/records/signin")
		c.signIn(who)
		check("set up", "Set up your authenticator app")
		c.fill("authenticator", strings.Repeat("long ", 9))
		c.enter("otp", "123")
		check("set up, name refused", "The name must be 40 characters or fewer")
		c.fill("authenticator", "")
		c.enter("otp", "123456")
		check("set up, code refused", "That code did not work")
		phone := c.setUp(d)
		check("backup codes", "Save these backup codes")
		c.click("#submit")
		check("backup codes, not saved", "Confirm that you saved your backup codes")
		codes := c.saveCodes()

		d.pass(10 * time.Minute)
		c.open(d.App + "/signin?prompt=login")
		check("confirm", "Confirm that it is you")
		c.enter("password", "not the right one")
		check("confirm, refused", "The password is not right")
		c.enter("password", who.Password)
		check("code", "Enter the code from your authenticator app")
		for range 3 {
			c.enter("otp", phone.wrong())
		}
		check("code, refused, two attempts left", "You have 2 attempts left")
		c.click("a[href*='way=backup-code']")
		check("backup code", "Enter a backup code")
		c.enter("backup_code", "none")
		check("backup code, refused", "A backup code has 13 letters and numbers")
		c.enter("backup_code", codes[0])
		c.provedTwo(who)

		for i := range 7 {
			c.open(d.App + "/signin?prompt=login")
			c.enter("password", who.Password)
			c.enter("backup_code", codes[i+1])
		}
		check("few backup codes left", "You have 2 backup codes left")
		c.click("#submit")
		check("backup codes, instead of others", "The old codes stop working when you continue.")

		held := d.nora()
		c.signOut(d)
		for range 2 {
			d.pass(31 * time.Minute)
			c.open(d.App + "/signin")
			c.signIn(held)
			for range 5 {
				c.enter("otp", d.phone(held).wrong())
			}
		}
		check("held", "Your second step is on hold")
	})
}

func TestAccessibilitySettings(t *testing.T) {
	accessible(t, func(d *demo, c *chromium, check func(name, words string)) {
		const email = "somebody.with.a.rather.long.name@riverside-family-practice.example"
		who := d.grace()
		c.settings(d, "security")
		c.signIn(who)
		check("security, no second factor", "we recommend one for everybody")
		c.do("/security/authenticators")
		phone := c.setUp(d)
		c.saveCodes()
		check("security", "10 backup codes are left.")
		c.click("a[href*='authenticators/remove']")
		check("remove authenticator", "It is your last authenticator.")
		other := newPerson(t)
		other.visit(d.Issuer + "/login")
		other.signIn(who.Username, who.Password)
		other.enterCode(phone.next())
		c.settings(d, "sessions")
		check("sessions", "End All Others")
		c.settings(d, "activity")
		check("activity", "Authenticator added")
		c.settings(d, "email")
		check("email", "Change your email")
		c.enter("email", "no address")
		check("email, refused", "Enter an email address in the correct format")
		c.enter("email", email)
		check("email, sent", "Check both mailboxes")
		c.settings(d, "security")
		check("security, new email", "New email, not confirmed yet")

		asked := d.told(who.Email, "Is your Medximity email to be changed?")
		c.open(linkIn(t, asked, "/confirm-email/cancel?token="))
		check("email, cancel", "Cancel the change of email?")
		c.open(linkIn(t, asked, "/confirm-email?token="))
		check("email, confirm", "Confirm the new email")
		c.click("#submit")
		check("email, half confirmed", "One more confirmation")
		c.open(linkIn(t, d.told(email, "Confirm your new Medximity email"), "/confirm-email?token="))
		c.click("#submit")
		check("email, changed", "Your email is changed")
		c.open(d.Issuer + "/confirm-email?token=none")
		check("email, dead link", "This link does not work")

		c.settings(d, "security")
		c.do("/security/password")
		check("confirm, before a new password", "Enter your current password first.")
		c.enter("password", who.Password)
		check("new password", "Choose a new password")
		c.open(linkIn(t, d.told(email, "Your Medximity email was changed"), "/not-me?token="))
		check("not me", "Was this not you?")
		c.click("#submit")
		check("not me, done", "Your account is secured")
		c.open(d.Issuer + "/not-me?token=none")
		check("not me, dead link", "It has been used")
	})
}

// accessible walks through pages in light and in dark mode. Each check also
// wants words on the page, so that it is the one meant.
func accessible(t *testing.T, walk func(d *demo, c *chromium, check func(name, words string))) {
	axe := string(mustRead(t, filepath.Join("testdata", "node", "node_modules", "axe-core", "axe.min.js")))
	for _, scheme := range []string{"light", "dark"} {
		c := openChromium(t, 320, true)
		c.scheme(scheme)
		walk(startDemo(t), c, func(name, words string) {
			t.Run(scheme+" "+name, func(t *testing.T) {
				c.sees(words)
				checkPage(t, c, axe)
			})
		})
	}
}

// scheme has the browser prefer light or dark pages.
func (c *chromium) scheme(name string) {
	c.t.Helper()
	c.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
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
