package main

import (
	"fmt"
	"hash/crc32"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/medximity/idp/flows/account"
)

// Walks through the second factor, in a real browser: on a phone, and in a
// wide window without JavaScript.

// bothWays walks on a phone, and in a wide window without JavaScript. Without
// IDP_FULL=1 a walk is one of the two, by turns: TestWalk and the promises
// are all ways in every run.
func bothWays(t *testing.T, walk func(*testing.T, *demo, *chromium)) {
	t.Parallel() // each has a demo and a browser of its own, and mostly waits for them
	phone := crc32.ChecksumIEEE([]byte(t.Name()))%2 == 0
	for _, tt := range []struct {
		name    string
		width   int
		scripts bool
	}{
		{"360 px", 360, true},
		{"1280 px, no JavaScript", 1280, false},
	} {
		if tt.scripts != phone && os.Getenv("IDP_FULL") == "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			walk(t, startDemo(t), openChromium(t, tt.width, tt.scripts))
		})
	}
}

// signIn fills in the sign-in page.
func (c *chromium) signIn(who demoPerson) {
	c.t.Helper()
	c.fill("identifier", who.Username)
	c.enter("password", who.Password)
}

// enter fills in the control and sends its form.
func (c *chromium) enter(id, value string) {
	c.t.Helper()
	c.fill(id, value)
	c.click("#submit")
}

// signOut ends the session at Medximity ID.
func (c *chromium) signOut(d *demo) {
	c.t.Helper()
	c.open(d.Issuer + "/logout")
	c.click("#logout-confirm")
}

// setUp goes through the set-up page, up to the backup codes.
func (c *chromium) setUp(d *demo) authenticator {
	c.t.Helper()
	c.sees("Set up your authenticator app", "Scan this QR code")
	c.run(chromedp.WaitVisible("svg.qr", chromedp.ByQuery))
	var key string
	c.run(chromedp.Text("#key", &key, chromedp.ByQuery))
	a := d.authenticator(key)
	c.enter("otp", a.next())
	return a
}

