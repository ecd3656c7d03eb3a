package provider

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/settings"
)

// phone gives somebody an authenticator, and returns what it shows.
func (h *house) phone(id account.ID) (code func() string) {
	h.t.Helper()
	key := account.NewKey()
	_, err := h.Store.BringSecond(h.t.Context(), id, account.NewAuthenticator{Name: "Phone", Key: key}, "test")
	h.ok(err)
	return func() string { return account.ShowCode(key, h.Store.Now()) }
}

// N6, N7, N8, N10, CVE-2026-32246: whoever gave the password and not the code
// reaches nothing, by any route, with any method, with the flow in hand or not.
func TestHalfASignInReachesNothing(t *testing.T) {
	h := newHouse(t, "https://id.example")
	code := h.phone("id-grace")
	b := h.browser()
	page := b.signIn(b.authorize(""), "grace", rightPassword)
	flow := page.flow()
	if !strings.Contains(page.text, `name="otp"`) || flow == "" {
		t.Fatalf("%d: no code is asked for:\n%s", page.StatusCode, page.text)
	}
	secrets := regexp.MustCompile(`(?i)code=mdx_ac_|access_token|grace@river\.example|aria-current="page"|otpauth`)
	tried := 0
	reaches := func(what string, a answer) {
		tried++
		to := a.Header.Get("Location")
		if b.cookie("session") != "" || secrets.MatchString(a.text) || secrets.MatchString(to) ||
			strings.HasPrefix(to, "https://app.example") && !strings.Contains(to, "error=") {
			t.Fatalf("%s: %d, to %q:\n%s", what, a.StatusCode, to, a.text)
		}
	}
	for _, pattern := range patterns(t) {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = "GET", pattern
		}
		for _, step := range []string{"identify", "password", "set-up-totp", "more-backup-codes", "backup-codes", "backup-code", "new-password"} {
			path := strings.NewReplacer("{$}", "", "{step}", step).Replace(path)
			if method == "GET" {
				for _, query := range []string{"", "?flow=" + flow, "?flow=" + flow + "&way=" + step, "?" + strings.TrimPrefix(houseAuthorize, "/authorize?") + challenge} {
					reaches(pattern+" "+query, b.get(path+query))
				}
			} else if path != "/logout" {
				reaches(pattern+" "+step, b.post(path, "flow", flow, "saved", "yes", "more", "yes", "new_password", "a lantern over quiet water",
					"confirm_password", "a lantern over quiet water", "id", "x", "language", "en", "email", "mallory@evil.example"))
			}
			if !strings.Contains(pattern, "{step}") {
				break
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d tries", tried)
	}
	if st, err := h.Store.Second(t.Context(), "id-grace"); err != nil || st.Authenticators != 1 || st.Codes != 0 {
		t.Errorf("her second factor is now %+v, %v", st, err)
	}
	// It was the sign-in that was half: with the code it is whole.
	whole := h.browser()
	page = whole.signIn(whole.authorize(""), "grace", rightPassword)
	a := whole.post("/login/totp", "flow", page.flow(), "otp", code())
	if a = whole.post("/login/backup-codes", "flow", a.flow(), "saved", "yes"); !strings.Contains(a.Header.Get("Location"), "code=mdx_ac_") {
		t.Errorf("with the code: %d %s", a.StatusCode, a.text)
	}
}

// Every page below /account says what it needs, and gets it: a stranger and a
// session that is not fresh are asked, and brought back.
func TestAccountPagesAskForWhatTheyNeed(t *testing.T) {
	h := newHouse(t, "https://id.example")
	stranger, grace := h.browser(), h.browser()
	grace.signIn(grace.get("/login"), "grace", rightPassword)
	h.engine.Now = func() time.Time { return h.Store.Now().Add(6 * time.Minute) }
	for _, rt := range h.settings().Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		public := []string{"/confirm-email", "/confirm-email/cancel", "/not-me", "/ownership/cancel"}
		if (rt.Needs == settings.Nothing) != slices.Contains(public, path) {
			t.Errorf("%s needs %d", rt.Pattern, rt.Needs)
		}
		if rt.Needs == settings.Nothing {
			continue
		}
		ask := func(p *person) answer {
			if method == "GET" {
				return p.get(path)
			}
			return p.post(path, "id", "x", "email", "mallory@evil.example", "language", "en")
		}
		if a := ask(stranger); !strings.Contains(a.text, `name="identifier"`) {
			t.Errorf("%s, a stranger: %d %s", rt.Pattern, a.StatusCode, a.Request.URL)
		}
		asked := strings.Contains(ask(grace).text, `name="password"`)
		again := rt.Pattern == "POST /account/security/password" || rt.Pattern == "POST /account/security/authenticators" ||
			rt.Pattern == "POST /account/security/passkeys"
		if asked != (rt.Needs == settings.Fresh || again) {
			t.Errorf("%s, six minutes after signing in: asked for the password %v", rt.Pattern, asked)
		}
	}
	a := grace.get("/account/email")
	h.engine.Now = h.Store.Now // of the sessions' times
	a = grace.post("/login/password", "flow", a.flow(), "password", rightPassword)
	if a.StatusCode != http.StatusOK || a.Request.URL.Path != "/account/email" {
		t.Errorf("brought back to %s: %d", a.Request.URL, a.StatusCode)
	}
}

// CVE-2026-123530: an app may want two factors of whoever is signed in, but a
// session that somebody left open does not do to set one up.
func TestAnOldSessionSetsNoSecondFactorUp(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	if a := b.authorize("&acr_values=" + flows.ACR2FA); !strings.Contains(a.text, "otpauth://") {
		t.Errorf("just signed in: %s", a.text)
	}
	h.engine.Now = func() time.Time { return h.Store.Now().Add(6 * time.Minute) }
	if a := b.authorize("&acr_values=" + flows.ACR2FA); strings.Contains(a.text, "otpauth://") || !strings.Contains(a.text, `name="password"`) {
		t.Errorf("six minutes later: %s", a.text)
	}
}

// N64, ASVS 6.4.3, promise 1.8: a reset neither removes the second factor nor
// stands in for it.
func TestAResetKeepsTheSecondFactor(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.phone("id-grace")
	b := h.browser()
	open, _ := h.link(b, "grace@river.example")
	const next = "a lantern over quiet water"
	page := b.get(open)
	page = b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	page = b.signIn(page, "grace", next)
	if !strings.Contains(page.text, `name="otp"`) || b.cookie("session") != "" {
		t.Errorf("after a reset: %d %s", page.StatusCode, page.text)
	}
}
