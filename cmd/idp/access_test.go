package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Somebody without a mouse gets everywhere, in a window of 1280 by 1024 pixels
// at 400 % zoom, which is 320 by 256 (WCAG 2.2 SC 1.4.10, 2.1.1, 2.4.3, 2.4.7,
// 2.4.11). Each stop of the Tab key is looked at on the way: see tabTo.
func TestKeyboardAlone(t *testing.T) {
	d, c := startDemo(t), openChromium(t, 320, true)
	c.run(emulation.SetDeviceMetricsOverride(320, 256, 4, false))
	who := d.grace()

	// The skip link comes first, and leads to what the page is about.
	c.open(d.Issuer + "/account/security")
	c.tabTo(".skip")
	c.press(enter)
	c.focused("main")

	// A mistake: the summary has the focus, is announced, and leads to the field.
	c.tabTo("#identifier")
	c.enterBy("#submit")
	c.focused("#summary[role=alert]")
	if title := c.title(); !strings.HasPrefix(title, "Error: ") {
		t.Errorf("the title is %q", title)
	}
	c.tabTo("#summary a[href='#identifier']")
	c.press(enter)
	c.focused("#identifier[aria-invalid][aria-describedby='identifier-wrong']")

	c.types(who.Username)
	c.tabTo("#password")
	c.types(who.Password)
	c.tabTo(".reveal")
	c.press(" ") // shown
	c.focused(".reveal[aria-controls=password]")
	c.enterBy("#submit")
	c.sees("You sign in with your password alone")

	// An authenticator and its backup codes.
	c.enterBy("form[action$='/security/authenticators'] button")
	var key string
	c.run(chromedp.Text("#key", &key, chromedp.ByQuery))
	phone := d.authenticator(key)
	c.tabTo("#otp")
	c.types(phone.next())
	c.enterBy("#submit")
	codes := backupCode.FindAllString(c.words(), -1)
	c.enterBy("#submit")
	c.focused("#summary[role=alert]")
	c.tabTo("#saved")
	c.press(" ")
	c.enterBy("#submit")
	c.sees("The authenticator is added.")

	// Settings: the language, and the end of a session elsewhere.
	other := newPerson(t)
	other.visit(d.Issuer + "/login")
	other.signIn(who.Username, who.Password)
	other.enterCode(phone.next())
	c.tabTo("#language")
	c.types("F")
	c.enterBy("form[action$='/account/language'] button")
	c.sees("Votre langue est enregistrée")
	c.enterBy(".languages [value=en]")
	c.enterBy(".account a[href$='/sessions']")
	c.enterBy("form[action$='/sessions/end'] button")
	c.sees("The session is ended.")

	// Out, and in with a backup code.
	c.enterBy(".account a[href$='/logout']")
	c.enterBy("#logout-confirm")
	c.open(d.App + "/signin")
	c.tabTo("#identifier")
	c.types(who.Username)
	c.tabTo("#password")
	c.types(who.Password)
	c.leads(enter) // as from any field
	c.focused("#otp")
	c.enterBy("a[href*='way=backup-code']")
	c.tabTo("#backup_code")
	c.types(codes[0])
	c.enterBy("#submit")
	c.sees(who.Email)
}

// press sends a key to what has the focus.
func (c *chromium) press(key string) { c.t.Helper(); c.run(stroke(key)...) }

// stroke is a key going down and up. (chromedp's own sends a second character
// after it, to what has the focus by then.)
func stroke(key string) []chromedp.Action {
	name, code := map[string]string{tab: "Tab", enter: "Enter"}[key], int64(strings.ToUpper(key)[0])
	if name == "" {
		name = key
	}
	down := input.DispatchKeyEvent(input.KeyDown).WithKey(name).WithCode(name).WithWindowsVirtualKeyCode(code)
	if key != tab {
		down = down.WithText(key)
	}
	return []chromedp.Action{down, input.DispatchKeyEvent(input.KeyUp).WithKey(name).WithCode(name).WithWindowsVirtualKeyCode(code)}
}

const tab, enter = "\t", "\r"

// types types a text into what has the focus.
func (c *chromium) types(text string) {
	c.t.Helper()
	if len(text) == 1 {
		c.press(text) // a list takes keys alone
		return
	}
	c.run(input.InsertText(text))
}

// leads sends a key, and waits for the page that comes of it.
func (c *chromium) leads(key string) {
	c.t.Helper()
	if _, err := chromedp.RunResponse(c.ctx, stroke(key)...); err != nil {
		c.t.Fatalf("%v; the page is %s:\n%s", err, c.url(), c.words())
	}
}

// enterBy goes to a link or button and follows it.
func (c *chromium) enterBy(selector string) { c.t.Helper(); c.tabTo(selector); c.leads(enter) }

func (c *chromium) title() (s string) { c.t.Helper(); c.run(chromedp.Title(&s)); return s }

