package provider

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

var sealedRequest = regexp.MustCompile(`name="request" value="([^"]+)"`)

// lawHouse has an app of others, which may be told most things.
func lawHouse(t *testing.T) *house {
	h := newHouse(t, "http://127.0.0.1")
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "law", Name: "Harbor Law", SecretHash: account.HashSecret(clientSecret),
		ThirdParty: true, RedirectURIs: []string{"https://law.example/cb"},
		Scopes: []string{"openid", "email", "profile", "offline_access", "files.read"}}, "test"))
	return h
}

// law is the app of others sending the browser here.
func (p *person) law(scope, more string) answer {
	p.h.t.Helper()
	return p.get("/authorize?client_id=law&redirect_uri=https%3A%2F%2Flaw.example%2Fcb&response_type=code&state=s&nonce=n" +
		"&code_challenge_method=S256&code_challenge=" + challenge + "&scope=" + url.QueryEscape(scope) + more)
}

// allows presses a button of the page that asks.
func (p *person) allows(page answer, what string) answer {
	p.h.t.Helper()
	m := sealedRequest.FindStringSubmatch(page.text)
	if m == nil {
		p.h.t.Fatalf("nothing is asked: %d %s", page.StatusCode, page.Header.Get("Location"))
	}
	return p.post("/consent", "request", m[1], "answer", what)
}

// back is what the app gets.
func (p *person) back(a answer) url.Values {
	p.h.t.Helper()
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || to.Host != "law.example" {
		p.h.t.Fatalf("%d, to %q", a.StatusCode, a.Header.Get("Location"))
	}
	return to.Query()
}

// An app of others is answered once the person allowed what it asks for; is not
// asked about again for less; and is for more, or if it wants to (OIDC Core
// sections 3.1.2.1 and 3.1.2.4).
func TestConsent(t *testing.T) {
	h := lawHouse(t)
	b := h.browser()
	page := b.signIn(b.law("openid email", ""), "grace", rightPassword) // a sign-in leads to it
	for _, words := range []string{"Allow Harbor Law?", "Your email address", `id="consent-accept"`, `id="consent-deny"`, "law.example", "grace"} {
		if !strings.Contains(page.text, words) {
			t.Errorf("the page lacks %q", words)
		}
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://law.example") {
		t.Error(csp)
	}
	if got := b.back(b.allows(b.law("openid email", ""), "deny")); got.Get("error") != "access_denied" || got.Get("state") != "s" || got.Get("iss") == "" {
		t.Errorf("denied: %v", got)
	}
	if got := b.back(b.law("openid email", "&prompt=none")); got.Get("error") != "consent_required" {
		t.Errorf("prompt=none before: %v", got)
	}
	if got := b.back(b.allows(page, "allow")); got.Get("code") == "" || got.Get("state") != "s" {
		t.Errorf("allowed: %v", got)
	}
	for _, scope := range []string{"openid email", "openid"} {
		if got := b.back(b.law(scope, "&prompt=none")); got.Get("code") == "" {
			t.Errorf("%s again: %v", scope, got)
		}
	}
	for name, more := range map[string]answer{
		"another scope":          b.law("openid email files.read", ""),
		"a claim by name":        b.law("openid", "&claims="+url.QueryEscape(`{"userinfo":{"name":null}}`)),
		"prompt=consent":         b.law("openid", "&prompt=consent"),
		"another person's needs": func() answer { c := h.browser(); return c.signIn(c.law("openid", ""), "edith", rightPassword) }(),
	} {
		if !strings.Contains(more.text, "Allow Harbor Law?") {
			t.Errorf("%s: not asked", name)
		}
	}
	if a := b.authorize(""); !strings.HasPrefix(a.Header.Get("Location"), "https://app.example/cb?code=") {
		t.Errorf("an app of the practice: %s", a.Header.Get("Location"))
	}
}

// What a page asks is worth nothing in another session, or changed.
func TestConsentIsBound(t *testing.T) {
	h := lawHouse(t)
	grace, edith := h.browser(), h.browser()
	page := grace.signIn(grace.law("openid email", ""), "grace", rightPassword)
	edith.signIn(edith.get("/login"), "edith", rightPassword)
	sealed := sealedRequest.FindStringSubmatch(page.text)[1]
	for name, a := range map[string]answer{
		"in another session": edith.allows(page, "allow"),
		"in no session":      h.browser().post("/consent", "request", sealed, "answer", "allow"),
		"changed":            grace.post("/consent", "request", sealed[:len(sealed)-2]+"AA", "answer", "allow"),
		"cut off":            grace.post("/consent", "request", sealed[:10], "answer", "allow"),
		"made up":            grace.post("/consent", "answer", "allow"),
		"a code":             grace.post("/consent", "request", "mdx_ac_AAAA", "answer", "allow"),
	} {
		if a.Header.Get("Location") != "" || a.StatusCode < 400 {
			t.Errorf("%s: %d to %q", name, a.StatusCode, a.Header.Get("Location"))
		}
	}
	for _, id := range []account.ID{"id-grace", "id-edith"} {
		if all, err := h.Store.Consents(t.Context(), id); err != nil || len(all) > 0 {
			t.Errorf("%s allowed %v, %v", id, all, err)
		}
	}
}

// Taken back under Account Settings > Apps, all that the app was given is dead:
// its tokens at once, and the code that it had not redeemed.
func TestConsentIsTakenBack(t *testing.T) {
	h := lawHouse(t)
	b := h.browser()
	redeem := func(code string) answer {
		return h.browser().post("/token", "grant_type", "authorization_code", "code", code, "redirect_uri", "https://law.example/cb",
			"code_verifier", verifier, "client_id", "law", "client_secret", clientSecret)
	}
	code := func() string { return b.back(b.law("openid email offline_access", "")).Get("code") }
	b.back(b.allows(b.signIn(b.law("openid email offline_access", ""), "grace", rightPassword), "allow"))
	tokens := redeem(code())
	access := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(tokens.text)[1]
	unused := code()

	apps := b.get("/account/apps")
	if !strings.Contains(apps.text, "Harbor Law") || !strings.Contains(apps.text, "Your email address") {
		t.Error("the page does not list it")
	}
	h.told("taken back", func() {
		if a := b.post("/account/apps/withdraw", "client", "law"); !strings.Contains(a.text, "no longer has access") {
			t.Errorf("taken back: %d %s", a.StatusCode, a.text)
		}
	}, "consent_withdrawn id-grace", "grant_revoked id-grace person")
	if a := redeem(unused); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.text, "invalid_grant") {
		t.Errorf("its code: %d %s", a.StatusCode, a.text)
	}
	r, err := newGET(h.issuer + "/userinfo")
	h.ok(err)
	r.Header.Set("Authorization", "Bearer "+access)
	if a := h.browser().do(r, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("its access token: %d", a.StatusCode)
	}
	if a := b.law("openid", ""); !strings.Contains(a.text, "Allow Harbor Law?") {
		t.Error("it is not asked about again")
	}
	if a := b.get("/account/apps"); strings.Contains(a.text, "Harbor Law") {
		t.Error("it is listed still")
	}
}
