package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

// After ten wrong codes none is accepted. A passkey is the way out: the hold is
// over, and the password, which somebody knew, has to be changed.
func TestAPasskeyIsTheWayOutOfAHold(t *testing.T) {
	h := newHouse(t, "https://id.example")
	code := h.phone("id-grace")
	k := passkeytest.New("id.example")
	b := h.browser()
	page := b.signIn(b.get("/login"), "grace", rightPassword)
	b.saves(b.post("/login/totp", "flow", page.flow(), "otp", code()))
	if page = b.makes(k); !strings.Contains(page.text, "The passkey is added.") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	h.inDB("UPDATE guards SET code_wrong = 9 WHERE subject = 'id-grace'") // earlier, and elsewhere
	bad := h.browser()
	page = bad.signIn(bad.get("/login"), "grace", rightPassword)
	if page = bad.post("/login/totp", "flow", page.flow(), "otp", "000000"); page.StatusCode != 403 {
		t.Fatalf("the tenth wrong code: %d\n%s", page.StatusCode, page.text)
	}
	b = h.browser()
	page = b.signIn(b.get("/login"), "grace", rightPassword)
	if held := b.post("/login/totp", "flow", page.flow(), "otp", "000000"); held.StatusCode != 403 {
		t.Fatalf("a code while held: %d", held.StatusCode)
	}
	page = b.uses(k, b.get("/login?flow="+page.flow()+"&way=passkey"), nil)
	if b.cookie("session") != "" || !strings.Contains(page.text, `name="new_password"`) {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	if !slices.ContainsFunc(h.eventsOf("id-grace"), func(e account.Event) bool { return e.Kind == account.SecondFreed }) {
		t.Error("no event tells that the hold is over")
	}
	const next = "a lantern over quiet water"
	if page = b.post("/login/new-password", "flow", page.flow(), "new_password", rightPassword, "confirm_password", rightPassword); b.cookie("session") != "" {
		t.Fatalf("the password that somebody knew stays: %d", page.StatusCode)
	}
	b.post("/login/new-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	if b.cookie("session") == "" {
		t.Fatal("no session")
	}
	b = h.browser()
	page = b.signIn(b.get("/login"), "grace", next)
	h.inDB("UPDATE authenticators SET last_step = 0")
	b.post("/login/totp", "flow", page.flow(), "otp", code())
	if b.cookie("session") == "" {
		t.Error("codes are not accepted again")
	}
}

func (h *house) eventsOf(subject string) (all []account.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Subject == subject {
			all = append(all, e)
		}
	}
	return all
}

// A timed lock stops sign-ins by passkey too; it neither ends nor lengthens it, and
// after it the passkey is as good as before.
func TestALockStopsAPasskey(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	h.lockOut("grace")
	before := h.counters("id-grace")
	for _, lie := range []func(*passkeytest.Says){nil, knowsNobody} {
		b := h.browser()
		page := b.uses(k, b.get("/login"), lie)
		if page.StatusCode != 403 || b.cookie("session") != "" || !strings.Contains(page.text, "minutes") {
			t.Errorf("%d:\n%s", page.StatusCode, page.text)
		}
	}
	if after := h.counters("id-grace"); after != before {
		t.Errorf("the guard went from %s to %s", before, after)
	}
	h.inDB("UPDATE guards SET locked_until = 1 WHERE subject = 'id-grace'")
	b := h.browser()
	if b.uses(k, b.get("/login"), nil); b.cookie("session") == "" {
		t.Error("no session after the lock")
	}
}

// The passkey of an account that is stopped, by an operator or by its team, looks
// like one that nobody has: the same words, the same work, and no session.
func TestAPasskeyOfAStoppedAccountLooksUnknown(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, at := h.enrolled("grace")
	b := h.browser()
	page := b.get("/login")
	b.post("/login/passkey", "flow", page.flow(), "passkey", "warms the caches")
	nobodys := func(s *passkeytest.Says) { s.ID, s.Handle = make([]byte, 32), nil }
	unknown := h.shapeOf("grace", func() answer { return b.uses(k, page, nobodys) })
	h.ok(h.Store.SetDisabled(t.Context(), "id-grace", true, "test"))
	stopped := h.shapeOf("grace", func() answer { return b.uses(k, page, nil) })
	unknown.Statements, stopped.Statements = nil, nil // more is looked up of a passkey that is there
	if d := cmp.Diff(unknown, stopped); d != "" {
		t.Error(d)
	}
	if b.cookie("session") != "" || !strings.Contains(stopped.Text, unknownKey) {
		t.Errorf("%d:\n%s", stopped.Status, stopped.Text)
	}
	if n, _, subject := h.lastRefusal(); n != 3 || subject != "id-grace" {
		t.Errorf("the trail has %d rows, the last of %q", n, subject)
	}
	if page := at.get("/account/security"); page.StatusCode == 200 && strings.Contains(page.text, "Laptop") {
		t.Error("her session goes on")
	}
}

func TestAPasskeyOfADeactivatedMemberLooksUnknown(t *testing.T) {
	h := newHouse(t, "https://id.example")
	owner := h.practice()
	b := h.browser()
	b.joins(b.get(h.invite(owner, guest)), guestName, guestPass)
	zoe := h.who(guest)
	b.signIn(b.get("/login"), guest, guestPass)
	k := passkeytest.New("id.example")
	if page := b.makes(k); !strings.Contains(page.text, "The passkey is added.") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	if was, err := h.Store.Deactivate(t.Context(), owner, zoe.ID); err != nil || !was {
		t.Fatal(was, err)
	}
	b = h.browser()
	page := b.uses(k, b.get("/login"), nil)
	if page.StatusCode != 422 || b.cookie("session") != "" || !strings.Contains(page.text, unknownKey) {
		t.Errorf("%d:\n%s", page.StatusCode, page.text)
	}
}

// Where known devices have tries of their own, strangers' locks do not stop whoever
// is signed in from proving with a passkey that it is still them.
func TestAPasskeyStepsUpThroughAStrangersLock(t *testing.T) {
	for _, known := range []bool{true, false} {
		h := newHouse(t, "https://id.example")
		h.KnownDevices = known
		k, b := h.enrolled("grace")
		h.lockOut("grace")
		page := b.authorize("&prompt=login")
		page = b.uses(k, b.get("/login?flow="+page.flow()+"&way=passkey"), nil)
		if known != (page.code() != "") || !known && page.StatusCode != 403 {
			t.Errorf("known %v: %d\n%s", known, page.StatusCode, page.text)
		}
	}
}
