// Package web is how Medximity ID meets a browser: it bounds what is read,
// refuses what other sites send, picks the language, keeps the cookies, writes
// the headers and turns errors into pages. It decides nothing about people.
//
// Every page is served through Site.Page, and everything through Site.Outer:
//
//	Outer: headers of every answer, panics
//	└ Page: origin, size, kind and text of the request
//	  └ the handler: returns an error, or calls Render or SeeOther once
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// AnswerFor bounds what a request may take once it was read: more than the
// waits for a lock and for a slot to hash in together. A database that says
// nothing at all would hold it for ever.
const AnswerFor = 10 * time.Second

// maxBody is the most that a form may send: many times what ours need.
const maxBody = 64 << 10

// Config is all that a Site is made of; only Proxies and Exempt may be empty.
type Config struct {
	Templates *templates.Set
	Issuer    *url.URL // whose scheme and path decide about cookies and links
	Store     *store.Store
	Logger    *slog.Logger
	Proxies   []netip.Prefix // whose X-Forwarded-For is believed
	Exempt    []netip.Prefix // networks without source limits
}

// Site serves pages. It is safe for concurrent use.
type Site struct {
	Config
	Sessions *Sessions

	base    string // the issuer's path: "" or "/id"
	secure  bool   // the issuer is https
	origins *http.CrossOriginProtection
	device  codec
	source  sourcer
}

// New returns a Site. It makes or reads the keys of the cookies.
func New(ctx context.Context, c Config) (*Site, error) {
	s := &Site{Config: c, base: strings.TrimSuffix(c.Issuer.Path, "/"), secure: c.Issuer.Scheme == "https"}
	s.origins = http.NewCrossOriginProtection()
	// A proxy may rewrite Host; the issuer's own pages are never foreign.
	if err := s.origins.AddTrustedOrigin(c.Issuer.Scheme + "://" + c.Issuer.Host); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	var err error
	if s.source, err = newSourcer(c.Proxies, c.Exempt); err != nil {
		return nil, err
	}
	if s.device, err = newCodec(ctx, c.Store, "device", deviceFor); err != nil {
		return nil, err
	}
	session, err := newCodec(ctx, c.Store, "session", 0)
	if err != nil {
		return nil, err
	}
	s.Sessions = &Sessions{site: s, codec: session}
	return s, nil
}

// visit is what the handlers of one request leave for one another.
type visit struct {
	target  string // where the answer's form may lead, beside ourselves
	lang    string
	browser []byte // the binding made in this very request
	session lookup
}

type visitKey struct{}

// visitOf returns the request's visit; outside of Page, an empty one.
func visitOf(r *http.Request) *visit {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// Page serves a page of ours. What it gets is a parsed form of valid UTF-8, of
// at most 64 KiB, from our own origin if it changes anything; an error that it
// returns becomes a page.
func (s *Site) Page(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.serve(h, func(r *http.Request) error {
		if s.Foreign(r) {
			return errForeign
		}
		return nil
	})
}

// FromApps is Page for what apps of other origins may post, such as an
// authorization request (OIDC Core section 3.1.2.1). Its handler must change
// nothing for a request that is Foreign.
func (s *Site) FromApps(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.serve(h, func(*http.Request) error { return nil })
}

// Foreign reports whether a browser sends the form of another site. A program
// is no browser.
func (s *Site) Foreign(r *http.Request) bool { return s.origins.Check(r) != nil }

func (s *Site) serve(h func(http.ResponseWriter, *http.Request) error, from func(*http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, &visit{}))
		secretHeaders(w.Header(), r)
		err := from(r)
		if err == nil {
			err = s.read(w, r)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), AnswerFor)
			defer cancel()
			err = h(w, r.WithContext(ctx))
		}
		if err != nil {
			s.Fail(w, r, err)
		}
	})
}

// read parses the form, within bounds.
func (s *Site) read(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			return errMediaType
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return errTooLarge
		}
		return errUnreadable
	}
	for name, values := range r.Form {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return errUnreadable
			}
		}
	}
	s.keepLocales(w, r)
	return nil
}

// Render shows a page. It is written as a whole or, if that fails, not at all.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, p templates.Page) error {
	p.Lang, p.Base, p.Path, p.Outdated = s.Lang(r), s.base, again(r, p), outdated(r)
	var b bytes.Buffer
	if err := s.Templates.Page(&b, p); err != nil {
		return fmt.Errorf("page %s: %w", p.Name, err)
	}
	h := w.Header()
	pageHeaders(h, r, p)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // an error means that the browser is gone
	return nil
}

// again returns the path, without the issuer's, where a GET shows the page
// again: what the language switch goes back to.
func again(r *http.Request, p templates.Page) string {
	switch {
	case p.Name == "form_post": // shows a code, once
		return ""
	case p.Name == "consent" && r.Method == http.MethodPost: // the end of a sign-in, which is over
		return ""
	case p.Name == "logged_out": // not to an app's request to sign out once more
		return "/logout"
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return r.URL.RequestURI()
	}
	path := r.URL.EscapedPath()
	if strings.HasPrefix(path, "/login/") {
		path = "/login"
	}
	if p.Flow != "" {
		path += "?flow=" + url.QueryEscape(p.Flow)
	}
	return path
}

// SeeOther sends the browser to a path of ours. It is always a 303: a 307
// would post the credentials once more (RFC 9700 section 4.12).
func (s *Site) SeeOther(w http.ResponseWriter, _ *http.Request, path string) {
	w.Header().Set("Location", s.base+path)
	w.WriteHeader(http.StatusSeeOther)
}
