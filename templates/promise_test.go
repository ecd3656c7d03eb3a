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
		{"support", "", []string{"Full name", "Practice name", "NPI", "Username", "New email", "one business day", "Contact Support"}},
		{"logout", "", []string{`id="logout-confirm"`, `action="/id/logout"`}},
		{"form_post", "", []string{`action="https://chart.example/cb"`, `name="code" value="c"`, "Continue"}},
	} {
		for _, sample := range samples() {
			if sample.page.Name != tt.page || sample.name != tt.state {
				continue
			}
			out := render(t, s, sample.page, "en")
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%s (%s) lacks %q", tt.page, tt.state, want)
				}
			}
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
