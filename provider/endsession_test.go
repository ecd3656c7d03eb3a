package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

const (
	bye      = "https://app.example/bye?x=1"
	longText = "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// logoutRig is a house with an app that has somewhere to go after signing out,
// and a browser in which Grace is signed in to it.
type logoutRig struct {
	*house
	*person
	hint string
}

func newLogoutRig(t testing.TB, issuer string) *logoutRig {
	t.Helper()
	g := &logoutRig{house: newHouse(t, issuer)}
	g.app("app", func(c *store.Client) { c.PostLogoutURIs = []string{bye, "http://127.0.0.1/bye"} })
	g.person = g.browser()
	g.signIn(g.authorize(""), "grace", rightPassword)
	g.hint = g.idToken(g.person, "app")
	return g
}

// app registers an app like the one of the house.
func (h *house) app(id string, change func(*store.Client)) {
	h.t.Helper()
	c := store.Client{ID: id, Name: "App " + id, SecretHash: account.HashSecret(clientSecret),
		RedirectURIs: []string{"https://app.example/cb"}}
	change(&c)
	h.ok(h.Store.PutClient(h.t.Context(), c, "test"))
}

// idToken has a browser that is signed in sign in to an app.
func (h *house) idToken(b *person, app string) string {
	h.t.Helper()
	id, _ := h.enter(b, app)
	return id
}

// enter is idToken that returns the access token too.
func (h *house) enter(b *person, app string) (idToken, access string) {
	h.t.Helper()
	to, err := b.get(strings.Replace(houseAuthorize, "client_id=app", "client_id="+app, 1) + challenge).Location()
	h.ok(err)
	a := b.post("/token", "grant_type", "authorization_code", "code", to.Query().Get("code"), "code_verifier", verifier,
		"redirect_uri", "https://app.example/cb", "client_id", app, "client_secret", clientSecret)
	var got struct {
		ID     string `json:"id_token"`
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || got.ID == "" {
		h.t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	return got.ID, got.Access
}

// end asks to end the session.
func (g *logoutRig) end(params ...string) answer {
	g.t.Helper()
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return g.get("/end-session?" + q.Encode())
}

// signedIn reports whether the app would get its code without a word.
func (g *logoutRig) signedIn() bool {
	g.t.Helper()
	a := g.authorize("&prompt=none")
	to, err := a.Location()
	g.ok(err)
	if e := to.Query().Get("error"); e != "" && e != "login_required" {
		g.t.Fatal(e)
	}
	return to.Query().Has("code")
}

// leads wants a redirect out of the house, byte for byte; "" is none.
func (g *logoutRig) leads(a answer, to string) {
	g.t.Helper()
	if got := a.Header.Get("Location"); got != to || (to != "") != (a.StatusCode == http.StatusSeeOther) {
		g.t.Errorf("%s: %d to %q, want %q", a.Request.URL.Path, a.StatusCode, got, to)
	}
}

// oidcc-rp-initiated-logout and its variants that are good.
func TestRPInitiatedLogout(t *testing.T) {
	state := strings.Repeat(longText, 2)[:128]
	for _, tt := range []struct {
		name   string
		params []string
		to     string
	}{
		{"rp-initiated-logout", []string{"post_logout_redirect_uri", bye, "state", state}, bye + "&state=" + state},
		{"no-state", []string{"post_logout_redirect_uri", bye}, bye},
		{"with all that may be said", []string{"client_id", "app", "post_logout_redirect_uri", bye, "state", "a b&c=d%é", "ui_locales", "ko",
			"logout_hint", "grace", "unknown", "x"}, bye + "&" + url.Values{"state": {"a b&c=d%é"}}.Encode()},
		{"loopback, at its port of the day", []string{"post_logout_redirect_uri", "http://127.0.0.1:4711/bye"}, "http://127.0.0.1:4711/bye"},
		{"no-post-logout-redirect-uri", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newLogoutRig(t, "https://id.example/base")
			if !g.signedIn() {
				t.Fatal("not signed in")
			}
			a := g.end(append(tt.params, "id_token_hint", g.hint)...)
			g.leads(a, tt.to)
			if g.signedIn() || g.cookie("session") != "" || a.Header.Get("Clear-Site-Data") == "" {
				t.Error("signed in yet")
			}
			if tt.to == "" && !strings.Contains(a.text, "You are signed out") {
				t.Error(a.text)
			}
			g.leads(g.end(append(tt.params, "id_token_hint", g.hint)...), tt.to) // and once more does no harm
		})
	}
}

// no-params, only-state: asked first, then told.
func TestLogoutWithoutAHintIsConfirmed(t *testing.T) {
	for _, params := range [][]string{nil, {"state", "s"}, {"client_id", "app", "logout_hint", "grace"}} {
		g := newLogoutRig(t, "https://id.example")
		a := g.end(params...)
		if a.StatusCode != 200 || !strings.Contains(a.text, `id="logout-confirm"`) || !g.signedIn() {
			t.Errorf("%v: %d, signed in %v", params, a.StatusCode, g.signedIn())
		}
		a = g.post("/logout", hidden(a)...)
		if g.leads(a, ""); !strings.Contains(a.text, "You are signed out") || g.signedIn() {
			t.Errorf("%v: %d, signed in %v", params, a.StatusCode, g.signedIn())
		}
	}
}

// hidden are the hidden fields of the page's form that confirms.
func hidden(a answer) (fields []string) {
	_, form, _ := strings.Cut(a.text, `/logout">`)
	form, _, _ = strings.Cut(form, "</form>")
	for rest := form; ; {
		var name, value string
		var ok bool
		if _, rest, ok = strings.Cut(rest, `type="hidden" name="`); !ok {
			return fields
		}
		name, rest, _ = strings.Cut(rest, `" value="`)
		value, rest, _ = strings.Cut(rest, `"`)
		fields = append(fields, name, strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(value))
	}
}

// bad-post-logout-redirect-uri, query-added-to-…, no-id-token-hint, modified- and
// bad-id-token-hint: no redirect, not even after confirming.
func TestLogoutNeverRedirectsElsewhere(t *testing.T) {
	g := newLogoutRig(t, "https://id.example")
	g.app("other", func(c *store.Client) { c.PostLogoutURIs = []string{"https://other.example/bye"} })
	parts := strings.Split(g.hint, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	payload := func(change func(map[string]any)) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		g.ok(err)
		var c map[string]any
		g.ok(json.Unmarshal(raw, &c))
		change(c)
		raw, err = json.Marshal(c)
		g.ok(err)
		return raw
	}
	same := func(map[string]any) {}
	ours := func(change func(map[string]any)) string {
		token, err := g.Keys.Sign("RS256", payload(change))
		g.ok(err)
		return token
	}
	byClient, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(clientSecret)},
		new(jose.SignerOptions).WithType("JWT").WithHeader("kid", "x"))
	g.ok(err)
	object, err := byClient.Sign(payload(same))
	g.ok(err)
	signed, err := object.CompactSerialize()
	g.ok(err)
	for _, tt := range []struct {
		name   string
		params []string
	}{
		{"no-id-token-hint", []string{"post_logout_redirect_uri", bye, "state", "s"}},
		{"no hint, and the client's name", []string{"post_logout_redirect_uri", bye, "client_id", "app"}},
		{"an empty hint", []string{"post_logout_redirect_uri", bye, "id_token_hint", ""}},
		{"bad-post-logout-redirect-uri", []string{"id_token_hint", g.hint, "post_logout_redirect_uri", "https://app.example/other"}},
		{"query-added-to-post-logout-redirect-uri", []string{"id_token_hint", g.hint, "post_logout_redirect_uri", bye + "&y=2"}},
		{"another app's URI", []string{"id_token_hint", g.hint, "post_logout_redirect_uri", "https://other.example/bye"}},
		{"where codes go", []string{"id_token_hint", g.hint, "post_logout_redirect_uri", "https://app.example/cb"}},
		{"modified-id-token-hint: alg none", []string{"post_logout_redirect_uri", bye, "id_token_hint",
			b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."}},
		{"alg none, and the signature kept", []string{"post_logout_redirect_uri", bye, "id_token_hint",
			b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2]}},
		{"tampered", []string{"post_logout_redirect_uri", bye, "id_token_hint",
			parts[0] + "." + b64(payload(func(c map[string]any) { c["exp"] = 1e10 })) + "." + parts[2]}},
		{"bad-id-token-hint: signed by the client", []string{"post_logout_redirect_uri", bye, "id_token_hint", signed}},
		{"another issuer", []string{"post_logout_redirect_uri", bye, "id_token_hint", ours(func(c map[string]any) { c["iss"] = "https://evil.example" })}},
		{"an app that is gone", []string{"post_logout_redirect_uri", bye, "id_token_hint", ours(func(c map[string]any) { c["aud"] = "gone" })}},
		{"several audiences", []string{"post_logout_redirect_uri", bye, "id_token_hint", ours(func(c map[string]any) { c["aud"] = []string{"app"} })}},
		{"another client_id", []string{"post_logout_redirect_uri", bye, "id_token_hint", g.hint, "client_id", "other"}},
		{"garbage", []string{"post_logout_redirect_uri", bye, "id_token_hint", "x.y.z"}},
		{"a state that is no text", []string{"post_logout_redirect_uri", bye, "id_token_hint", g.hint, "state", "a\nb"}},
	} {
		a := g.end(tt.params...)
		if g.leads(a, ""); a.StatusCode != 400 || !strings.Contains(a.text, `id="logout-confirm"`) {
			t.Errorf("%s: %d", tt.name, a.StatusCode)
		}
		if fields := hidden(a); len(fields) > 0 {
			t.Errorf("%s: the page keeps %v", tt.name, fields)
		}
		if !g.signedIn() {
			t.Fatalf("%s: signed out", tt.name)
		}
	}
	twice := g.get("/end-session?id_token_hint=" + g.hint + "&post_logout_redirect_uri=" + url.QueryEscape(bye) + "&post_logout_redirect_uri=x")
	if g.leads(twice, ""); twice.StatusCode != 400 {
		t.Errorf("twice: %d", twice.StatusCode)
	}
	for _, tt := range [][]string{{"post_logout_redirect_uri", bye}, {"post_logout_redirect_uri", "https://evil.example", "id_token_hint", g.hint},
		{"post_logout_redirect_uri", bye, "id_token_hint", signed}} {
		g.signIn(g.get("/login"), "grace", rightPassword)
		if g.leads(g.post("/logout", tt...), ""); g.signedIn() {
			t.Errorf("%v: signed in after confirming", tt)
		}
	}
	if a := g.end("id_token_hint", "x.y.z"); a.StatusCode != 400 || !strings.Contains(a.text, "You are signed out") {
		t.Errorf("nobody is signed in: %d", a.StatusCode)
	}
}

// T29, for where people go after signing out: only what is byte for byte
// registered, however else it may be read.
func TestPostLogoutCorpus(t *testing.T) {
	g := newLogoutRig(t, "https://id.example")
	for _, uri := range append(variants(testCB), "https://app.example/bye", bye+"#x", "http://127.0.0.1:4711/bye/", "http://localhost:1/bye") {
		g.leads(g.end("id_token_hint", g.hint, "post_logout_redirect_uri", uri), "")
	}
	if !g.signedIn() {
		t.Error("signed out")
	}
	g.leads(g.end("id_token_hint", g.hint, "post_logout_redirect_uri", bye), bye)
}

// Old hints are good: whoever leaves a browser open over night can sign out.
func TestLogoutByAnExpiredHint(t *testing.T) {
	g := newLogoutRig(t, "https://id.example")
	h, err := g.oidc.hintOf(g.hint)
	g.ok(err)
	payload, err := json.Marshal(map[string]any{"iss": h.Issuer, "sub": h.Subject, "aud": h.Audience, "sid": h.Session,
		"exp": g.Store.Now().Add(-24 * time.Hour).Unix()})
	g.ok(err)
	old, err := g.Keys.Sign("ES256", payload)
	g.ok(err)
	if g.leads(g.end("id_token_hint", old, "post_logout_redirect_uri", bye), bye); g.signedIn() {
		t.Error("signed in yet")
	}
}

// A hint at another session, be it of the same person, does not end this one
// without a question; the answer leads on.
func TestLogoutOfAnotherSessionIsConfirmed(t *testing.T) {
	for name, who := range map[string]string{"another person": "edith", "the same person": "grace"} {
		g := newLogoutRig(t, "https://id.example")
		elsewhere := g.browser()
		elsewhere.signIn(elsewhere.authorize(""), who, rightPassword)
		theirs := g.idToken(elsewhere, "app")
		a := g.end("id_token_hint", theirs, "post_logout_redirect_uri", bye, "state", "a+b &")
		if g.leads(a, ""); a.StatusCode != 200 || !strings.Contains(a.text, "App app asks to sign you out") || !g.signedIn() {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example;") {
			t.Errorf("%s: %s", name, csp)
		}
		g.leads(g.post("/logout", hidden(a)...), bye+"&state=a%2Bb+%26")
		if g.signedIn() {
			t.Errorf("%s: signed in yet", name)
		}
		if there := (&logoutRig{house: g.house, person: elsewhere}); !there.signedIn() {
			t.Errorf("%s: signed out elsewhere", name)
		}
	}
}

// An app ends its user's session by itself, as Keycloak does: no cookie, and an
// ID token of that very session.
func TestLogoutByAProgram(t *testing.T) {
	for name, ask := range map[string]func(p *logoutRig, hint string) answer{
		"GET": func(p *logoutRig, hint string) answer { return p.end("id_token_hint", hint, "state", "s") },
		"POST": func(p *logoutRig, hint string) answer {
			form := url.Values{"id_token_hint": {hint}, "client_id": {"app"}}.Encode()
			r, err := http.NewRequest(http.MethodPost, p.issuer+"/end-session", strings.NewReader(form))
			p.ok(err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return p.do(r, nil)
		},
	} {
		g := newLogoutRig(t, "https://id.example")
		program := &logoutRig{house: g.house, person: g.browser()}
		if a := ask(program, g.hint[:len(g.hint)-4]+"AAAA"); a.StatusCode != 400 || !g.signedIn() {
			t.Errorf("%s with a bad hint: %d", name, a.StatusCode)
		}
		if a := ask(program, g.hint); a.StatusCode != 200 || g.signedIn() {
			t.Errorf("%s: %d, signed in %v", name, a.StatusCode, g.signedIn())
		}
	}
}

// So does one that knows the person by a pairwise name, and only the session of
// its own: also after that one was raised, and has another id.
func TestLogoutByAPairwiseProgram(t *testing.T) {
	for _, raised := range []bool{false, true} {
		g := newLogoutRig(t, "https://id.example")
		g.app("app", func(c *store.Client) { c.SubjectType = "pairwise" })
		hint := g.idToken(g.person, "app")
		if raised {
			page := g.authorize("&prompt=login")
			if a := g.post("/login/password", "flow", page.flow(), "password", rightPassword); a.StatusCode != http.StatusSeeOther {
				t.Fatalf("%d %s", a.StatusCode, a.text)
			}
		}
		other := &logoutRig{house: g.house, person: g.browser()}
		other.signIn(other.authorize(""), "edith", rightPassword)
		program := &logoutRig{house: g.house, person: g.browser()}
		if a := program.end("id_token_hint", hint); a.StatusCode != 200 || g.signedIn() || !other.signedIn() {
			t.Errorf("raised %v: %d, signed in %v, somebody else %v", raised, a.StatusCode, g.signedIn(), other.signedIn())
		}
		if a := program.end("id_token_hint", hint); a.StatusCode != 200 {
			t.Errorf("once more: %d", a.StatusCode)
		}
	}
}

// The session went unseen for an hour, as it does while people work in their
// apps: signing out of one of them ends what the session gave to all.
func TestLogoutOfASessionThatIsOver(t *testing.T) {
	g := newLogoutRig(t, "https://id.example")
	to, err := g.authorize("").Location()
	g.ok(err)
	_, refresh := g.exchange(g.person, "grant_type", "authorization_code", "code", to.Query().Get("code"),
		"redirect_uri", "https://app.example/cb", "code_verifier", verifier)
	all, err := g.Store.Sessions(t.Context(), "id-grace")
	g.ok(err)
	g.inDB("UPDATE sessions SET idle = 1 WHERE id = $1", all[0].ID)
	if g.signedIn() {
		t.Fatal("not over")
	}
	g.leads(g.end("id_token_hint", g.hint, "post_logout_redirect_uri", bye), bye)
	a := g.person.post("/token", "grant_type", "refresh_token", "refresh_token", refresh, "client_id", "app", "client_secret", clientSecret)
	if a.StatusCode != http.StatusBadRequest {
		t.Errorf("a refresh token lives on: %d", a.StatusCode)
	}
}

// A form from an app's page brings no cookie of ours: the browser comes again,
// and only then is it known who it is.
func TestLogoutPostedByAnApp(t *testing.T) {
	g := newLogoutRig(t, "https://id.example/base")
	form := url.Values{"id_token_hint": {g.hint}, "post_logout_redirect_uri": {bye}, "state": {"s"}, "junk": {"x"}}.Encode()
	r, err := http.NewRequest(http.MethodPost, g.issuer+"/end-session", strings.NewReader(form))
	g.ok(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	g.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := g.do(r, nil)
	to, err := a.Location()
	g.ok(err)
	if a.StatusCode != 303 || to.Path != "/base/end-session" || to.Query().Has("junk") || !g.signedIn() {
		t.Fatalf("%d to %s", a.StatusCode, to)
	}
	g.leads(g.do(newGET(to.String())), bye+"&state=s")
	if g.signedIn() {
		t.Error("signed in yet")
	}
}
