package provider

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
)

// newKnowing is a house where known devices have tries of their own.
func newKnowing(t *testing.T) *house {
	h := newHouse(t, "https://id.example")
	h.KnownDevices = true
	return h
}

// lockOut is a stranger who locks an account, if it is not locked already.
func (h *house) lockOut(name string) {
	h.t.Helper()
	b := h.browser()
	page := b.get("/login")
	for range account.MaxFailures {
		b.signIn(page, name, "not the right one")
	}
	if a := b.signIn(page, name, rightPassword); a.StatusCode != http.StatusForbidden {
		h.t.Fatalf("%s is not locked: %s", name, a.Status)
	}
}

// knownTo is a browser in which somebody signed in, and out again.
func (h *house) knownTo(name string) *person {
	h.t.Helper()
	b := h.browser()
	b.signIn(b.get("/login"), name, rightPassword)
	if b.cookie("session") == "" {
		h.t.Fatalf("%s cannot sign in", name)
	}
	b.post("/logout")
	return b
}

func (a answer) code() string {
	to, _ := url.Parse(a.Header.Get("Location"))
	return to.Query().Get("code")
}

// Strangers lock an account; a browser in which its person signed in before still
// signs in and its app gets tokens, if that is what the operator wants.
func TestKnownDevicesGetInThroughALock(t *testing.T) {
	for _, on := range []bool{true, false} {
		h := newHouse(t, "https://id.example")
		h.KnownDevices = on
		b := h.knownTo("grace")
		h.lockOut("grace")
		a := b.signIn(b.authorize(""), "grace", rightPassword)
		if got := a.code() != ""; got != on || !on && a.StatusCode != http.StatusForbidden {
			t.Fatalf("lockout.known_device %v: %s, to %q", on, a.Status, a.Header.Get("Location"))
		}
		if !on {
			continue
		}
		h.exchange(b, "grant_type", "authorization_code", "code", a.code(), "redirect_uri", "https://app.example/cb", "code_verifier", verifier)
		if a := h.browser(); a.signIn(a.get("/login"), "grace", rightPassword).StatusCode != http.StatusForbidden {
			t.Error("the lock is gone elsewhere")
		}
	}
}

// Between password and code, between code and token: strangers' locks end neither.
func TestStrangersDoNotInterruptAKnownDevice(t *testing.T) {
	h := newKnowing(t)
	b := h.knownTo("grace")
	code := h.phone("id-grace")
	page := b.signIn(b.authorize(""), "grace", rightPassword)
	h.lockOut("grace")
	a := b.post("/login/totp", "flow", page.flow(), "otp", code())
	a = b.post("/login/backup-codes", "flow", a.flow(), "saved", "yes") // nothing is judged here
	if a.code() == "" {
		t.Fatalf("%s:\n%s", a.Status, a.text)
	}
	h.exchange(b, "grant_type", "authorization_code", "code", a.code(), "redirect_uri", "https://app.example/cb", "code_verifier", verifier)
	a = b.post("/account/security/password")
	if a = b.post("/login/password", "flow", a.flow(), "password", rightPassword); a.StatusCode != http.StatusOK {
		t.Fatalf("a new password: %s:\n%s", a.Status, a.text)
	}
	a = b.post("/login/new-password", "flow", a.flow(), "new_password", "a lantern over quiet water", "confirm_password", "a lantern over quiet water")
	if a.StatusCode != http.StatusOK || !strings.Contains(a.Request.URL.Path, "/account") {
		t.Fatalf("a new password: %s at %s:\n%s", a.Status, a.Request.URL, a.text)
	}
	b.post("/logout")
	h.lockOut("grace")
	if a := b.signIn(b.get("/login"), "grace", "a lantern over quiet water"); !strings.Contains(a.text, `name="otp"`) {
		t.Errorf("with the new password: %s:\n%s", a.Status, a.text)
	}
}

// Five wrong ones lock the device, on the page that says so, and no other browser.
func TestAKnownDeviceHasFiveTries(t *testing.T) {
	h := newKnowing(t)
	b := h.knownTo("grace")
	page := b.get("/login")
	for try := 1; try <= 6; try++ {
		a := b.signIn(page, "grace", "not the right one")
		if want := map[bool]int{true: 401, false: 403}[try < 5]; a.StatusCode != want {
			t.Errorf("try %d: %s", try, a.Status)
		}
	}
	hashes := h.Hasher.Verified()
	if a := b.signIn(page, "grace", rightPassword); a.StatusCode != http.StatusForbidden || h.Hasher.Verified() != hashes {
		t.Errorf("the right one: %s", a.Status)
	}
	if o := h.browser(); o.signIn(o.get("/login"), "grace", rightPassword).StatusCode != http.StatusOK || o.cookie("session") == "" {
		t.Error("another browser is stopped")
	}
}

