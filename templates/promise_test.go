package templates

import (
	"strings"
	"testing"
)

// The labels that the help page quotes, letter for letter (promises.md).
func TestPromisedLabels(t *testing.T) {
	s := load(t)
	for key, want := range map[string]string{
		"login.forgot":      "Forgot Password?",
		"forgot.submit":     "Send Reset Link",
		"mail.reset.button": "Reset My Password",
		"reset.submit":      "Save Password",
		"support.link":      "Contact Support",
		"way.backup-code":   "Use a backup code",
		"account.title":     "Account Settings",
		"invite.submit":     "Send Invite",
		"invites.title":     "Pending Invites",
	} {
		if got := s.Text("en", key, nil); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// What a page must say, besides being well made.
func TestPagesSay(t *testing.T) {
	s := load(t)
	for _, tt := range []struct {
		page, state string
		want        []string
	}{
		{"login", "first visit", []string{
			`action="/id/login/identify"`, `name="flow" value="f1"`, `id="submit"`,
			`href="/id/forgot-password?flow=f1"`, `autocomplete="username webauthn"`, `autocomplete="current-password"`,
			"to continue to Chart"}},
		{"login", "wrong password", []string{`action="/id/login/password"`, `value="grace"`, "Few attempts left."}},
		{"login", "Internet Explorer", []string{"Internet Explorer is not supported", `id="password"`}},
		{"new_password", "", []string{`action="/id/reset-password"`, `autocomplete="new-password"`, "15 to 256 characters",
			`value="grace" autocomplete="username" readonly`}},
		{"locked", "30 minutes", []string{"Try again in 30 minutes", `<time datetime="2026-11-25T12:00:00.000Z">November 25, 2026, 12:00 UTC`,
			"Forgot Password?", "Contact Support", "Wait until the time is up"}},
		{"locked", "1 minute", []string{"Try again in 1 minute,"}},
		{"busy", "seconds", []string{"Wait 2 seconds"}},
		{"forgot_sent", "", []string{"grace@riverside.example", "60 minutes", "only the newest link works", "spam",
			"exactly the address", "no-reply@medximity.example", "safe senders", "filter", "Send a new link",
			"No longer have this email?", "Contact Support"}},
		{"link", "expired", []string{"This link has expired", "60 minutes", "Send Reset Link"}},
		{"link", "superseded", []string{"There is a newer link", `datetime="2026-11-25T12:00:00.000Z"`, "Send Reset Link"}},
		{"link", "used", []string{"This link has been used", "Send Reset Link"}},
		{"join", "", []string{"Join Riverside", `action="/id/invite"`, `value="ann@riverside.example" autocomplete="username" readonly`,
			"Front Desk", "Full name", `autocomplete="name"`, "15 to 256 characters", `autocomplete="new-password"`}},
		{"invite", "", []string{`action="/id/account/team/invite"`, "Work email", "Role", `<option value="front_desk">`, "Locations",
			`id="location-L2" name="location-L2" type="checkbox" value="yes" checked`, "72 hours", "Pending Invites"}},
		{"invites", "", []string{"Pending", "Expired", "Works until", "Main Street", "Resend", "Withdraw"}},
		{"invite_dead", "expired", []string{"72 hours", "Ask whoever invited you"}},
		{"invite_dead", "superseded", []string{"There is a newer invitation", `datetime="2026-11-25T12:00:00.000Z"`}},
		{"invite_dead", "used", []string{"Sign In", "Contact Support"}},
		{"invite_dead", "withdrawn", []string{"The practice took it back"}},
		{"support", "", []string{"Full name", "Practice name", "NPI", "Username", "New email", "one business day", "Contact Support"}},
		{"logout", "", []string{`id="logout-confirm"`, `action="/id/logout"`}},
		{"logout", "asked by an app", []string{"Chart asks to sign you out", `name="state" value="s"`}},
		{"logout", "asked wrongly", []string{"no ID token of ours", `id="logout-confirm"`}},
		{"logged_out", "", []string{"You are signed out", `href="/id/login"`}},
		{"logged_out", "with frames", []string{`<iframe src="https://chart.example/cb"`, `href="/id/login"`, "told your apps"}},
		{"logged_out", "leading on", []string{`href="https://chart.example/cb">Continue`, "If Chart does not open by itself"}},
		{"totp", "", []string{`action="/id/login/totp"`, "Use a backup code", `href="/id/login?flow=f1&amp;way=backup-code"`,
			`autocomplete="one-time-code"`, `inputmode="numeric"`, "autofocus", "Lost your phone?", "Contact Support"}},
		{"totp", "wrong code", []string{"Set the clock of your phone to automatic"}},
		{"totp", "near its end", []string{`data-left="150"`, `<div role="status"></div>`, `action="/id/login/extend" hidden`,
			"This page expires in %s.", "Get More Time"}},
		{"backup_code", "", []string{`way=totp"`, "Use your authenticator app", "4X7K-9QWM-2BTFZ", `autocapitalize="characters"`}},
		{"set_up_totp", "required", []string{"Your practice or this app asks for a second step", `<svg class="qr" role="img"`,
			`href="otpauth://totp/`, "JBSW Y3DP EHPK 3PXP", `value="Phone"`, "Next you get backup codes"}},
		{"set_up_totp", "refused", []string{"Set the clock of your phone to automatic", "Not now"}},
		{"backup_codes", "replaces", []string{"4X7K-9QWM-2BTFZ", `href="/id/login/backup-codes.txt?flow=f1" download`,
			"The old codes stop working when you continue.", `name="saved" type="checkbox" value="yes"`}},
		{"more_codes", "", []string{"You have 3 backup codes left.", `name="more" value="yes"`, `name="more" value="later"`}},
		{"more_codes", "one", []string{"You have 1 backup code left."}},
		{"confirm", "for an app", []string{"Chart asks for your password once more", "Forgot Password?", `href="/id/login/other?flow=f1"`}},
		{"held", "", []string{"10 wrong codes", "Contact Support", "Forgot Password?", "Back to sign in"}},
		{"home", "", []string{`href="/id/account/security"`, "Account Settings"}},
		{"security", "all", []string{`aria-current="page"`, `remove?id=a1" aria-label="Remove Phone"`, "3 backup codes are left.",
			"Make new ones before they run out.", "grace@new.example", `<option value="ko" lang="ko" selected>`}},
		{"security", "nothing yet", []string{"Set Up Authenticator App", "we recommend"}},
		{"security", "free", []string{`aria-label="Remove Authenticator app"`, "1 backup code is left."}},
		{"security", "required", []string{"Your practice requires it"}},
		{"remove_authenticator", "last", []string{`name="id" value="a1"`, `class="danger"`, "backup codes go with it"}},
		{"sessions", "", []string{"This browser", `name="id" value="s2"`, "End All Others", "Unknown browser"}},
		{"activity", "", []string{"Backup code used", "192.0.2.7", "by Support or an operator", "Change Password"}},
		{"email", "", []string{"60 minutes", "both addresses", "No longer have the old address?", "Send Links"}},
		{"email_confirm", "", []string{`name="token" value="t1"`, `action="/id/confirm-email"`}},
		{"email_cancel", "", []string{`name="token" value="t1"`, `action="/id/confirm-email/cancel"`}},
		{"not_me", "", []string{`name="token" value="t1"`, `action="/id/not-me"`, "signs everybody out", "Secure My Account"}},
		{"not_me_done", "", []string{"Forgot Password?", "Contact Support"}},
		{"form_post", "", []string{`action="https://chart.example/cb"`, `name="code" value="c"`, "Continue"}},
	} {
		found := false
		for _, sample := range samples() {
			if sample.page.Name != tt.page || sample.name != tt.state {
				continue
			}
			found = true
			out := render(t, s, sample.page, "en")
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%s (%s) lacks %q", tt.page, tt.state, want)
				}
			}
		}
		if !found {
			t.Errorf("no sample of %s (%s)", tt.page, tt.state)
		}
	}
}

// Support is reached without a phone, and asks for no secret.
func TestSupportAsksForNoPhone(t *testing.T) {
	s := load(t)
	for _, sample := range samples() {
		if sample.page.Name != "support" {
			continue
		}
		out := strings.ToLower(render(t, s, sample.page, "en"))
		if strings.Contains(out, "phone number") || strings.Contains(out, `type="tel"`) || strings.Contains(out, `type="password"`) {
			t.Errorf("it asks for a phone or a password:\n%s", out)
		}
	}
}

// Whoever must have a second factor is not offered to take away the last one;
// one of several may go.
func TestLastRequiredAuthenticatorStays(t *testing.T) {
	s := load(t)
	for _, sample := range samples() {
		if sample.page.Name != "security" {
			continue
		}
		page := render(t, s, sample.page, "en")
		offered := strings.Contains(page, "/authenticators/remove")
		if strings.Contains(page, "/passkeys/remove") != strings.HasPrefix(sample.name, "all") {
			t.Errorf("%s: a passkey's removal", sample.name)
		}
		if want := sample.name != "required" && sample.name != "nothing yet" && sample.name != "a passkey alone"; offered != want {
			t.Errorf("%s: removal offered: %v", sample.name, offered)
		}
	}
}
