package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Walks through Account Settings, in a real browser: on a phone, and in a wide
// window without JavaScript.

// settings opens a page of Account Settings.
func (c *chromium) settings(d *demo, page string) {
	c.t.Helper()
	c.open(d.Issuer + "/account/" + page)
}

// do presses the button of the first form that is sent to a path.
func (c *chromium) do(path string) { c.t.Helper(); c.click("form[action$='" + path + "'] button") }

// fetch asks for what a link of the page leads to, with the browser's cookies:
// what it would download.
func (c *chromium) fetch(selector string) (h http.Header, body string) {
	c.t.Helper()
	var href string
	c.run(chromedp.AttributeValue(selector, "href", &href, nil, chromedp.ByQuery))
	here, err := url.Parse(c.url())
	if err != nil {
		c.t.Fatal(err)
	}
	to, err := here.Parse(href)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.run(chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := network.GetCookies().WithURLs([]string{to.String()}).Do(ctx)
		for _, one := range all {
			req.AddCookie(&http.Cookie{Name: one.Name, Value: one.Value})
		}
		return err
	}))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s, %v", to.Path, resp.Status, err)
	}
	return resp.Header, string(b)
}

func TestWalkSettingsSecondFactor(t *testing.T) { bothWays(t, walkSettingsSecondFactor) }

func walkSettingsSecondFactor(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	c.settings(d, "security")
	c.signIn(who)
	c.sees("Security", "You sign in with your password alone", "we recommend one for everybody")

	c.do("/security/authenticators") // signed in just now: no password again
	phone := c.setUp(d)
	header, file := c.fetch("a[href*='backup-codes.txt']")
	if got := header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("the codes are sent as %q", got)
	}
	if got := header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") {
		t.Errorf("the codes are not a download: %q", got)
	}
	codes := c.saveCodes()
	if got := backupCode.FindAllString(file, -1); !slices.Equal(got, codes) || !strings.Contains(file, who.Username) {
		t.Errorf("the file holds %d codes, and not those of the page:\n%s", len(got), file)
	}
	c.sees("The authenticator is added.", "Authenticator app", "10 backup codes are left.", "Add Another Authenticator")
	d.told(who.Email, "An authenticator was added to your Medximity account")

	d.pass(10 * time.Minute)
	c.settings(d, "security")
	c.do("/security/authenticators")
	c.sees("Confirm that it is you", who.Username)
	c.enter("password", who.Password)
	c.enter("otp", phone.next())
	c.sees("Set up your authenticator app")
	c.fill("authenticator", strings.Repeat("long ", 9))
	c.enter("otp", phone.wrong())
	c.sees("The name must be 40 characters or fewer")
	c.fill("authenticator", "Tablet")
	tablet := c.setUp(d)
	c.sees("The authenticator is added.", "Tablet", "10 backup codes are left.")

	c.do("/security/backup-codes")
	c.sees("The old codes stop working when you continue.")
	newer := c.saveCodes()
	c.sees("Your new backup codes are saved.")
	c.signOut(d)
	c.settings(d, "security")
	c.signIn(who)
	c.click("a[href*='way=backup-code']")
	c.enter("backup_code", codes[0])
	c.sees("That backup code did not work")
	c.enter("backup_code", newer[0])
	c.sees("Security", "9 backup codes are left.")

	other := newPerson(t)
	other.visit(d.Issuer + "/login")
	other.signIn(who.Username, who.Password)
	other.follow("Use your authenticator app")
	other.enterCode(tablet.next())
	other.sees("You are signed in")

	d.pass(10 * time.Minute)
	c.settings(d, "security")
	c.click("a[href*='authenticators/remove']") // the older one
	c.sees("Confirm that it is you")
	c.enter("password", who.Password)
	c.enter("otp", phone.next())
	c.sees("Remove Authenticator app?", "Its codes stop working at once.")
	c.click("#submit")
	c.sees("The authenticator is removed.", "Tablet")
	d.told(who.Email, "An authenticator was removed from your Medximity account")
	other.visit(d.Issuer + "/login")
	other.sees("Forgot Password?") // who signed in before is signed out
	other.signIn(who.Username, who.Password)
	other.enterCode(phone.next())
	other.sees("That code did not work")

	c.click("a[href*='authenticators/remove']")
	c.sees("Remove Tablet?", "It is your last authenticator.")
	c.click("#submit")
	c.sees("The authenticator is removed.", "You sign in with your password alone")
	c.signOut(d)
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees(who.Email, "acr urn:medximity:acr:1fa")
}

