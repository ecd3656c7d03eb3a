package provider

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/metrics"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// site is the whole provider on PostgreSQL, one browser, and a record of what
// the store was asked.
type site struct {
	*httptest.Server
	t       testing.TB
	browser *http.Client
	hasher  *account.Hasher

	mu         sync.Mutex
	statements []string
}

func newSite(t testing.TB) *site {
	s := &site{t: t, hasher: &account.Hasher{}}
	c := storetest.New(t, "postgres")
	c.Queries = func(name string, _ time.Duration, _ error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.statements = append(s.statements, name)
	}
	st := storetest.Open(t, c)
	hash, err := s.hasher.Hash(t.Context(), []byte("violet kettle on the stove"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.AddPerson(t.Context(), store.NewPerson{ID: "grace", Username: "grace",
		Email: "grace@riverside.example", EmailVerified: true, Name: "Grace Hopper", Hash: hash}, "test")
	if err != nil {
		t.Fatal(err)
	}
	secret := account.HashSecret("the secret of the app under test")
	err = st.PutClient(t.Context(), store.Client{ID: "app", Name: "App", SecretHash: secret, Algorithm: "ES256", Introspect: true, GrantTypes: GrantTypes(),
		RedirectURIs: []string{"http://127.0.0.1:9/cb"}, Scopes: []string{"openid", "profile", "email", "offline_access"}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	signing, err := keys.Open(t.Context(), st, keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Config.Handler.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	issuer, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(t.Context(), Config{Issuer: issuer, Store: st, Directory: store.People{Store: st, Hasher: s.hasher},
		Keys: signing, Hasher: s.hasher, Metrics: metrics.New(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = p
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.browser = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Port() == "9" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return s
}

// during returns the statements that f costs.
func (s *site) during(f func()) []string {
	s.mu.Lock()
	s.statements = nil
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statements)
}

const authorizeQuery = "client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&response_type=code" +
	"&scope=openid+profile+email+offline_access&state=s&nonce=n&code_challenge_method=S256&code_challenge="

// authorize returns the answer to an authorization request, a page or a redirect.
func (s *site) authorize() *http.Response {
	s.t.Helper()
	resp, err := s.browser.Get(s.URL + "/authorize?" + authorizeQuery + challenge)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

var hiddenFlow = regexp.MustCompile(`name="flow" value="([^"]+)"`)

// signIn answers the page and returns where that leads.
func (s *site) signIn(page *http.Response, password string) *http.Response {
	s.t.Helper()
	body, err := io.ReadAll(page.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	flow := hiddenFlow.FindSubmatch(body)
	if flow == nil {
		s.t.Fatalf("no flow on the page:\n%s", body)
	}
	resp, err := s.browser.PostForm(s.URL+"/login/identify",
		url.Values{"flow": {string(flow[1])}, "identifier": {"grace"}, "password": {password}})
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func codeOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	to, err := resp.Location()
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("no code: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	return to.Query().Get("code")
}

// tokens asks the token endpoint.
func (s *site) tokens(form url.Values) (access, refresh string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app", "the+secret+of+the+app+under+test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var a struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.Access == "" {
		s.t.Fatalf("%s: %s %v", resp.Status, a.Error, err)
	}
	return a.Access, a.Refresh
}

// introspects asks about a token that must be live.
func (s *site) introspects(token string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app", "the+secret+of+the+app+under+test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var a struct{ Active bool }
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || !a.Active {
		s.t.Fatalf("%s: %+v %v", resp.Status, a, err)
	}
}

func codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {"http://127.0.0.1:9/cb"}, "code_verifier": {verifier}}
}

// The gates of performance.md: statements, without BEGIN and COMMIT, by their
// names, so that one that is added shows by name.
func TestStatements(t *testing.T) {
	s := newSite(t)
	var access, refresh string
	warm := codeOf(t, s.signIn(s.authorize(), "violet kettle on the stove")) // fills the client cache
	s.tokens(codeForm(warm))
	s.browser.Jar, _ = cookiejar.New(nil)

	for _, step := range []struct {
		name string
		most int
		do   func()
	}{
		{"sign-in", 10, func() {
			access, refresh = s.tokens(codeForm(codeOf(t, s.signIn(s.authorize(), "violet kettle on the stove"))))
		}},
		{"SSO", 3, func() { s.tokens(codeForm(codeOf(t, s.authorize()))) }},
		{"userinfo", 1, func() {
			req, _ := http.NewRequest(http.MethodGet, s.URL+"/userinfo", nil)
			req.Header.Set("Authorization", "Bearer "+access)
			if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
		}},
		{"introspection", 1, func() { s.introspects(access) }},
		{"client credentials", 1, func() { s.tokens(url.Values{"grant_type": {clientCredentials}}) }},
		{"refresh", 3, func() { s.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}) }},
		{"discovery", 0, func() {
			if _, err := http.Get(s.URL + "/.well-known/openid-configuration"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		got := s.during(step.do)
		t.Logf("%s: %d %v", step.name, len(got), got)
		if len(got) > step.most {
			t.Errorf("%s costs %d statements, at most %d: %v", step.name, len(got), step.most, got)
		}
	}
}

// An attempt while locked is decided by one statement of the guard, and hashes
// nothing.
func TestStatementsWhileLocked(t *testing.T) {
	s := newSite(t)
	for range 5 {
		s.signIn(s.authorize(), "wrong")
	}
	hashes := s.hasher.Verified()
	page := s.authorize()
	got := s.during(func() { s.signIn(page, "violet kettle on the stove") })
	t.Logf("%v", got)
	if want := []string{"Flow", "PersonByIdentifier", "ReadGuard"}; !slices.Equal(got, want) {
		t.Errorf("statements %v, want %v", got, want)
	}
	if s.hasher.Verified() != hashes {
		t.Error("a password was hashed")
	}
}

// BenchmarkSignIn is a whole sign-in, its hash included.
func BenchmarkSignIn(b *testing.B) {
	s := newSite(b)
	b.ReportAllocs()
	for b.Loop() {
		s.browser.Jar, _ = cookiejar.New(nil)
		s.tokens(codeForm(codeOf(b, s.signIn(s.authorize(), "violet kettle on the stove"))))
	}
}

// BenchmarkLocked is what one attempt of a flood on a locked account costs: the
// request of the app, the page, and the refusal.
func BenchmarkLocked(b *testing.B) {
	s := newSite(b)
	for range 5 {
		s.signIn(s.authorize(), "wrong")
	}
	b.ReportAllocs()
	for b.Loop() {
		s.browser.Jar, _ = cookiejar.New(nil)
		s.signIn(s.authorize(), "wrong").Body.Close()
	}
}

func BenchmarkUserinfoRequest(b *testing.B) {
	s := newSite(b)
	access, _ := s.tokens(codeForm(codeOf(b, s.signIn(s.authorize(), "violet kettle on the stove"))))
	req, err := http.NewRequest(http.MethodGet, s.URL+"/userinfo", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
