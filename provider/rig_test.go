package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/store"
)

const (
	testIssuer = "https://id.example/base"
	testCB     = "https://app.example/cb"
	testNative = "http://127.0.0.1/cb"
)

var (
	verifier  = strings.Repeat("v", 43)
	challenge = s256(verifier)
)

func s256(v string) string {
	h := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// rig is the OpenID half with a store, a few clients and one person signed in.
type rig struct {
	*oidc
	tb      testing.TB
	st      *store.Store
	flaky   *flaky
	people  *people
	session *store.Session // of the browser; nil for none
	began   []flows.Request
	mux     *http.ServeMux

	mu      sync.Mutex
	queries []string
}

// newRig returns a rig on SQLite, where the sign-in was a minute ago.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	return newRigOn(tb, "sqlite")
}

func newRigOn(tb testing.TB, engine string) *rig {
	tb.Helper()
	g := &rig{tb: tb}
	g.st = newStore(tb, engine, g.told)
	g.flaky = &flaky{Store: g.st}
	g.people = &people{People: store.People{Store: g.st}, ext: &directory.Entry{ID: "ext-id", Email: "ext@example.com"}}
	g.populate()
	issuer, err := url.Parse(testIssuer)
	if err != nil {
		tb.Fatal(err)
	}
	ours, err := keys.Open(tb.Context(), g.st, keys.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	client, err := outgoing.Client([]string{"127.0.0.0/8"}, fetchTimeout) // the apps of tests
	if err != nil {
		tb.Fatal(err)
	}
	g.oidc, err = oidcConfig{
		Outgoing: client,
		Issuer:   issuer, Store: g.flaky, Keys: ours, Directory: g.people, Now: g.st.Now,
		Logger: slog.New(slog.DiscardHandler), Locales: []string{"en", "ko"}, Algorithms: ours.Algorithms(),
		Session: func(*http.Request) (*store.Session, error) {
			if g.session == nil {
				return nil, store.ErrNoSession
			}
			return g.session, nil
		},
		Begin: func(w http.ResponseWriter, _ *http.Request, fr flows.Request) error {
			g.began = append(g.began, fr)
			w.WriteHeader(http.StatusTeapot) // the sign-in page
			return nil
		},
		StepUp: func(w http.ResponseWriter, _ *http.Request, _ *store.Session, fr flows.Request, anew bool) error {
			g.began = append(g.began, fr)
			if anew {
				w.Header().Set("X-Anew", "yes")
			}
			w.WriteHeader(http.StatusAccepted) // the page that confirms, or asks for a code
			return nil
		},
		Source: func(r *http.Request) account.Source { return account.Source(r.RemoteAddr) },
		FormPost: func(w http.ResponseWriter, _ *http.Request, p formPost) error {
			return json.NewEncoder(w).Encode(p)
		},
	}.open(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	g.session = g.signIn("ann-id")
	g.session.AuthTime = g.session.AuthTime.Add(-time.Minute)
	g.routes()
	return g
}

// populate adds Ann, who has most of the standard claims, and the clients.
func (g *rig) populate() {
	ctx := g.tb.Context()
	_, err := g.st.AddPerson(ctx, store.NewPerson{ID: "ann-id", Practice: "p1", Role: "owner", Username: "ann", Email: "ann@example.com",
		EmailVerified: true, Name: "Ann Lee", Locale: "ko-KR",
		Claims: map[string]any{"given_name": "Ann", "family_name": "Lee", "updated_at": 1.7e9,
			"phone_number": "+82 2 1234 5678", "phone_number_verified": true, "birthdate": "1980-01-02",
			"address": map[string]any{"country": "KR", "locality": "Seoul"}, "email_verified": "true", "secret": "x",
			"npi": "1234567893"}}, "test")
	err = errors.Join(err, g.st.AddPractice(ctx, "p1", "Riverside"))
	for _, c := range testClients() {
		err = errors.Join(err, g.st.PutClient(ctx, c, "test"))
	}
	if err != nil {
		g.tb.Fatal(err)
	}
}

// told notes a statement that the store ran.
func (g *rig) told(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queries = append(g.queries, name)
}

// statements returns those that f led to.
func (g *rig) statements(f func()) []string {
	g.mu.Lock()
	g.queries = nil
	g.mu.Unlock()
	f()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queries
}

// void makes all that was proven for an account void, as a reset does.
func (g *rig) void(id account.ID) {
	g.tb.Helper()
	for _, disabled := range []bool{true, false} {
		if err := g.st.SetDisabled(g.tb.Context(), id, disabled, "test"); err != nil {
			g.tb.Fatal(err)
		}
	}
}

func testClients() []store.Client {
	base := store.Client{RedirectURIs: []string{testCB, testNative}, SecretHash: account.HashSecret("s3cret")}
	with := func(id string, change func(*store.Client)) store.Client {
		c := base
		c.ID, c.Name = id, "App "+id
		change(&c)
		return c
	}
	return []store.Client{
		with("web", func(c *store.Client) { c.PKCEOptional = true; c.Algorithm = "ES256" }),
		with("strict", func(*store.Client) {}),
		with("broker", func(c *store.Client) { c.PKCEOptional, c.ClaimsInIDToken = true, true }),
		with("spa", func(c *store.Client) { c.Public, c.SecretHash = true, nil }),
		with("odd:id+%", func(c *store.Client) { c.PKCEOptional = true; c.SecretHash = account.HashSecret("a:b%+ c") }),
		with("careful", func(c *store.Client) { c.PKCEOptional, c.RequireMFA = true, true }),
		with("mail", func(c *store.Client) { c.PKCEOptional = true; c.Scopes = []string{"openid", "email"} }),
		with("api", func(c *store.Client) { c.Introspect, c.RedirectURIs = true, nil }),
		with("robot", func(c *store.Client) {
			c.GrantTypes, c.Scopes = []string{clientCredentials}, []string{"openid", "offline_access", "charts:read", "charts:write"}
		}),
	}
}

// change edits a client's registration.
func (g *rig) change(id string, edit func(*store.Client)) {
	g.tb.Helper()
	c, err := g.st.Client(g.tb.Context(), id)
	if err != nil {
		g.tb.Fatal(err)
	}
	changed := *c
	edit(&changed)
	if err := g.st.PutClient(g.tb.Context(), changed, "test"); err != nil {
		g.tb.Fatal(err)
	}
}

func (g *rig) routes() {
	g.mux = http.NewServeMux()
	g.mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		err := g.authorize(w, r)
		if p, ok := errors.AsType[*pageError](err); ok {
			http.Error(w, p.Error(), http.StatusBadRequest)
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	for name, h := range map[string]func(http.ResponseWriter, *http.Request) error{"token": g.token,
		"par": g.push, "userinfo": g.oidc.userinfo, "revoke": g.oidc.revoke, "introspect": g.oidc.introspect, "discovery": g.discovery, "jwks": g.jwks} {
		g.mux.Handle("/"+name, g.api(name, h))
	}
}

// do sends a request and returns the answer.
func (g *rig) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.mux.ServeHTTP(w, r)
	return w
}

// ask makes an authorization request; with "-" a parameter is left out.
func ask(change ...string) url.Values {
	q := url.Values{"client_id": {"web"}, "redirect_uri": {testCB}, "response_type": {"code"},
		"scope": {"openid profile email offline_access"}, "state": {"st4te"}, "nonce": {"n"}}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == "-" {
			q.Del(change[i])
			continue
		}
		q.Set(change[i], change[i+1])
	}
	return q
}

func (g *rig) get(q url.Values) *httptest.ResponseRecorder {
	return g.do(httptest.NewRequest("GET", "/authorize?"+q.Encode(), nil))
}

// answered returns the parameters of a redirect to the app.
func answered(tb testing.TB, w *httptest.ResponseRecorder) url.Values {
	tb.Helper()
	to, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusSeeOther || err != nil {
		tb.Fatalf("no redirect: %d %s", w.Code, w.Body)
	}
	return to.Query()
}

// codeOf goes through the authorization endpoint.
func (g *rig) codeOf(change ...string) string {
	g.tb.Helper()
	q := answered(g.tb, g.get(ask(change...)))
	if q.Get("code") == "" {
		g.tb.Fatalf("no code: %v", q)
	}
	return q.Get("code")
}

// post sends a form to an endpoint and reads its JSON.
func (g *rig) post(path string, form url.Values, auth ...string) (int, map[string]any) {
	g.tb.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(auth) > 0 {
		r.SetBasicAuth(auth[0], auth[1])
	}
	w := g.do(r)
	return w.Code, decode(g.tb, w)
}

func decode(tb testing.TB, w *httptest.ResponseRecorder) map[string]any {
	tb.Helper()
	out := map[string]any{}
	if w.Body.Len() == 0 {
		return out
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		tb.Fatalf("not JSON: %d %s", w.Code, w.Body)
	}
	return out
}

// exchange redeems a code as the client "web".
func (g *rig) exchange(code string, change ...string) (int, map[string]any) {
	g.tb.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}}
	return g.post("/token", set(form, change), "web", "s3cret")
}

