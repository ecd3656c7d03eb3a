package provider

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/settings"
)

// patterns are those of routes.go: whoever adds one is measured by the tests
// below, without doing anything for it.
func patterns(t *testing.T) (all []string) {
	t.Helper()
	b, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?:page|mux\.Handle)\("([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
		all = append(all, m[1])
	}
	if len(all) < 20 {
		t.Fatalf("only found %q", all)
	}
	for _, rt := range new(settings.Settings).Routes() {
		all = append(all, rt.Pattern)
	}
	return all
}

// pathOf is a path that a pattern matches.
func pathOf(pattern string) string {
	_, path, ok := strings.Cut(pattern, " ")
	if !ok {
		path = pattern
	}
	return strings.NewReplacer("{$}", "", "{step}", "password").Replace(path)
}

// formTo is a form posted to a path, as a browser does from a page of ours.
func formTo(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// fromApps are what other sites may post to: programs, and apps that send a
// person here. None of them reads a cookie to act on it.
var fromApps = map[string]bool{"/par": true, "/token": true, "/userinfo": true, "/revoke": true, "/introspect": true, "/authorize": true, "/end-session": true}

// N37, ASVS 3.5.1: every page that takes a POST refuses those of other sites,
// also from browsers that only say Origin, and every one has its bounds.
func TestEveryPostIsChecked(t *testing.T) {
	h := newHouse(t, "https://id.example")
	for _, pattern := range patterns(t) {
		path := pathOf(pattern)
		if strings.HasPrefix(pattern, "GET ") || strings.HasPrefix(path, "/.well-known/") || path == "/jwks.json" || path == "/" {
			continue
		}
		status := func(r *http.Request) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		if !fromApps[path] {
			for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
				r := formTo(path, "flow=x")
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Set(header[0], header[1])
				if got := status(r); got != http.StatusForbidden {
					t.Errorf("%s with %s: %d", pattern, header, got)
				}
			}
		}
		if got := status(formTo(path, "a="+strings.Repeat("x", maxBody))); got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 64 KiB and more: %d", pattern, got)
		}
		for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", ""} {
			r := formTo(path, "a=b")
			r.Header.Set("Content-Type", kind)
			if got := status(r); got != http.StatusUnsupportedMediaType && (got != http.StatusBadRequest || !fromApps[path]) &&
				(got != http.StatusUnauthorized || !fromApps[path]) {
				t.Errorf("%s as %q: %d", pattern, kind, got)
			}
		}
		if got := status(formTo(path, "flow=%ff%fe")); got != http.StatusBadRequest && (got != http.StatusUnauthorized || !fromApps[path]) {
			t.Errorf("%s with what is no UTF-8: %d", pattern, got)
		}
	}
}

// Every answer of every route, whatever becomes of the request, has the headers
// that browsers protect people by, and cookies that nobody else can read.
func TestEveryAnswerIsProtected(t *testing.T) {
	h := newHouse(t, "https://id.example")
	seen := map[int]bool{}
	ctx := t.Context()
	try := func(name string, r *http.Request) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(ctx))
		seen[w.Code] = true
		for header, want := range map[string]string{
			"X-Content-Type-Options":     "^nosniff$",
			"Content-Security-Policy":    "^default-src 'none'; .*frame-ancestors 'none'$",
			"Strict-Transport-Security":  "^max-age=31536000; includeSubDomains$",
			"Referrer-Policy":            "^(same-origin|no-referrer)$",
			"Cross-Origin-Opener-Policy": "^same-origin$",
			"Cache-Control":              "^(no-store|no-cache|public, max-age=[0-9]+(, immutable)?)$",
		} {
			if got := w.Header().Values(header); len(got) != 1 || !regexp.MustCompile(want).MatchString(got[0]) {
				t.Errorf("%s: %d with %s: %q", name, w.Code, header, got)
			}
		}
		if w.Code == http.StatusTemporaryRedirect || w.Code == http.StatusPermanentRedirect {
			t.Errorf("%s: %d would post again what was posted here", name, w.Code)
		}
		for _, c := range w.Result().Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
				c.Path != "/" || c.Domain != "" || len(c.String()) > 4096 {
				t.Errorf("%s: cookie %s", name, c)
			}
		}
	}
	rounds := func(when string) {
		for _, pattern := range append(patterns(t), "/nowhere", "/static/nothing.css") {
			path := pathOf(pattern)
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE", "PUT", "TRACE", "GARBAGE"} {
				try(when+method+" "+path, httptest.NewRequest(method, path, nil))
			}
			try(when+"GET with a flow "+path, httptest.NewRequest("GET", path+"?flow=x&token=y&ui_locales=fr", nil))
			try(when+"GET with garbage "+path, httptest.NewRequest("GET", path+"?x=%ff", nil))
			try(when+"POST "+path, formTo(path, "flow=x&token=y&email=a@b.example&lang=fr"))
			try(when+"POST of too much "+path, formTo(path, strings.Repeat("x", maxBody+1)))
			json := formTo(path, "{}")
			json.Header.Set("Content-Type", "application/json")
			try(when+"POST of JSON "+path, json)
			foreign := formTo(path, "flow=x")
			foreign.Header.Set("Sec-Fetch-Site", "cross-site")
			try(when+"POST from elsewhere "+path, foreign)
			cookie := httptest.NewRequest("GET", path, nil)
			cookie.AddCookie(&http.Cookie{Name: "__Host-mdx_browser", Value: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
			try(when+"GET with a cookie "+path, cookie)
		}
	}
	rounds("")
	late, cancel := context.WithTimeout(ctx, 0) // no statement is answered in time
	defer cancel()
	ctx = late
	rounds("without a store: ")
	for _, status := range []int{200, 204, 303, 400, 401, 403, 404, 405, 410, 413, 415, 503} {
		if !seen[status] {
			t.Errorf("no answer was a %d: the test tries too little", status)
		}
	}
	for status := range seen {
		if status == http.StatusInternalServerError {
			t.Error("something was a 500")
		}
	}
}
