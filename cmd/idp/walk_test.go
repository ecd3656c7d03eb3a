package main

import (
	"strings"
	"testing"
)

// The walk, through a real browser, the demo's apps and its inbox: in
// wide and narrow windows, with JavaScript and without.
func TestWalk(t *testing.T) {
	for _, tt := range []struct {
		name    string
		width   int
		scripts bool
	}{
		{"1280 px", 1280, true},
		{"360 px", 360, true},
		{"1280 px, no JavaScript", 1280, false},
		{"360 px, no JavaScript", 360, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			walk(t, startDemo(t), openChromium(t, tt.width, tt.scripts))
		})
	}
}

// counts are the series that the walk moves.
var counts = map[string]float64{
	`medximity_idp_login_failures_total{factor="password",reason="bad_credentials"}`: 5,
	`medximity_idp_lockouts_total{step="password"}`:                                  1,
	`medximity_idp_lockouts_cleared_total{by="reset"}`:                               1,
	`medximity_idp_password_resets_completed_total{initiator="self"}`:                1,
}

func walk(t *testing.T, d *demo, c *chromium) {
	before := map[string]float64{}
	for series := range counts {
		before[series] = d.metric(series)
	}
	who := d.grace()

	c.open(d.App)
	c.sees("Sign in")
	c.click("a[href*='signin']")
	c.sees("Sign in", "Username or email", "Forgot Password?")
	c.fill("identifier", who.Username)
	c.fill("password", who.Password)
	c.click("#submit")
	c.sees(who.Email)

	c.click("a[href*='second']") // the second app opens without asking again
	c.click("a[href*='signin']")
	c.sees(who.Email)

	c.open(d.Issuer + "/logout")
	c.click("#logout-confirm")
	c.open(d.App + "/signin")
	for range 5 {
		c.fill("identifier", who.Username)
		c.fill("password", "not the right one")
		c.click("#submit")
	}
	c.sees("Your account is locked", "minutes", "Contact Support")

	c.click("a[href*='/forgot-password']")
	c.fill("email", who.Email)
	c.click("#submit")
	c.sees("Check your email")
	older := linkIn(t, d.mailsWith(who.Email, "/reset-password?token=", 1)[0], "/reset-password?token=")
	c.open(d.Issuer + "/forgot-password")
	c.fill("email", who.Email)
	c.click("#submit")
	newer := linkIn(t, d.mailsWith(who.Email, "/reset-password?token=", 2)[1], "/reset-password?token=")

	c.open(older)
	c.sees("There is a newer link")
	c.open(newer)
	c.fill("new_password", newPassword)
	c.fill("confirm_password", newPassword)
	c.sees("Save Password")
	c.click("#submit")
	c.sees("Sign in") // with the app's request kept
	c.fill("identifier", who.Username)
	c.fill("password", newPassword)
	c.click("#submit")
	c.sees(who.Email)

	for series, moved := range counts {
		if got := d.metric(series) - before[series]; got != moved {
			t.Errorf("%s moved by %v, want %v", series, got, moved)
		}
	}
}

// mailsWith waits for n mails to the address whose text has the part.
func (d *demo) mailsWith(to, part string, n int) []received {
	d.t.Helper()
	var got []received
	eventually(d.t, part+" mailed", func() bool {
		got = nil
		for _, m := range d.inbox(to) {
			if strings.Contains(m.Text, part) {
				got = append(got, m)
			}
		}
		return len(got) >= n
	})
	return got
}