// A cookie that is nobody's, another account's, or void by a reset since is worth
// what none is, and tells what none tells: the same answers for the same work, for
// who has an account and who has not.
func TestOtherCookiesBuyNothing(t *testing.T) {
	h := newKnowing(t)
	edith := h.knownTo("edith")
	void := h.knownTo("grace") // before the reset
	open, _ := h.link(h.browser(), "grace@river.example")
	elsewhere := h.browser()
	elsewhere.post("/reset-password", "flow", elsewhere.get(open).flow(), "new_password", rightPassword, "confirm_password", rightPassword)
	forged := h.browser()
	at, err := url.Parse(h.issuer)
	h.ok(err)
	value := void.cookie("device")
	forged.Jar.SetCookies(at, []*http.Cookie{{Name: "__Host-mdx_device", Value: value[:len(value)-4] + "AAAA", Secure: true, Path: "/"}})
	for _, c := range []struct {
		name string
		b    *person
	}{{"another account's", edith}, {"forged", forged}, {"void", void}} {
		for _, name := range []string{"grace", "nobdy"} {
			none := h.browser()
			pages := map[*person]answer{none: none.get("/login"), c.b: c.b.get("/login")}
			after := func(failures int, b *person) shape { // both fail on one counter
				h.clear()
				for range failures {
					none.signIn(pages[none], name, "not the right one")
				}
				return h.shapeOf(name, func() answer { return b.signIn(pages[b], name, "not the right one") })
			}
			for _, failures := range []int{0, 4, 5} {
				want, got := after(failures, none), after(failures, c.b)
				if c.b == void && name == "grace" { // who has it knows who signed in there
					got.Statements = want.Statements
				}
				got.Text, want.Text = timeLeft.ReplaceAllString(got.Text, ""), timeLeft.ReplaceAllString(want.Text, "")
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s, %s, after %d failures (-none +cookie):\n%s", c.name, name, failures, d)
				}
			}
			if a := c.b.signIn(pages[c.b], name, rightPassword); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s gets %s past the lock: %s", c.name, name, a.Status)
			}
			h.clear()
		}
	}
}

var timeLeft = regexp.MustCompile(`data-left="[0-9]+"`)

// clear forgets failures, locks and sources.
func (h *house) clear() {
	h.inDB("UPDATE guards SET password_failed = 0, password_wrong = 0, locked_until = 0, locked_at = 0")
	h.inDB("DELETE FROM sources")
}

// Whoever resets a password under attack, in a browser that is known, can use it
// before the next lock; a reset makes no browser known that was not.
func TestAResetUnderAttack(t *testing.T) {
	for _, known := range []bool{true, false} {
		h := newKnowing(t)
		h.knownTo("grace")
		b := h.browser()
		if known {
			b = h.knownTo("grace")
		}
		open, _ := h.link(b, "grace@river.example")
		b.post("/reset-password", "flow", b.get(open).flow(), "new_password", "a lantern over quiet water", "confirm_password", "a lantern over quiet water")
		h.lockOut("grace")
		b.signIn(b.get("/login"), "grace", "a lantern over quiet water")
		if in := b.cookie("session") != ""; in != known {
			t.Errorf("known %v: signed in %v", known, in)
		}
	}
}

// What a known device costs: its own row beside its account's, at each charge and
// settle; and nothing for anybody where the option is off, or for strangers.
func TestStatementsOfAKnownDevice(t *testing.T) {
	h := newKnowing(t)
	b := h.knownTo("grace")
	signIn := func(b *person, want ...string) {
		t.Helper()
		page := b.get("/login")
		got := h.during(func() {
			b.post("/login/identify", "flow", page.flow(), "identifier", "grace", "password", rightPassword)
		})
		i := slices.Index(got, "Session") // of the page that comes after
		if d := cmp.Diff(want, got[:max(i, 0)]); d != "" {
			t.Errorf("%s", d)
		}
		b.post("/logout")
	}
	known := []string{"Flow", "PersonByIdentifier", "ReadDevice", "ChargeForDevice", "ChargeGuard",
		"SettleRightForDevice", "SettleRight", "AddSession", "AddAudit"}
	stranger := []string{"Flow", "PersonByIdentifier", "ReadGuard", "ChargeGuard", "SettleRight", "AddSession", "AddAudit"}
	signIn(b, known...)
	signIn(h.browser(), stranger...)
	h.KnownDevices = false
	signIn(b, stranger...)
}
