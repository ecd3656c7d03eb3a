package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Walks with passkeys, in a real browser whose authenticators are virtual: one
// built in that knows its person, and a key on the USB that knows nobody.

var (
	builtIn = webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2,
		Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true}
	onUSB = webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2,
		Transport: webauthn.AuthenticatorTransportUsb, AutomaticPresenceSimulation: true}
)

// virtual is an authenticator of a browser.
type virtual struct {
	c  *chromium
	id webauthn.AuthenticatorID
}

// plug gives the browser an authenticator.
func (c *chromium) plug(o webauthn.VirtualAuthenticatorOptions) *virtual {
	c.t.Helper()
	k := &virtual{c: c}
	c.run(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		k.id, err = webauthn.AddVirtualAuthenticator(&o).Do(ctx)
		return err
	}))
	c.first(`const get = navigator.credentials?.get.bind(navigator.credentials);
		if (get) navigator.credentials.get = (options) => {
			const got = get(options);
			window.beside ||= options.mediation === "conditional";
			return got;
		}`)
	return k
}

// first runs a script in each page before its own.
func (c *chromium) first(script string) {
	c.t.Helper()
	c.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdppage.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	}))
}

// waits wants the browser to be asked for a passkey beside the field, while nobody
// touches it. The questions after it are answered in their order: by then the
// authenticator was asked, and it looks for a touch once only.
func (k *virtual) waits(address string) {
	k.c.t.Helper()
	k.touched(false)
	k.c.open(address)
	var asked bool
	k.c.run(chromedp.Evaluate(`(async () => {
		const until = performance.now() + 10000;
		while (!window.beside && performance.now() < until) await new Promise(done => setTimeout(done, 20));
		for (let n = 0; n < 10; n++) await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
		return !!window.beside;
	})()`, &asked, awaitPromise))
	if !asked {
		k.c.t.Fatalf("%s does not ask for a passkey beside the field", k.c.url())
	}
	k.c.sees("Username or email", "Use a Passkey")
	k.touched(true)
}

// touched says whether somebody touches it whenever it asks.
func (k *virtual) touched(yes bool) {
	k.c.t.Helper()
	k.c.run(webauthn.SetAutomaticPresenceSimulation(k.id, yes))
}

// knows says whether whoever touches it is its person.
func (k *virtual) knows(yes bool) {
	k.c.t.Helper()
	k.c.run(webauthn.SetUserVerified(k.id, yes))
}

// useKey presses the button that asks the browser for a passkey, and waits for
// the page that comes of it.
func (c *chromium) useKey() { c.t.Helper(); c.click(keyButton) }

const keyButton = "[data-passkey] button"

// hears presses the button, and waits for what the page says of it.
func (c *chromium) hears(words string) {
	c.t.Helper()
	var got string
	c.run(chromedp.Click(keyButton, chromedp.ByQuery), chromedp.Evaluate(`new Promise(done => {
		const said = document.querySelector("[data-said]"), until = performance.now() + 10000;
		const beat = setInterval(() => {
			if (performance.now() < until && !said.textContent) return;
			clearInterval(beat);
			done(said.textContent);
		}, 20);
	})`, &got, awaitPromise))
	if got != words {
		c.t.Errorf("%s says %q, want %q", c.url(), got, words)
	}
	c.shoot()
}

// addKey adds a passkey from Account Settings, for whoever signed in just now.
func (c *chromium) addKey(d *demo, name string) {
	c.t.Helper()
	c.settings(d, "security")
	c.do("/security/passkeys")
	c.sees("Add a passkey", "Front desk laptop")
	c.fill("name", name)
	c.useKey()
}

// atBothWidths walks with JavaScript, without which there are no passkeys.
func atBothWidths(t *testing.T, walk func(*testing.T, *demo, *chromium)) {
	for _, width := range []int{360, 1280} {
		t.Run(fmt.Sprint(width, " px"), func(t *testing.T) { walk(t, startDemo(t), openChromium(t, width, true)) })
	}
}

func TestWalkPasskey(t *testing.T) { atBothWidths(t, walkPasskey) }

