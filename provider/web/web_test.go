package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
	"github.com/medximity/idp/templates"
)

const issuer = "https://id.medximity.example/id"

// rig is a Site on a real store, and its log.
type rig struct {
	*Site
	t   *testing.T
	log *bytes.Buffer
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	c := Config{Templates: pages, Issuer: at, Store: openStore(t),
		Logger:  slog.New(slog.NewJSONHandler(log, nil)),
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		Exempt:  []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	for _, f := range change {
		f(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{s, t, log}
}

func openStore(t *testing.T) *store.Store { return storetest.Open(t, storetest.New(t, "sqlite")) }

// plain makes the issuer a loopback one.
func plain(c *Config) {
	u := *c.Issuer
	u.Scheme, u.Host = "http", "127.0.0.1:8080"
	c.Issuer = &u
}

// handle serves one request with one handler, as the whole site would.
func (g *rig) handle(r *http.Request, h func(http.ResponseWriter, *http.Request) error) *http.Response {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.Outer(g.Page(h)).ServeHTTP(w, r)
	return w.Result()
}

// shows is a handler that shows a page.
func (g *rig) shows(status int, p templates.Page) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error { return g.Render(w, r, status, p) }
}

// fails is a handler that returns an error.
func fails(err error) func(http.ResponseWriter, *http.Request) error {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

func nothing(http.ResponseWriter, *http.Request) error { return nil }

func get(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

// post is a form from a page of ours.
func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// with adds the cookies of an answer to a request.
func with(r *http.Request, from *http.Response) *http.Request {
	for _, c := range from.Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	return r
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var errBroken = errors.New("pq: relation people does not exist, token=s3cret")

func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
