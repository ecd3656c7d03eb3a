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
	told := h.told
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

// told wants what is done to be told by these entries, and no others.
func (h *house) told(what string, do func(), want ...string) {
	h.t.Helper()
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
		h.t.Errorf("%s:\n%s", what, d)
	}
}

// The same for second factors and Account Settings.
func TestEveryChangeOfASecondFactorIsToldOnce(t *testing.T) {
	h := newHouse(t, "https://id.example")
	code := h.phone("id-grace")
	b, other := h.browser(), h.browser()
	page := b.signIn(b.get("/login"), "grace", rightPassword)
	told := h.told
	told("looking", func() { b.get("/login?flow=" + page.flow() + "&way=backup-code") })
	told("a wrong code", func() { b.post("/login/totp", "flow", page.flow(), "otp", "000000") }, "sign_in_failed id-grace bad_code")
	told("what is no code", func() { b.post("/login/totp", "flow", page.flow(), "otp", "12345") })
	used := code()
	told("the right one", func() { page = b.post("/login/totp", "flow", page.flow(), "otp", used) }, "code_accepted id-grace")
	codes := backupCodes.FindAllString(page.text, -1)
	told("saving the codes", func() { b.post("/login/backup-codes", "flow", page.flow(), "saved", "yes") },
		"backup_codes_made id-grace", "signed_in id-grace")
	page = other.signIn(other.get("/login"), "grace", rightPassword)
	told("the code again", func() { other.post("/login/totp", "flow", page.flow(), "otp", used) }, "sign_in_failed id-grace replayed_code")
	told("a backup code", func() { other.post("/login/backup-code", "flow", page.flow(), "backup_code", codes[3]) },
		"backup_code_used id-grace", "signed_in id-grace")
	told("looking at the account", func() {
		for _, path := range []string{"security", "sessions", "activity", "email", "security/authenticators/remove?id=x"} {
			b.get("/account/" + path)
		}
	})
	told("ending all other sessions", func() { b.post("/account/sessions/end-others") }, "session_ended id-grace person")
	told("a language", func() { b.post("/account/language", "language", "fr") }, "language_changed id-grace")
	told("new backup codes", func() {
		page = b.post("/account/security/backup-codes")
		b.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	}, "backup_codes_made id-grace", "session_ended id-grace replaced")
	told("asking for another address", func() { b.post("/account/email", "email", "grace@new.example") }, "email_change_asked id-grace")
	told("withdrawing that", func() { b.post("/account/email/withdraw"); b.post("/account/email/withdraw") }, "email_change_cancelled id-grace")
	all, err := h.Store.Authenticators(t.Context(), "id-grace")
	h.ok(err)
	told("taking the phone away", func() {
		for range 2 {
			b.post("/account/security/authenticators/remove", "id", all[0].ID)
		}
	}, "second_factor_removed id-grace")
	const next = "a lantern over quiet water"
	told("a new password", func() {
		page = b.post("/account/security/password")
		page = b.post("/login/password", "flow", page.flow(), "password", rightPassword)
		b.post("/login/new-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	}, "session_ended id-grace proof_changed", "password_changed id-grace")
	var token string
	for _, m := range h.mails(7) {
		if m.Template == "password_changed" {
			token = m.Data["not_me"].(string)
		}
	}
	told("this was not me", func() {
		for range 2 {
			other.post("/not-me", "token", token)
		}
	}, "disavowed id-grace", "session_ended id-grace disavowed", "password_disabled id-grace")
	if a := b.get("/account/security"); !strings.Contains(a.text, `name="identifier"`) {
		t.Errorf("disavowed, and still signed in: %d", a.StatusCode)
	}
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
