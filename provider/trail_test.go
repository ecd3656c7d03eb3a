package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
)

// Every change of state is one entry of the audit trail, told once; looks and
// refusals change nothing.
func TestEveryChangeIsToldOnce(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	told := func(what string, do func(), want ...string) {
		t.Helper()
		h.mu.Lock()
		h.events = nil
		h.mu.Unlock()
		do()
		h.mu.Lock()
		defer h.mu.Unlock()
		var got []string
		for _, e := range h.events {
			if e.Kind == account.SignInRefused {
				continue // counted, and not written
			}
			got = append(got, strings.TrimRight(fmt.Sprintf("%s %s %s", e.Kind, e.Subject, e.Reason), " "))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s:\n%s", what, d)
		}
	}
	const next = "a lantern over quiet water"
	var page answer
	var open, cancel string
	var access, refresh string
	told("looking", func() { page = b.authorize(""); b.get("/forgot-password"); b.get("/logout"); b.get("/contact-support") })
	told("a wrong password", func() { b.signIn(page, "grace", "wrong") }, "sign_in_failed id-grace bad_credentials")
	told("four more", func() {
		for range 4 {
			b.signIn(page, "grace", "wrong")
		}
	}, "sign_in_failed id-grace bad_credentials", "sign_in_failed id-grace bad_credentials",
		"sign_in_failed id-grace bad_credentials", "sign_in_failed id-grace bad_credentials", "locked id-grace")
	told("trying while locked", func() { b.signIn(page, "grace", rightPassword) })
	h.mails(1)
	told("asking for a link", func() { open, _ = h.link(b, "grace@river.example") }, "reset_requested id-grace sent")
	told("opening it", func() { page = b.get(open) }, "reset_opened id-grace valid")
	told("saving", func() {
		page = b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	}, "reset_completed id-grace", "lock_cleared id-grace")
	told("signing in", func() {
		to, err := b.signIn(page, "grace", next).Location()
		h.ok(err)
		access, refresh = h.exchange(b, "grant_type", "authorization_code", "code", to.Query().Get("code"),
			"redirect_uri", "https://app.example/cb", "code_verifier", verifier)
	}, "signed_in id-grace")
	told("refreshing", func() { h.exchange(b, "grant_type", "refresh_token", "refresh_token", refresh) })
	told("refreshing with the old one", func() {
		b.post("/token", "grant_type", "refresh_token", "refresh_token", refresh, "client_id", "app", "client_secret", clientSecret)
	}, "grant_revoked id-grace reuse")
	told("revoking what is revoked", func() {
		b.post("/revoke", "token", access, "client_id", "app", "client_secret", clientSecret)
	})
	h.mails(1)
	told("asking for another link", func() { _, cancel = h.link(b, "grace@river.example") }, "reset_requested id-grace sent")
	told("cancelling it", func() {
		for range 2 {
			b.post("/reset-password/cancel", "token", strings.TrimPrefix(cancel, "/reset-password/cancel?token="))
		}
	}, "reset_cancelled id-grace")
	told("asking Support", func() {
		b.post("/contact-support", "name", "Grace", "practice", "River", "username", "grace", "email", "new@river.example")
	}, "support_asked")
	told("signing out", func() { b.post("/logout"); b.post("/logout") }, "session_ended id-grace signed_out")
}

// The trail says where each thing was done, also where no limits apply: to a
// browser that is known, to exempt networks, and to links.
func TestTheTrailSaysFromWhere(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser() // the first, at 203.0.113.1
	b.signIn(b.get("/login"), "grace", rightPassword)
	b.post("/logout")
	b.signIn(b.get("/login"), "grace", "wrong") // by a browser that is known now
	b.signIn(b.get("/login"), "grace", rightPassword)
	open, _ := h.link(b, "grace@river.example")
	page := b.get(open)
	const next = "a lantern over quiet water"
	b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	h.mails(1)
	_, cancel := h.link(b, "grace@river.example")
	b.post("/reset-password/cancel", "token", strings.TrimPrefix(cancel, "/reset-password/cancel?token="))
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[account.Kind]bool{}
	for _, e := range h.events {
		switch e.Kind {
		case account.SignedIn, account.SignInFailed, account.ResetRequested, account.ResetOpened,
			account.ResetCompleted, account.ResetCancelled:
			seen[e.Kind] = true
			if e.Source != "203.0.113.1" {
				t.Errorf("%s of %s came from %q", e.Kind, e.Subject, e.Source)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("only saw %v", seen)
	}
}
