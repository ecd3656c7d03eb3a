package main

import "testing"

// An attorney's app, which is not the practice's: the person is asked once what
// it may see, finds it under Account Settings > Apps, and takes it back.
func TestWalkConsent(t *testing.T) { bothWays(t, walkConsent) }

func walkConsent(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	c.open(d.App + "/law/signin")
	c.signIn(who)
	c.sees("Allow Harbor Law Files?", "What it will see", "Your email address", "Your NPI", who.Username)
	c.click("#consent-deny")
	c.sees("access_denied")

	c.open(d.App + "/law/signin")
	c.sees("Allow Harbor Law Files?")
	c.click("#consent-accept")
	c.sees("This is what the app was told", who.Email, "npi")

	c.open(d.App + "/law/signin") // and not again
	c.sees("This is what the app was told")

	c.open(d.Issuer + "/account/apps")
	c.sees("Apps", "Harbor Law Files", "Your NPI", "Allowed")
	c.click("form[action$='/account/apps/withdraw'] button")
	c.sees("The app no longer has access", "You have not allowed any app of others")
	c.open(d.App + "/law/signin")
	c.sees("Allow Harbor Law Files?")
}