// app is a browser that is signed in, with an app that has a refresh token.
type app struct {
	*person
	refresh string
}

func signedInApp(t *testing.T, d *demo, who demoPerson) app {
	t.Helper()
	q := url.Values{"client_id": {d.Clients[0].ID}, "redirect_uri": {"http://127.0.0.1:9/callback"},
		"response_type": {"code"}, "scope": {"openid offline_access"}, "state": {"s"}}
	p := newPerson(t)
	code := p.authorize(d.Issuer+"/authorize?"+q.Encode(), who, "s", d.Issuer)
	a := askTokens(t, d, url.Values{"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {"http://127.0.0.1:9/callback"}})
	if a.Refresh == "" {
		t.Fatalf("no refresh token: %d %s", a.status, a.Error)
	}
	p.visit(d.Issuer + "/login")
	p.sees("You are signed in")
	return app{p, a.Refresh}
}

// isOut wants browser and app to be signed out, at once.
func (a app) isOut(d *demo) {
	a.t.Helper()
	a.visit(d.Issuer + "/login")
	a.sees("Forgot Password?")
	got := askTokens(a.t, d, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.refresh}})
	if got.status != http.StatusBadRequest || got.Error != "invalid_grant" {
		a.t.Errorf("the app's refresh token gave %d %s", got.status, got.Error)
	}
}

func TestWalkSettingsSessions(t *testing.T) { bothWays(t, walkSettingsSessions) }

func walkSettingsSessions(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	other := signedInApp(t, d, who)
	c.settings(d, "sessions")
	c.signIn(who)
	c.sees("Sessions", "This browser", "End All Others", "127.0.0.1")
	c.do("/sessions/end")
	c.sees("The session is ended.", "This browser")
	other.isOut(d)

	one, two := signedInApp(t, d, who), signedInApp(t, d, who)
	c.settings(d, "sessions")
	c.do("/sessions/end-others")
	c.sees("All other sessions are ended.", "This browser")
	one.isOut(d)
	two.isOut(d)
}

func TestWalkSettingsPassword(t *testing.T) { bothWays(t, walkSettingsPassword) }

func walkSettingsPassword(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	c.settings(d, "security")
	c.signIn(who)
	other := signedInApp(t, d, who)
	c.do("/security/password") // signed in just now, but this is what changes
	c.sees("Enter your current password first.", "Current password", who.Username)
	c.enter("password", "not the right one")
	c.sees("The password is not right")
	c.enter("password", who.Password)
	c.sees("Choose a new password")
	c.fill("confirm_password", "another one altogether")
	c.enter("new_password", newPassword)
	c.sees("The two passwords are different")
	c.fill("confirm_password", newPassword)
	c.enter("new_password", newPassword)
	c.sees("Security", "Your password is changed.")
	other.isOut(d) // by its very next request
	c.settings(d, "security")
	c.sees("Signed in as "+who.Username, "Change Password") // this one stays

	m := d.told(who.Email, "Your Medximity password was changed")
	if !strings.Contains(m.Text, "changed by somebody who knew the old one") ||
		!strings.Contains(m.HTML, "This Was Not Me") {
		t.Errorf("the notice says:\n%s", m.Text)
	}
	link := linkIn(t, m, "/not-me?token=")
	for range 3 { // a mail scanner
		newPerson(t).visit(link)
	}
	c.settings(d, "security")
	c.sees("Signed in as " + who.Username)
	c.open(link)
	c.sees("Was this not you?", "It signs everybody out of your account, you too.")
	c.click("#submit")
	c.sees("Your account is secured", "Forgot Password?", "Contact Support")
	c.open(link)
	c.sees("It has been used, or it is older than 7 days.")
	c.settings(d, "security")
	c.sees("Forgot Password?")
	who.Password = newPassword
	c.signIn(who)
	c.sees("This password cannot be used") // whoever knows it may be somebody else
	if words := c.words(); strings.Contains(words, "too many wrong attempts") {
		t.Errorf("there were none, but the page says:\n%s", words)
	}
	c.click("a[href*='/forgot-password']")
	c.enter("email", who.Email)
	c.open(linkIn(t, d.mailsWith(who.Email, "/reset-password?token=", 1)[0], "/reset-password?token="))
	const last = "eleven quiet herons wading"
	c.fill("confirm_password", last)
	c.enter("new_password", last)
	who.Password = last
	c.signIn(who)
	c.sees("Security", "Signed in as "+who.Username)
}