func (g *rig) refresh(token string, change ...string) (int, map[string]any) {
	g.tb.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	return g.post("/token", set(form, change), "web", "s3cret")
}

func set(form url.Values, change []string) url.Values {
	for i := 0; i < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

// tokens signs in and returns the token answer.
func (g *rig) tokens(change ...string) map[string]any {
	g.tb.Helper()
	status, body := g.exchange(g.codeOf(change...))
	if status != http.StatusOK {
		g.tb.Fatalf("token: %d %v", status, body)
	}
	return body
}

func (g *rig) userinfo(token string) (int, map[string]any) {
	g.tb.Helper()
	r := httptest.NewRequest("GET", "/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := g.do(r)
	return w.Code, decode(g.tb, w)
}

// claims verifies an ID token and returns its payload.
func (g *rig) claims(idToken any) map[string]any {
	g.tb.Helper()
	payload, err := g.Keys.Verify(idToken.(string))
	if err != nil {
		g.tb.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(payload, &out); err != nil {
		g.tb.Fatal(err)
	}
	return out
}

// wants fails unless a refusal has the status and the code.
func wants(tb testing.TB, status int, body map[string]any, wantStatus int, want string) {
	tb.Helper()
	if status != wantStatus || body["error"] != want {
		tb.Errorf("got %d %v, want %d %s", status, body, wantStatus, want)
	}
}
