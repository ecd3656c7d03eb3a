package provider

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
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

const (
	rightPassword = "violet kettle on the stove"
	clientSecret  = "the-secret-of-the-app-under-test"
)

// house is the whole provider at an issuer of the test's choice, without a
// network: what it logged, what it asked the store, and whom it mailed.
type house struct {
	*Provider
	t      testing.TB
	issuer string
	db     string // the SQLite file
	log    bytes.Buffer

	mu         sync.Mutex
	statements []string
	events     []account.Event
	browsers   int
}

// newHouse has Grace, who may sign in, and some who may not get a link or in.
func newHouse(t testing.TB, issuer string) *house {
	t.Helper()
	return newHouseOn(t, issuer, "sqlite")
}

func newHouseOn(t testing.TB, issuer, engine string) *house {
	t.Helper()
	h := &house{t: t, issuer: issuer}
	c := storetest.New(t, engine)
	h.db = strings.TrimPrefix(c.URL, "sqlite:")
	m := metrics.New()
	c.Queries = func(name string, _ time.Duration, _ error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.statements = append(h.statements, name)
	}
	c.Observe = func(e account.Event) {
		m.Observe(e)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
	}
	log := slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Logger = log
	st := storetest.Open(t, c)
	hasher := &account.Hasher{}
	h.populate(st, hasher)
	signing, err := keys.Open(t.Context(), st, keys.Config{})
	h.ok(err)
	u, err := url.Parse(issuer)
	h.ok(err)
	h.Provider, err = New(t.Context(), Config{Issuer: u, Store: st, Directory: store.People{Store: st, Hasher: hasher},
		Keys: signing, Hasher: hasher, Metrics: m, Logger: log, From: "id@medximity.example",
		Outgoing: []string{"127.0.0.0/8"}, // the apps of tests
		Proxies:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	h.ok(err)
	return h
}

func (h *house) populate(st *store.Store, hasher *account.Hasher) {
	h.t.Helper()
	hash, err := hasher.Hash(h.t.Context(), []byte(rightPassword))
	h.ok(err)
	for _, p := range []store.NewPerson{
		{ID: "id-grace", Username: "grace", Email: "grace@river.example", EmailVerified: true, Hash: hash, Name: "Grace Hopper"},
		{ID: "id-edith", Username: "edith", Email: "edith@river.example", EmailVerified: true, Hash: hash, Name: "Edith Clarke"},
		{ID: "id-stopt", Username: "stopt", Email: "stopt@river.example", EmailVerified: true, Hash: hash},
		{ID: "id-unver", Username: "unver", Email: "unver@river.example", Hash: hash},
		{ID: "id-empty", Username: "empty", Email: "empty@river.example", EmailVerified: true},
	} {
		_, err := st.AddPerson(h.t.Context(), p, "test")
		h.ok(err)
	}
	h.ok(st.SetDisabled(h.t.Context(), "id-stopt", true, "test"))
	h.ok(st.PutClient(h.t.Context(), store.Client{ID: "app", Name: "App", SecretHash: account.HashSecret(clientSecret),
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "offline_access"}}, "test"))
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// inDB makes happen in the SQLite file what time would.
func (h *house) inDB(statement string, args ...any) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.db+"?_pragma=busy_timeout(10000)")
	h.ok(err)
	defer db.Close()
	_, err = db.Exec(statement, args...)
	h.ok(err)
}

// during returns the statements that f costs.
func (h *house) during(f func()) []string {
	h.mu.Lock()
	h.statements = nil
	h.mu.Unlock()
	f()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statements)
}

// mails works the queue until n mails more were handed to the sender.
func (h *house) mails(n int) []store.Mail {
	h.t.Helper()
	var mu sync.Mutex
	var got []store.Mail
	all := make(chan struct{})
	stop, err := h.Store.Work(h.t.Context(), store.Workers{SendMail: func(_ context.Context, m store.Mail) error {
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, m); len(got) == n {
			close(all)
		}
		return nil
	}})
	h.ok(err)
	select {
	case <-all:
	case <-time.After(20 * time.Second):
	}
	h.ok(stop(context.WithoutCancel(h.t.Context())))
	mu.Lock()
	defer mu.Unlock()
	if len(got) != n {
		h.t.Fatalf("%d mails, want %d", len(got), n)
	}
	return got
}

// person is somebody with a browser and an address of their own.
type person struct {
	*http.Client
	h *house
}

// cable serves a request as a server does, without one.
type cable struct {
	http.Handler
	from string
}

func (h cable) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	in.RequestURI, in.Host, in.RemoteAddr = r.URL.RequestURI(), r.URL.Host, h.from
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// browser is a new one, which follows redirects within the issuer.
func (h *house) browser() *person {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	h.ok(err)
	h.browsers++
	via := cable{h, fmt.Sprintf("203.0.113.%d:4711", h.browsers)}
	return &person{h: h, Client: &http.Client{Jar: jar, Transport: via, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), h.issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// answer is an answer that was read.
type answer struct {
	*http.Response
	text string
}

func (p *person) do(r *http.Request, err error) answer {
	p.h.t.Helper()
	p.h.ok(err)
	resp, err := p.Do(r)
	p.h.ok(err)
	b, err := io.ReadAll(resp.Body)
	p.h.ok(err)
	return answer{resp, string(b)}
}

func (p *person) get(path string) answer {
	p.h.t.Helper()
	return p.do(http.NewRequest(http.MethodGet, p.h.issuer+path, nil))
}

func (p *person) post(path string, fields ...string) answer {
	p.h.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, p.h.issuer+path, strings.NewReader(form.Encode()))
	p.h.ok(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(r, nil)
}

// flow is the flow that a page's form names.
func (a answer) flow() string {
	if m := hiddenFlow.FindStringSubmatch(a.text); m != nil {
		return m[1]
	}
	return ""
}

// signIn types a name and a password into the page.
func (p *person) signIn(page answer, name, password string) answer {
	p.h.t.Helper()
	return p.post("/login/identify", "flow", page.flow(), "identifier", name, "password", password)
}

const houseAuthorize = "/authorize?client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code" +
	"&scope=openid+email+profile+offline_access&state=s&nonce=n&code_challenge_method=S256&code_challenge="

// authorize is the app sending the browser to us.
func (p *person) authorize(more string) answer {
	p.h.t.Helper()
	return p.get(houseAuthorize + challenge + more)
}

func (p *person) cookie(name string) string {
	u, _ := url.Parse(p.h.issuer)
	for _, c := range p.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "mdx_"+name) {
			return c.Value
		}
	}
	return ""
}

// exchange asks the token endpoint.
func (h *house) exchange(b *person, fields ...string) (access, refresh string) {
	h.t.Helper()
	a := b.post("/token", append(fields, "client_id", "app", "client_secret", clientSecret)...)
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || got.Access == "" {
		h.t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	return got.Access, got.Refresh
}

func newGET(u string) (*http.Request, error) { return http.NewRequest(http.MethodGet, u, nil) }

// inDBRow reads one value out of the SQLite file.
func (h *house) inDBRow(query string, into any, args ...any) error {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.db+"?_pragma=busy_timeout(10000)")
	h.ok(err)
	defer db.Close()
	return db.QueryRow(query, args...).Scan(into)
}