func TestWalkSettingsEmail(t *testing.T) { bothWays(t, walkSettingsEmail) }

func walkSettingsEmail(t *testing.T, d *demo, c *chromium) {
	const email, third = "grace@new.example", "grace@third.example"
	who := d.grace()
	c.settings(d, "security")
	c.signIn(who)
	d.pass(10 * time.Minute)
	c.click("a.button[href$='/account/email']")
	c.sees("Confirm that it is you")
	c.enter("password", who.Password)
	c.sees("Change your email", who.Email)
	c.enter("email", who.Email)
	c.sees("This is your email already")
	c.enter("email", "no address")
	c.sees("Enter an email address in the correct format")
	c.enter("email", email)
	c.sees("Check both mailboxes", who.Email, email)
	c.settings(d, "security")
	c.sees("New email, not confirmed yet", email)

	fromOld := d.told(who.Email, "Is your Medximity email to be changed?")
	fromNew := d.told(email, "Confirm your new Medximity email")
	first, second := linkIn(t, fromOld, "/confirm-email?token="), linkIn(t, fromNew, "/confirm-email?token=")
	for _, link := range []string{first, second} { // a mail scanner
		newPerson(t).visit(link)
	}
	c.open(first)
	c.sees("Confirm the new email", email)
	c.click("#submit")
	c.sees("One more confirmation", "@new.example") // who has one mailbox may not know the other
	c.settings(d, "security")
	c.sees(who.Email, "New email, not confirmed yet")
	c.open(second)
	c.click("#submit")
	c.sees("Your email is changed")
	for _, to := range []string{who.Email, email} {
		m := d.told(to, "Your Medximity email was changed")
		if !strings.Contains(m.Text, email) || !strings.Contains(m.Text, "/not-me?token=") {
			t.Errorf("the notice to %s says:\n%s", to, m.Text)
		}
	}
	c.open(first)
	c.sees("This link does not work")
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Email, who.Password)
	p.sees("The username or password is not right")
	p.signIn(email, who.Password)
	p.sees("You are signed in")

	c.settings(d, "security")
	c.sees("Current email " + email)
	c.settings(d, "email")
	c.enter("email", third)
	c.sees("Check both mailboxes")
	asked := d.told(email, "Is your Medximity email to be changed?")
	c.open(linkIn(t, asked, "/confirm-email/cancel?token="))
	c.sees("Cancel the change of email?", third)
	c.click("#submit")
	c.sees("The change of email is cancelled", "Your email stays as it was")
	c.open(linkIn(t, d.told(third, "Confirm your new Medximity email"), "/confirm-email?token="))
	c.sees("This link does not work")

	c.settings(d, "email")
	c.enter("email", "grace@fourth.example")
	c.settings(d, "security")
	c.do("/email/withdraw")
	c.sees("The change of email is cancelled.", "Current email "+email)
	if strings.Contains(c.words(), "not confirmed yet") {
		t.Error("the change goes on")
	}
}

func TestWalkSettingsLanguageAndActivity(t *testing.T) { bothWays(t, walkSettingsLanguage) }

func walkSettingsLanguage(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, "not the right one")
	c.settings(d, "security")
	c.signIn(who)
	c.choose("fr")
	c.sees("Votre langue est enregistrée", "Changer de mot de passe")
	askForLink(t, d, newPerson(t), who)
	if m := resetMails(d, who.Email)[0]; !strings.Contains(m.Subject, "mot de passe") {
		t.Errorf("the mail is %q", m.Subject)
	}
	c.choose("en")
	c.sees("Your language is saved.")
	c.do("/security/authenticators")
	c.setUp(d)
	c.saveCodes()
	d.pass(10 * time.Minute)
	c.settings(d, "security")
	c.do("/security/password")
	c.sees("Enter your current password first.")
	c.settings(d, "activity")
	c.sees("Recent activity", "Signed in", "Sign-in failed: wrong password", "Language changed", "Reset link asked for",
		"Authenticator added", "New backup codes made", "Something here was not you?", "Contact Support")
}

// choose saves the language of pages and mails.
func (c *chromium) choose(lang string) {
	c.t.Helper()
	c.run(chromedp.SetValue("#language", lang, chromedp.ByQuery))
	c.do("/account/language")
}