func walkPasskey(t *testing.T, d *demo, c *chromium) {
	who, key := d.grace(), c.plug(builtIn)
	c.settings(d, "security")
	c.signIn(who)
	c.sees("Passkeys", "A passkey signs you in without a password and a code.")
	c.addKey(d, "Front desk laptop")
	c.saveCodes()
	c.sees("The passkey is added.", "Front desk laptop", "10 backup codes are left.")
	d.told(who.Email, "A passkey was added to your Medximity account")

	// The same authenticator is not taken twice.
	c.do("/security/passkeys")
	c.hears("This device has a passkey for the account already.")

	// By the button, while the browser waits for somebody to choose one beside
	// the field.
	c.signOut(d)
	key.waits(d.App + "/signin")
	c.useKey()
	c.sees(who.Email, "acr phr", "amr hwk user mfa")

	// Whoever chooses it beside the field presses nothing.
	c.signOut(d)
	c.autofills(d.App + "/signin")
	c.sees(who.Email, "acr phr")

	// Once more before something that matters, instead of the password.
	d.pass(10 * time.Minute)
	c.open(d.App + "/signin?prompt=login")
	c.sees("Confirm that it is you", "Use a passkey")
	c.click("a[href*='way=passkey']")
	c.sees("Use your passkey", "Use your password")
	before := d.now()
	c.useKey()
	c.sees(who.Email, "acr phr")
	c.authenticatedSince(before)

	// Gone here, though the device still has it.
	c.settings(d, "security")
	c.click("a[href*='passkeys/remove']")
	c.sees("Remove Front desk laptop?", "Delete it from your device", "It is your last second step")
	c.do("/passkeys/remove")
	c.sees("The passkey is removed.", "You sign in with your password alone")
	d.told(who.Email, "A passkey was removed from your Medximity account")
	c.signOut(d)
	key.waits(d.App + "/signin")
	c.useKey()
	c.sees("That passkey does not belong to an account here, or was removed.")
}

// autofills opens a page that asks for a name, and wants to be led on by the
// passkey alone.
func (c *chromium) autofills(address string) {
	c.t.Helper()
	c.open(address)
	for end := time.Now().Add(10 * time.Second); strings.Contains(c.url(), "/login"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("nobody chose the passkey; the page is %s:\n%s", c.url(), c.words())
		}
	}
}

func TestWalkPasskeySecond(t *testing.T) { atBothWidths(t, walkPasskeySecond) }

// A key that knows nobody is the second factor, after the password.
func walkPasskeySecond(t *testing.T, d *demo, c *chromium) {
	who := d.person("mateo")
	c.plug(onUSB)
	c.settings(d, "security")
	c.signIn(who)
	c.addKey(d, "")
	codes := c.saveCodes()
	c.sees("The passkey is added.", "Passkey", "10 backup codes are left.")

	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.sees("Use your passkey", "Use a backup code", "Lost your passkey?")
	c.useKey()
	c.sees(who.Email, "acr urn:medximity:acr:2fa", "amr pwd hwk user mfa")

	// Once more, both.
	d.pass(10 * time.Minute)
	c.open(d.App + "/records/signin?prompt=login")
	before := d.now()
	c.enter("password", who.Password)
	c.useKey()
	c.sees(who.Email, "acr urn:medximity:acr:2fa")
	c.authenticatedSince(before)

	// The key is lost.
	c.signOut(d)
	c.open(d.App + "/records/signin")
	c.signIn(who)
	c.click("a[href*='way=backup-code']")
	c.enter("backup_code", codes[0])
	c.sees(who.Email, "acr urn:medximity:acr:2fa")
}

// What went wrong is said by its cause, and the page still takes another way.
func TestWalkPasskeyCauses(t *testing.T) {
	d, c := startDemo(t), openChromium(t, 360, true)
	who, key := d.grace(), c.plug(builtIn)
	c.settings(d, "security")
	c.signIn(who)
	c.settings(d, "security")
	c.do("/security/passkeys")
	key.knows(false) // somebody else's finger
	c.hears("The passkey was not used. Try again, or choose another way.")
	key.knows(true)
	c.useKey()
	c.saveCodes()

	c.signOut(d)
	key.waits(d.App + "/signin")
	key.knows(false)
	c.hears("The passkey was not used. Try again, or choose another way.")
	key.touched(false)
	c.impatient()
	c.hears("That took too long. Try again, or choose another way.")
	c.run(webauthn.RemoveVirtualAuthenticator(key.id))
	c.signIn(who)
	c.sees("Use your passkey")
	c.click("a[href*='way=backup-code']")
	c.sees("Enter a backup code")
}

// impatient has the page give up after a second, and not after five minutes.
func (c *chromium) impatient() {
	c.t.Helper()
	c.run(chromedp.Evaluate(`{const form = document.querySelector("[data-passkey]");
		form.dataset.options = JSON.stringify({...JSON.parse(form.dataset.options), timeout: 1000})}`, nil))
}

