package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/medximity/idp/templates"
)

// bare is the policy of everything that is not a page: it may do nothing, and
// nothing may frame it (ASVS 3.4.6 asks for it on every response).
const bare = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Outer wraps the whole site: it gives every answer, errors of the router
// included, the headers that all have in common, and turns a panic into a
// page.
func (s *Site) Outer(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.commonHeaders(w.Header())
		defer s.recovered(w, r)
		h.ServeHTTP(w, r)
	})
}

func (s *Site) commonHeaders(h http.Header) {
	h.Set("Content-Security-Policy", bare)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), "+
		"camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains") // ASVS 3.4.1
	}
}

func (s *Site) recovered(w http.ResponseWriter, r *http.Request) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		panic(v)
	default:
		s.Fail(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
	}
}

// pageHeaders are those of a page.
func pageHeaders(h http.Header, r *http.Request, p templates.Page) {
	h.Set("Content-Security-Policy", policy(visitOf(r).target, p))
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// secretHeaders are those of what is behind a mail's link, redirects included:
// no address of theirs is told to anybody.
func secretHeaders(h http.Header, r *http.Request) {
	for _, link := range []string{"/reset-password", "/confirm-email", "/not-me", "/invite"} {
		if strings.HasPrefix(r.URL.Path, link) {
			h.Set("Referrer-Policy", "no-referrer")
		}
	}
}

// policy lets a page load what is ours and post to us, and to where the flow
// leads: Chromium holds form-action against every redirect that follows a
// post, so the sign-in form must name the app that gets the answer.
func policy(target string, p templates.Page) string {
	if f, ok := p.Data.(FormPostPage); ok {
		target = f.Action
	}
	form := "'self'"
	if t := sourceOf(target); t != "" {
		form += " " + t
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src 'self'; form-action " + form + framesOf(p) + "; base-uri 'none'; frame-ancestors 'none'"
}

// framesOf lets the page of whoever signed out load the frames that it has, and
// no page any other.
func framesOf(p templates.Page) string {
	d, _ := p.Data.(LoggedOutPage)
	var sources []string
	for _, f := range d.Frames {
		if s := sourceOf(f.URI); s != "" && !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	if len(sources) == 0 {
		return ""
	}
	return "; frame-src " + strings.Join(sources, " ")
}

// Target says which origin, or which app's own scheme, the flow of this request
// will answer to.
func Target(r *http.Request, origin string) { visitOf(r).target = origin }

var (
	hostSource   = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)
	schemeSource = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
)

// sourceOf writes a URL's origin as a source of a policy (CSP Level 3 section
// 2.3.1), or nothing if it cannot be written: what goes into a header is made
// of the few characters that mean no more than they say.
func sourceOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "", "javascript", "data", "blob", "filesystem":
		return ""
	case "http", "https":
		if hostSource.MatchString(u.Host) {
			return u.Scheme + "://" + u.Host
		}
		if ip := u.Hostname(); ip == "::1" { // a source cannot be an IPv6 address
			return u.Scheme + ":"
		}
		return ""
	}
	if !schemeSource.MatchString(u.Scheme) {
		return ""
	}
	return u.Scheme + ":"
}