var backupCode = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{5}`)

// saveCodes saves the backup codes that the page shows, and returns them.
func (c *chromium) saveCodes() []string {
	c.t.Helper()
	c.sees("Save these backup codes", "They are shown only now")
	codes := backupCode.FindAllString(c.words(), -1)
	if len(codes) != account.BackupCodes {
		c.t.Fatalf("%d backup codes on %s:\n%s", len(codes), c.url(), c.words())
	}
	c.click("#submit")
	c.sees("Confirm that you saved your backup codes")
	if again := backupCode.FindAllString(c.words(), -1); strings.Join(again, " ") != strings.Join(codes, " ") {
		c.t.Error("the page shows other codes the second time")
	}
	c.run(chromedp.Click("#saved", chromedp.ByQuery))
	c.click("#submit")
	return codes
}

// provedTwo wants the app to have been told of two factors.
func (c *chromium) provedTwo(who demoPerson) {
	c.t.Helper()
	c.sees(who.Email, "acr urn:medximity:acr:2fa", "amr pwd otp mfa")
}

func TestWalkSetUp(t *testing.T) { bothWays(t, walkSetUp) }

func walkSetUp(t *testing.T, d *demo, c *chromium) {
	who := d.person("camille")
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.sees("Your practice or this app asks for a second step", "camille")
	c.enter("otp", "000000")
	c.sees("That code did not work", "Set the clock of your phone to automatic")
	phone := c.setUp(d)
	c.saveCodes()
	c.provedTwo(who)

	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.sees("Enter the code from your authenticator app", "Use a backup code", "Lost your phone?")
	code := phone.next()
	c.enter("otp", code)
	c.provedTwo(who)

	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.enter("otp", code)
	c.sees("That code was used already")
	phone.next()
	c.enter("otp", phone.drifted(-1)) // by a clock that is slow
	c.provedTwo(who)

	c.signOut(d)
	d.pass(5 * time.Minute)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.enter("otp", phone.wrong())
	c.sees("That code did not work", "Set the clock of your phone to automatic")
	c.enter("otp", phone.next())
	c.provedTwo(who)
}

func TestWalkBackupCodes(t *testing.T) { bothWays(t, walkBackupCodes) }

func walkBackupCodes(t *testing.T, d *demo, c *chromium) {
	who := d.person("camille")
	c.open(d.App + "/records/signin")
	c.signIn(who)
	phone := c.setUp(d)
	codes := c.saveCodes()
	for i, code := range codes {
		c.signOut(d)
		c.open(d.App + "/records/signin")
		c.signIn(who)
		if i == 0 {
			c.click("a[href*='way=backup-code']")
		}
		c.sees("Enter a backup code")
		c.enter("backup_code", code)
		switch left := len(codes) - i - 1; left {
		case 3, 2, 1:
			c.sees("You have few backup codes left", fmt.Sprintf("You have %d backup code", left))
			c.click("button[value='later']")
		case 0:
			newer := c.saveCodes() // whoever has none left makes new ones
			if newer[0] == codes[0] {
				t.Error("the new set is the old one")
			}
			codes = newer
		}
		c.provedTwo(who)
	}
	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.click("a[href*='way=backup-code']") // of the new set none was used yet
	c.enter("backup_code", codes[9])
	c.provedTwo(who)

	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.click("a[href*='way=totp']") // last time it was a backup code
	c.enter("otp", phone.next())
	c.provedTwo(who)
}

func TestWalkStepUp(t *testing.T) { bothWays(t, walkStepUp) }

func walkStepUp(t *testing.T, d *demo, c *chromium) {
	who, other := d.grace(), d.person("mateo")
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees(who.Email, "acr urn:medximity:acr:1fa")

	c.open(d.App + "/signin?acr_values=urn:medximity:acr:2fa")
	phone := c.setUp(d) // no password: it was given just now
	c.saveCodes()
	c.provedTwo(who)

	for _, query := range []string{"max_age=60", "prompt=login"} {
		d.pass(10 * time.Minute)
		c.open(d.App + "/signin")
		c.provedTwo(who) // nobody is asked anything
		c.open(d.App + "/signin?" + query)
		c.sees("Confirm that it is you", "Riverside Chart asks for your password once more", "Signed in as", who.Username)
		c.enter("password", "not the right one")
		c.sees("The password is not right")
		before := d.now()
		c.enter("password", who.Password)
		c.sees("Enter the code from your authenticator app")
		c.enter("otp", phone.next())
		c.provedTwo(who)
		c.authenticatedSince(before)
	}

	d.pass(10 * time.Minute)
	for _, query := range []string{"max_age=60", "prompt=login"} {
		c.open(d.App + "/signin?" + query)
		c.sees("Not you?")
		c.click("a[href*='/login/other']") // a workstation has more than one user
		c.sees("Sign in", "to continue to Riverside Chart", "Username or email")
	}
	c.signIn(other)
	c.sees(other.Email, "acr urn:medximity:acr:1fa")
}

var authTime = regexp.MustCompile(`auth_time (\S+)`)

// authenticatedSince wants the app to have been told of a newer sign-in.
func (c *chromium) authenticatedSince(before time.Time) {
	c.t.Helper()
	m := authTime.FindStringSubmatch(c.words())
	if m == nil {
		c.t.Fatalf("no auth_time on %s:\n%s", c.url(), c.words())
	}
	at, err := time.Parse(time.RFC3339, m[1])
	if err != nil || at.Before(before.Truncate(time.Second)) {
		c.t.Errorf("auth_time %s, want %s or later: %v", m[1], before, err)
	}
}

// Two factors that the app asks for are asked for where one was proven long ago,
// too: then the session alone adds no authenticator (provider/stepup.go).
func TestWalkStepUpLate(t *testing.T) { bothWays(t, walkStepUpLate) }

func walkStepUpLate(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees(who.Email)
	d.pass(10 * time.Minute)
	c.open(d.App + "/records/signin")
	c.sees("Confirm that it is you", "Riverside Records", who.Username)
	c.enter("password", who.Password)
	phone := c.setUp(d)
	c.saveCodes()
	c.provedTwo(who)

	c.signOut(d) // the second factor is asked for from now on, everywhere
	c.open(d.App + "/second/signin")
	c.signIn(who)
	c.enter("otp", phone.next())
	c.provedTwo(who)
}

const holds = `medximity_idp_second_factor_holds_total`

func TestWalkHold(t *testing.T) { bothWays(t, walkHold) }

func walkHold(t *testing.T, d *demo, c *chromium) {
	who := d.nora()
	phone := d.phone(who)
	fail := func() {
		t.Helper()
		c.open(d.App + "/signin")
		c.signIn(who)
		for i := range 5 {
			c.enter("otp", phone.wrong())
			if i == 3 {
				c.sees("That code did not work", "You have 1 attempt left")
			}
		}
	}
	fail()
	c.sees("Your account is locked", "30 minutes", "Contact Support")
	d.told(who.Email, "Your Medximity account is locked")
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees("Your account is locked")
	if n := d.metric(holds); n != 0 {
		t.Errorf("%v holds after 5 wrong codes", n)
	}

	d.pass(31 * time.Minute)
	fail()
	c.sees("Your second step is on hold", "Support can end it, or the Account Owner", "Contact Support", "Forgot Password?")
	d.told(who.Email, "Your second step is on hold")
	if n := d.metric(holds); n != 1 {
		t.Errorf("%v holds after 10 wrong codes", n)
	}

	d.pass(31 * time.Minute) // it does not end by itself
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees("Enter the code from your authenticator app")
	c.enter("otp", phone.next())
	c.sees("Your second step is on hold")

	d.idp("account", "disable-2fa", who.Username)
	d.told(who.Email, "Your second step was turned off")
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees("Choose a new password") // whoever gave ten wrong codes knew this one
	c.fill("confirm_password", who.Password)
	c.enter("new_password", who.Password)
	c.sees("This is the password that has to be changed")
	c.fill("confirm_password", newPassword)
	c.enter("new_password", newPassword)
	c.sees(who.Email, "acr urn:medximity:acr:1fa")

	who.Password = newPassword
	c.open(d.App + "/records/signin")
	c.setUp(d)
	c.saveCodes()
	c.provedTwo(who)
}
