// Package web (stopgap by the lead; the web helper replaces this file).
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

type LockedPage struct {
	Minutes int
	Until   time.Time
}
type BusyPage struct{ Seconds int }
type ForgotPage struct{ Email string }
type ForgotSentPage struct {
	Email, From string
	Minutes     int
}
type LinkPage struct {
	Fate    string
	NewerAt time.Time
	Email   string
}
type CancelPage struct{ Token string }
type SupportPage struct{ Name, Practice, NPI, Username, Email string }
type SupportSentPage struct {
	Reference string
	Due       time.Time
}
type HomePage struct{ Username string }
type FaultPage struct{ Reference string }
type LostPage struct{ Expired bool }
type OAuthErrorPage struct{ App, Code, Description string }
type FormPostPage struct {
	App, Action string
	Fields      []FormField
}
type FormField struct{ Name, Value string }

var ErrNoCookie = errors.New("web: no binding cookie")

type Config struct {
	Templates       *templates.Set
	Issuer          *url.URL
	Store           *store.Store
	Logger          *slog.Logger
	Proxies, Exempt []netip.Prefix
}
type Site struct {
	Config
	Sessions *Sessions
	base     string
}
type Sessions struct{ s *Site }

func New(_ context.Context, c Config) (*Site, error) {
	s := &Site{Config: c, base: strings.TrimSuffix(c.Issuer.Path, "/")}
	s.Sessions = &Sessions{s}
	return s, nil
}

func (s *Sessions) Current(r *http.Request) (*store.Session, string, error) {
	c, err := r.Cookie("mdx_session")
	if err != nil {
		return nil, "", store.ErrNoSession
	}
	ss, err := s.s.Store.Session(r.Context(), c.Value)
	return ss, c.Value, err
}
func (s *Sessions) Set(w http.ResponseWriter, _ *http.Request, token string) error {
	http.SetCookie(w, &http.Cookie{Name: "mdx_session", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return nil
}
func (s *Sessions) End(w http.ResponseWriter, _ *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "mdx_session", Path: "/", MaxAge: -1})
}

type key int

func Target(r *http.Request, origin string) {
	if t, ok := r.Context().Value(key(1)).(*string); ok {
		*t = origin
	}
}
func (s *Site) Outer(h http.Handler) http.Handler { return h }
func (s *Site) Page(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.NewCrossOriginProtection().Handler(s.FromApps(h))
}
func (s *Site) FromApps(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), key(1), new(string)))
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			w.WriteHeader(400)
			return
		}
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, flows.ErrNoFlow), errors.Is(err, ErrNoCookie):
		_ = s.Render(w, r, 400, templates.Page{Name: "lost_cookie", Data: LostPage{}})
	case errors.Is(err, flows.ErrStale):
		_ = s.Render(w, r, 409, templates.Page{Name: "stale", Flow: r.FormValue("flow")})
	case errors.Is(err, directory.ErrUnavailable), errors.Is(err, account.ErrQueueFull):
		_ = s.Render(w, r, 503, templates.Page{Name: "unavailable"})
	default:
		s.Logger.Error("fault", "cause", err)
		_ = s.Render(w, r, 500, templates.Page{Name: "fault", Data: FaultPage{Reference: rand.Text()[:8]}})
	}
}
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, p templates.Page) error {
	p.Lang, p.Base = s.Lang(r), s.base
	if r.Method == http.MethodGet {
		p.Path = r.URL.RequestURI()
	}
	t, _ := r.Context().Value(key(1)).(*string)
	form := "'self'"
	if t != nil && *t != "" {
		form += " " + *t
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action "+form+"; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	return s.Templates.Page(w, p)
}
func (s *Site) SeeOther(w http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(w, r, s.base+path, http.StatusSeeOther)
}
func (s *Site) Text(r *http.Request, k string, a map[string]any) string {
	return s.Templates.Text(s.Lang(r), k, a)
}
func (s *Site) Lang(r *http.Request) string {
	return s.Templates.Match(r.Header.Get("Accept-Language"))
}
func (s *Site) Language(w http.ResponseWriter, r *http.Request) error {
	s.SeeOther(w, r, "/login")
	return nil
}
func (s *Site) Static(f fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, n := range []string{"style.css", "app.js", "favicon.svg"} {
			if strings.HasSuffix(r.URL.Path, s.Templates.Asset(n)) {
				http.ServeFileFS(w, r, f, n)
				return
			}
		}
		http.NotFound(w, r)
	})
}
func (s *Site) Source(*http.Request) account.Source { return "" }
func (s *Site) Address(r *http.Request) netip.Addr {
	h, _, _ := net.SplitHostPort(r.RemoteAddr)
	a, _ := netip.ParseAddr(h)
	return a
}
func (s *Site) Known(*http.Request) func(account.ID) bool                       { return nil }
func (s *Site) Remember(http.ResponseWriter, *http.Request, account.ID)          {}
func (s *Site) Browser(w http.ResponseWriter, r *http.Request) []byte {
	if h, ok := s.BrowserIf(r); ok {
		return h
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	v := hex.EncodeToString(b)
	http.SetCookie(w, &http.Cookie{Name: "mdx_browser", Value: v, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return account.HashSecret(v)
}
func (s *Site) BrowserIf(r *http.Request) ([]byte, bool) {
	c, err := r.Cookie("mdx_browser")
	if err != nil {
		return nil, false
	}
	return account.HashSecret(c.Value), true
}
func Device(*http.Request) string { return "" }
func LooksLikeEmail(s string) bool {
	a, b, ok := strings.Cut(s, "@")
	return ok && a != "" && strings.Contains(b, ".")
}
