package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
)

// link asks for a reset link and returns its path and that of its cancel page.
func (h *house) link(b *person, email string) (open, cancel string) {
	h.t.Helper()
	b.post("/forgot-password", "email", email)
	for _, m := range h.mails(1) {
		open, _ = m.Data["token"].(string)
		cancel, _ = m.Data["cancel"].(string)
	}
	return "/reset-password?token=" + open, "/reset-password/cancel?token=" + cancel
}

// N2, CVE-2026-7507: a flow's id is worth nothing in another browser, and
// trying it there changes nothing.
func TestAFlowIsWorthNothingInAnotherBrowser(t *testing.T) {
	h := newHouse(t, "https://id.example")
	victim, attacker := h.browser(), h.browser()
	page := victim.authorize("")
	if page.flow() == "" {
		t.Fatal(page.Status)
	}
	without := attacker.signIn(page, "edith", rightPassword)
	attacker.get("/login") // now it has a cookie of its own
	with := attacker.signIn(page, "edith", rightPassword)
	for name, a := range map[string]answer{"without a cookie": without, "with its own": with,
		"a look": attacker.get("/login?flow=" + page.flow())} {
		if a.StatusCode < 400 || attacker.cookie("session") != "" {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if h.Hasher.Verified() != 0 {
		t.Error("a password was judged")
	}
	if a := victim.signIn(page, "grace", rightPassword); !strings.HasPrefix(a.Header.Get("Location"), "https://app.example/cb?code=") {
		t.Errorf("the browser that it belongs to: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
}

// N5, CVE-2024-28197: what was in the browser before the sign-in is never
// what is signed in.
func TestAPlantedCookieIsNeverSignedIn(t *testing.T) {
	h := newHouse(t, "https://id.example")
	attacker, victim := h.browser(), h.browser()
	attacker.signIn(attacker.get("/login"), "edith", rightPassword)
	planted := attacker.cookie("session")
	at, _ := url.Parse(h.issuer)
	victim.Jar.SetCookies(at, []*http.Cookie{{Name: "__Host-mdx_session", Value: planted, Path: "/", Secure: true}})
	victim.signIn(victim.authorize("&prompt=select_account"), "grace", rightPassword)
	if got := victim.cookie("session"); got == "" || got == planted {
		t.Errorf("the session is %q", got)
	}
	if a := attacker.get("/login"); !strings.Contains(a.text, "name=\"password\"") {
		t.Error("the planted session lives on, beside the victim's or as it")
	}
	if a := victim.get("/login"); !strings.Contains(a.text, "grace") {
		t.Error("the victim is not signed in as herself")
	}
}

// N4, CVE-2025-12390: two people, one browser. What the second gets is the
// second's, and the first's session is over.
func TestTwoPeopleInOneBrowser(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	first := b.cookie("session")
	got := b.signIn(b.authorize("&prompt=select_account"), "edith", rightPassword)
	to, err := got.Location()
	h.ok(err)
	c, err := h.oidc.openCode(to.Query().Get("code"), "app")
	h.ok(err)
	if c.Account != "id-edith" {
		t.Errorf("the code is %s's", c.Account)
	}
	other := h.browser()
	at, _ := url.Parse(h.issuer)
	other.Jar.SetCookies(at, []*http.Cookie{{Name: "__Host-mdx_session", Value: first, Path: "/", Secure: true}})
	if a := other.get("/login"); !strings.Contains(a.text, "name=\"password\"") {
		t.Error("the first one's session lives on")
	}
	// An app that wants the first one is not given the second.
	hint, err := h.Keys.Sign("RS256", []byte(`{"iss":"https://id.example","sub":"id-grace","aud":"app","exp":1}`))
	h.ok(err)
	a := b.authorize("&prompt=none&id_token_hint=" + hint)
	if to, err := a.Location(); err != nil || to.Query().Get("error") != "login_required" || to.Query().Has("code") {
		t.Errorf("asked for grace: %s", a.Header.Get("Location"))
	}
}

// A reset that was opened in one browser is finished there or nowhere; and a
// link that is opened twenty times by a scanner is as good as new.
func TestAResetIsFinishedWhereItWasOpened(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	open, _ := h.link(b, "grace@river.example")
	for range 20 {
		scanner := h.browser()
		if a := scanner.get(open); a.StatusCode != 200 || strings.Contains(a.Request.URL.String(), "token") {
			t.Fatalf("%d at %s", a.StatusCode, a.Request.URL)
		}
	}
	page := b.get(open)
	const next = "a lantern over quiet water"
	save := func(p *person) answer {
		return p.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	}
	stranger := h.browser()
	for range 2 {
		if a := save(stranger); a.StatusCode < 400 {
			t.Errorf("another browser: %d", a.StatusCode)
		}
		stranger.get("/login")
	}
	if a := b.post("/login/new-password", "flow", page.flow(), "new_password", next, "confirm_password", next); a.StatusCode < 400 {
		t.Errorf("as a sign-in: %d", a.StatusCode)
	}
	if a := save(b); a.StatusCode != 200 || a.Request.URL.Path != "/login" || b.cookie("session") != "" {
		t.Errorf("%d at %s, session %q", a.StatusCode, a.Request.URL, b.cookie("session"))
	}
	if a := save(b); a.StatusCode != http.StatusGone {
		t.Errorf("saved twice: %d", a.StatusCode)
	}
}

// The cancel link of a mail ends the link of that mail: for whoever has it
// open, too. A GET of it ends nothing.
func TestThisWasNotMe(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	open, cancel := h.link(b, "grace@river.example")
	page := b.get(open)
	b.get(cancel)
	if a := h.browser().get(open); a.StatusCode != 200 {
		t.Fatalf("a look at the cancel page ended the link: %d", a.StatusCode)
	}
	h.browser().post("/reset-password/cancel", "token", strings.TrimPrefix(cancel, "/reset-password/cancel?token="))
	const next = "a lantern over quiet water"
	if a := b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next); a.StatusCode != http.StatusGone {
		t.Errorf("saved after it was cancelled: %d", a.StatusCode)
	}
	// N3: a cancel token is no reset token, and the other way round.
	open, cancel = h.link(b, "edith@river.example")
	if a := b.get(strings.Replace(cancel, "/cancel", "", 1)); a.StatusCode != http.StatusGone {
		t.Errorf("the cancel token as a reset token: %d", a.StatusCode)
	}
	h.browser().post("/reset-password/cancel", "token", strings.TrimPrefix(open, "/reset-password?token="))
	if a := b.get(open); a.StatusCode != 200 {
		t.Errorf("the reset token as a cancel token ended the link: %d", a.StatusCode)
	}
}

// N57: who may not sign in gets no new password, by whatever link.
func TestAStoppedAccountIsNotReset(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	open, _ := h.link(b, "grace@river.example")
	page := b.get(open)
	h.ok(h.Store.SetDisabled(t.Context(), "id-grace", true, "test"))
	const next = "a lantern over quiet water"
	if a := b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next); a.StatusCode != http.StatusGone {
		t.Errorf("saved: %d", a.StatusCode)
	}
	if a := b.get(open); a.StatusCode != http.StatusGone {
		t.Errorf("opened: %d", a.StatusCode)
	}
}

// ASVS 7.4.1: signing out ends what apps hold of the session.
func TestSigningOutReachesTheApps(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	to, err := b.signIn(b.authorize(""), "grace", rightPassword).Location()
	h.ok(err)
	_, refresh := h.exchange(b, "grant_type", "authorization_code", "code", to.Query().Get("code"),
		"redirect_uri", "https://app.example/cb", "code_verifier", verifier)
	b.post("/logout")
	a := b.post("/token", "grant_type", "refresh_token", "refresh_token", refresh, "client_id", "app", "client_secret", clientSecret)
	if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.text, "invalid_grant") {
		t.Errorf("refresh after signing out: %d %s", a.StatusCode, a.text)
	}
	if v := b.cookie("session"); v != "" {
		t.Errorf("the session cookie is still %q", v)
	}
}

// A person who knows an account's device is not stopped by strangers at the
// same address, and a forwarded address counts from a proxy alone (N30).
func TestSourceLimitsStopTheStrangerAndNotTheNurse(t *testing.T) {
	h := newHouse(t, "https://id.example")
	nurse := h.browser()
	nurse.signIn(nurse.get("/login"), "grace", rightPassword)
	nurse.post("/logout")
	stranger := h.browser()
	stranger.Transport = nurse.Transport // the same address
	page := stranger.get("/login")
	last := answer{}
	for i := range account.SourceFailures + 1 {
		r, err := http.NewRequest(http.MethodPost, h.issuer+"/login/identify", strings.NewReader(url.Values{
			"flow": {page.flow()}, "identifier": {"guess" + string(rune('a'+i))}, "password": {"wrong"}}.Encode()))
		h.ok(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", "198.51.100."+string(rune('1'+i%9)))
		last = stranger.do(r, nil)
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("failure %d of one source: %d", account.SourceFailures+1, last.StatusCode)
	}
	if a := stranger.signIn(page, "edith", rightPassword); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a right password from there: %d", a.StatusCode)
	}
	if a := nurse.signIn(nurse.get("/login"), "grace", rightPassword); a.StatusCode != 200 || nurse.cookie("session") == "" {
		t.Errorf("the nurse: %d", a.StatusCode)
	}
	if a := nurse.signIn(nurse.authorize("&prompt=select_account"), "edith", rightPassword); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the nurse's browser, for somebody else: %d", a.StatusCode)
	}
}

// Whoever says "this was not me" after the link was used must not read that
// the password has not changed, nor that nobody can use a newer link.
func TestWhoCancelsTooLateIsNotComforted(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	open, cancel := h.link(b, "grace@river.example")
	token := strings.TrimPrefix(cancel, "/reset-password/cancel?token=")
	page := b.get(open)
	const next = "a lantern over quiet water"
	b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	h.mails(1)
	for name, a := range map[string]answer{"a look": h.browser().get(cancel), "cancelling": h.browser().post("/reset-password/cancel", "token", token)} {
		if strings.Contains(a.text, "has not changed") {
			t.Errorf("%s after the link was used: the page says that the password has not changed", name)
		}
	}
	_, cancel = h.link(b, "grace@river.example")
	token = strings.TrimPrefix(cancel, "/reset-password/cancel?token=")
	h.link(b, "grace@river.example") // a newer one
	a := h.browser().post("/reset-password/cancel", "token", token)
	if a.StatusCode != http.StatusGone || !strings.Contains(a.text, "/forgot-password") || !strings.Contains(a.text, "/contact-support") {
		t.Errorf("cancelling by the older mail: %d, and no way on", a.StatusCode)
	}
}