// focused wants the focus on what the selector finds.
func (c *chromium) focused(selector string) {
	c.t.Helper()
	var got string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) { // autofocus waits for the page to be drawn
		c.run(chromedp.Evaluate(fmt.Sprintf(`(() => { const e = document.activeElement;
			return e.matches(%q) ? "" : e.outerHTML.slice(0, 200) })()`, selector), &got))
		if got == "" {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	c.t.Errorf("%s: the focus is not on %s, but on %s", c.url(), selector, got)
}

// tabTo presses Tab until the focus is on what the selector finds. At every
// stop there is a ring; the stop is in sight, under nothing else, and after the
// stop before it, both in the text and as one reads; and the page is no wider
// than its window.
func (c *chromium) tabTo(selector string) {
	c.t.Helper()
	for range 60 {
		c.press(tab)
		var raw string
		c.run(chromedp.Evaluate(fmt.Sprintf(stop, selector), &raw))
		var s struct {
			There bool
			What  string
			Wrong []string
		}
		if err := json.Unmarshal([]byte(raw), &s); err != nil {
			c.t.Fatal(err)
		}
		for _, w := range s.Wrong {
			c.t.Errorf("%s: %s: %s", c.url(), s.What, w)
		}
		if s.There {
			c.shoot()
			return
		}
	}
	c.t.Fatalf("Tab does not reach %s on %s:\n%s", selector, c.url(), c.words())
}

const stop = `(() => {
	const e = document.activeElement, wrong = [], root = document.documentElement;
	const out = () => JSON.stringify({there: e.matches(%q), what: e.outerHTML.slice(0, 120), wrong});
	if (e === document.body) { window.before = null; return out(); } // around the page once
	const style = getComputedStyle(e), box = e.getBoundingClientRect();
	if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push("no ring");
	if (root.scrollWidth > innerWidth) wrong.push("the page is " + root.scrollWidth + " px wide");
	const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2, y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
	const top = document.elementFromPoint(x, y);
	if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth) wrong.push("out of sight");
	else if (!top || !e.contains(top) && !top.contains(e)) wrong.push("under " + (top ? top.outerHTML.slice(0, 80) : "nothing"));
	const before = window.before, at = box.top + scrollY;
	if (before && before.e.isConnected && before.e !== e) {
		if (!(before.e.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) wrong.push("before the stop before it");
		if (at < before.at - box.height - 1) wrong.push("above the stop before it");
	}
	window.before = e.matches(".skip") ? null : {e, at};
	return out();
})()`

// A page says three minutes before it ends that it will, and one key more gives
// more time; what was proven and the app's request are kept (SC 2.2.1).
func TestTimeLimit(t *testing.T) {
	d, c := startDemo(t), openChromium(t, 360, true)
	who := d.nora()
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees("Enter the code from your authenticator app")
	c.status("")
	for range 3 { // 60 minutes each
		d.pass(57*time.Minute + 30*time.Second)
		c.run(chromedp.Reload())
		c.status("This page expires in 3 minutes. Then you have to start again.")
		c.enterBy(".ending button")
		c.sees("You have more time now.", "Enter the code from your authenticator app")
		c.status("")
	}
	c.enter("otp", d.phone(who).next())
	c.saveCodes()
	c.provedTwo(who)

	// The same by the clock of the browser, in a page that stays open.
	c.signOut(d)
	c.open(d.App + "/signin")
	c.ahead(58 * time.Minute)
	c.status("This page expires in 2 minutes. Then you have to start again.")
	c.ahead(2 * time.Minute)
	c.status("This page has expired.")
	d.pass(61 * time.Minute)
	c.tabTo(".ending button")
	c.sees("Continue")
	c.leads(enter)
	c.sees("This page is out of date")
	c.click("a[href*='/login/continue']")
	c.sees("Sign in", "to continue to Riverside Chart")
}

// ahead moves the browser's clock.
func (c *chromium) ahead(by time.Duration) {
	c.t.Helper()
	c.run(chromedp.Evaluate(fmt.Sprintf(`{const now = Date.now; Date.now = () => now() + %d;}`, by.Milliseconds()), nil))
}

// status waits for what the page says of its end; a second and more is needed
// to know that it says nothing.
func (c *chromium) status(want string) {
	c.t.Helper()
	var got string
	c.run(chromedp.Evaluate(fmt.Sprintf(`new Promise(done => {
		const said = document.querySelector(".ending [role=status]"), until = performance.now() + (%q ? 10000 : 1500);
		const beat = setInterval(() => {
			if (performance.now() < until && (said.textContent !== %[1]q || !%[1]q)) return;
			clearInterval(beat);
			done(said.textContent);
		}, 50);
	})`, want), &got, awaitPromise))
	if got != want {
		c.t.Errorf("%s says %q, want %q", c.url(), got, want)
	}
}
