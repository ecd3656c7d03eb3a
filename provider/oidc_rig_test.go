package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
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

// rig is the OpenID half with a store, three clients and one person signed in.
type rig struct {
	*oidc
	tb      testing.TB
	fake    *fakeStore
	offset  atomic.Int64
	people  map[account.ID]*directory.Entry
	session *store.Session // of the browser; nil for none
	began   []flows.Request
	away    error // of the directory
	mux     *http.ServeMux
}

func (g *rig) now() time.Time           { return time.Now().Add(time.Duration(g.offset.Load())) }
func (g *rig) shift(d time.Duration)    { g.offset.Add(int64(d)) }
func (g *rig) directory() testDirectory { return testDirectory{g} }

type testDirectory struct{ *rig }

func (testDirectory) ID() string                           { return "test" }
func (testDirectory) Capabilities() directory.Capabilities { return directory.Capabilities{} }
func (testDirectory) Ping(context.Context) error           { return nil }
func (testDirectory) Close() error                         { return nil }
func (testDirectory) VerifyPassword(context.Context, account.Lease, *directory.Entry, []byte) (directory.Verdict, error) {
	return directory.Wrong, nil
}
func (d testDirectory) Lookup(_ context.Context, _ directory.By, v string) (*directory.Entry, error) {
	if e, ok := d.people[account.ID(v)]; ok || d.away != nil {
		return e, d.away
	}
	return nil, directory.ErrNotFound
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	g := &rig{tb: tb, people: map[account.ID]*directory.Entry{}}
	g.people["ann-id"] = &directory.Entry{ID: "ann-id", Username: "ann", Email: "ann@example.com",
		EmailVerified: true, Name: "Ann Lee", Locale: "ko-KR",
		Claims: map[string]any{"given_name": "Ann", "family_name": "Lee", "updated_at": 1.7e9,
			"phone_number": "+82 2 1234 5678", "phone_number_verified": true, "birthdate": "1980-01-02",
			"address": map[string]any{"country": "KR", "locality": "Seoul"}, "email_verified": "true", "secret": "x"}}
	g.fake = &fakeStore{rig: g, clients: map[string]store.Client{}, rows: map[string]*fakeGrant{},
		codes: map[string]string{}, secrets: map[string][]byte{}}
	for _, c := range testClients() {
		g.fake.clients[c.ID] = c
	}
	g.session = &store.Session{ID: account.HashSecret("cookie"), Account: "ann-id", Practice: "p1",
		AuthTime: g.now().Add(-time.Minute).Truncate(time.Microsecond), Methods: []string{"pwd"}, ACR: flows.ACR1FA}
	issuer, _ := url.Parse(testIssuer)
	var err error
	g.oidc, err = oidcConfig{
		Issuer: issuer, Store: g.fake, Keys: testKeys(), Directory: g.directory(), Now: g.now,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Locales: []string{"en", "ko"},
		Algorithms: []string{"RS256", "ES256"},
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
		FormPost: func(w http.ResponseWriter, _ *http.Request, p formPost) error {
			return json.NewEncoder(w).Encode(p)
		},
	}.open(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	g.routes()
	return g
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
		with("mail", func(c *store.Client) { c.PKCEOptional = true; c.Scopes = []string{"openid", "email"} }),
	}
}

// change edits a client's registration.
func (g *rig) change(id string, edit func(*store.Client)) {
	c := g.fake.clients[id]
	edit(&c)
	g.fake.clients[id] = c
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
		"userinfo": g.oidc.userinfo, "revoke": g.oidc.revoke, "discovery": g.discovery, "jwks": g.jwks} {
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