// Somebody who typed a password and a code is offered to type neither, and says
// yes, not now, or never.
func TestWalkPasskeyOffered(t *testing.T) {
	for _, tt := range []struct {
		name    string
		width   int
		scripts bool
	}{
		{"360 px", 360, true},
		{"1280 px, no JavaScript", 1280, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, c := startDemo(t, "--offer-passkeys"), openChromium(t, tt.width, tt.scripts)
			who, key := d.nora(), c.plug(builtIn)
			phone := d.phone(who)
			signIn := func() {
				t.Helper()
				c.open(d.App + "/signin")
				c.signIn(who)
				c.enter("otp", phone.next())
			}
			signIn()
			c.saveCodes()
			c.sees("Sign in without typing?", "Not Now", "Do Not Ask Again")
			c.click("button[value=later]")
			c.provedTwo(who)
			c.signOut(d)
			signIn()
			c.provedTwo(who)
			c.signOut(d)
			d.pass(31 * 24 * time.Hour)
			signIn()
			if !tt.scripts {
				c.sees("This browser cannot make one here, or JavaScript is off.")
				c.click("button[value=never]")
				c.provedTwo(who)
				return
			}
			c.fill("name", "Phone of the ward")
			c.useKey()
			c.sees(who.Email)
			c.settings(d, "security")
			c.sees("Phone of the ward")
			c.signOut(d)
			key.waits(d.App + "/signin")
			c.useKey()
			c.sees(who.Email, "acr phr")
		})
	}
}

// Where the browser has no passkeys, or no script runs, nothing offers one, and
// the pages that need one say what else works.
func TestWalkPasskeyWithout(t *testing.T) {
	for _, tt := range []struct {
		name    string
		width   int
		scripts bool
	}{
		{"no PublicKeyCredential", 360, true},
		{"no JavaScript", 1280, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, has := startDemo(t), openChromium(t, 1280, true)
			who := d.grace()
			has.plug(builtIn)
			has.settings(d, "security")
			has.signIn(who)
			has.addKey(d, "Laptop")
			codes := has.saveCodes()

			c := openChromium(t, tt.width, tt.scripts)
			c.first("delete window.PublicKeyCredential")
			c.open(d.App + "/signin")
			c.offersNoKey()
			c.signIn(who)
			c.sees("Use your passkey", "This browser cannot use passkeys here, or JavaScript is off. Choose another way.")
			c.offersNoKey()
			c.click("a[href*='way=backup-code']")
			c.enter("backup_code", codes[0])
			c.sees(who.Email, "acr urn:medximity:acr:2fa")
			c.settings(d, "security")
			c.do("/security/passkeys")
			c.sees("Add a passkey", "This browser cannot make passkeys here, or JavaScript is off.", "Not now")
			c.offersNoKey()
		})
	}
}

func (c *chromium) offersNoKey() {
	c.t.Helper()
	if words := c.words(); strings.Contains(words, "Use a Passkey") || strings.Contains(words, "Create the Passkey") {
		c.t.Errorf("%s offers a passkey:\n%s", c.url(), words)
	}
}

func TestAccessibilityPasskeyOffer(t *testing.T) {
	axe := string(mustRead(t, filepath.Join("testdata", "node", "node_modules", "axe-core", "axe.min.js")))
	d, c := startDemo(t, "--offer-passkeys"), openChromium(t, 320, true)
	c.plug(builtIn)
	who := d.nora()
	c.open(d.App + "/signin")
	c.signIn(who)
	c.enter("otp", d.phone(who).next())
	c.saveCodes()
	for _, scheme := range []string{"light", "dark"} {
		c.scheme(scheme)
		c.sees("Sign in without typing?")
		checkPage(t, c, axe)
	}
	c.fill("name", strings.Repeat("long ", 9))
	c.useKey()
	c.sees("The name must be 40 characters or fewer")
	checkPage(t, c, axe)
}

func TestAccessibilityPasskeys(t *testing.T) {
	accessible(t, func(d *demo, c *chromium, check func(name, words string)) {
		who, key := d.grace(), c.plug(builtIn)
		c.settings(d, "security")
		check("sign in, with a passkey", "Use a Passkey")
		c.signIn(who)
		check("security, no passkey", "Add a Passkey")
		c.do("/security/passkeys")
		check("add a passkey", "Create the Passkey")
		key.knows(false)
		c.hears("The passkey was not used. Try again, or choose another way.")
		check("add a passkey, not used", "The passkey was not used.")
		key.knows(true)
		c.fill("name", strings.Repeat("long ", 9))
		c.useKey()
		check("add a passkey, name refused", "The name must be 40 characters or fewer")
		c.fill("name", strings.Repeat("Laptop ", 5))
		c.useKey()
		c.saveCodes()
		check("security, with a passkey", "The passkey is added.")
		c.click("a[href*='passkeys/remove']")
		check("remove a passkey", "It is your last second step")

		key.touched(false)
		c.signOut(d)
		c.open(d.App + "/signin")
		c.signIn(who)
		check("passkey", "Use your passkey")
	})
}
