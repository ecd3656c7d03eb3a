package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/templates"
)

const (
	common = `Cache-Control: no-store
Cross-Origin-Opener-Policy: same-origin
Permissions-Policy: publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), geolocation=(), microphone=()
Referrer-Policy: same-origin
Strict-Transport-Security: max-age=31536000; includeSubDomains
X-Content-Type-Options: nosniff
`
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// snapshot writes out the headers that browsers act on.
func snapshot(h http.Header) string {
	var b strings.Builder
	for _, name := range []string{"Cache-Control", "Cross-Origin-Opener-Policy", "Permissions-Policy",
		"Referrer-Policy", "Strict-Transport-Security", "X-Content-Type-Options"} {
		b.WriteString(name + ": " + strings.Join(h.Values(name), " AND ") + "\n")
	}
	return b.String()
}

// Every answer has the headers, whatever became of the request.
func TestHeadersOfEveryStatus(t *testing.T) {
	g := newRig(t)
	big := post("/form", url.Values{"a": {strings.Repeat("x", maxBody)}})
	json := post("/form", nil)
	json.Header.Set("Content-Type", "application/json")
	foreign := post("/form", nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	mux := http.NewServeMux()
	page := func(pattern string, h func(http.ResponseWriter, *http.Request) error) { mux.Handle(pattern, g.Page(h)) }
	page("GET /page", g.shows(200, templates.Page{Name: "logout"}))
	page("GET /on", func(w http.ResponseWriter, r *http.Request) error { g.SeeOther(w, r, "/login"); return nil })
	page("POST /form", nothing)
	page("GET /stale", fails(flows.ErrStale))
	page("GET /busy", fails(account.ErrBusy))
	page("GET /away", fails(account.ErrQueueFull))
	page("GET /fault", fails(errBroken))
	page("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("x") })
	for _, tt := range []struct {
		r      *http.Request
		status int
		policy string
	}{
		{get("/page"), 200, pagePolicy},
		{httptest.NewRequest("HEAD", "/page", nil), 200, pagePolicy},
		{get("/on"), 303, bare},
		{get("/page?x=%ff"), 400, pagePolicy},
		{foreign, 403, pagePolicy},
		{get("/nowhere"), 404, bare},
		{httptest.NewRequest("DELETE", "/page", nil), 405, bare},
		{get("/stale"), 409, pagePolicy},
		{big, 413, pagePolicy},
		{json, 415, pagePolicy},
		{get("/busy"), 429, pagePolicy},
		{get("/fault"), 500, pagePolicy},
		{get("/panic"), 500, pagePolicy},
		{get("/away"), 503, pagePolicy},
	} {
		w := httptest.NewRecorder()
		g.Outer(mux).ServeHTTP(w, tt.r)
		if w.Code != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.r.Method, tt.r.URL, w.Code, tt.status)
		}
		if d := cmp.Diff(common, snapshot(w.Header())); d != "" {
			t.Errorf("%d: %s", tt.status, d)
		}
		if got := w.Header().Values("Content-Security-Policy"); len(got) != 1 || got[0] != tt.policy {
			t.Errorf("%d: policy %q, want %q", tt.status, got, tt.policy)
		}
	}
}

// A browser that was told so would never again reach a plain loopback demo.
func TestPlainIssuerHasNoHSTS(t *testing.T) {
	g := newRig(t, plain)
	resp := g.handle(get("/page"), g.shows(200, templates.Page{Name: "logout"}))
	if got := resp.Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("Strict-Transport-Security: %s", got)
	}
}

func TestPagesBehindLinksHaveNoReferrer(t *testing.T) {
	g := newRig(t)
	for _, path := range []string{"/reset-password?token=t", "/reset-password?flow=f", "/invite?token=t", "/invite?flow=f", "/reset-password/cancel?token=t",
		"/confirm-email?token=t", "/confirm-email/cancel?token=t", "/not-me?token=t"} {
		resp := g.handle(get(path), g.shows(200, templates.Page{Name: "cancelled"}))
		if got := resp.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("%s: Referrer-Policy %q", path, got)
		}
	}
}

// The hop that takes the token out of the URL says so itself.
func TestResetRedirectHasNoReferrer(t *testing.T) {
	g := newRig(t)
	resp := g.handle(get("/reset-password?token=t"), func(w http.ResponseWriter, r *http.Request) error {
		g.SeeOther(w, r, "/reset-password?flow=f")
		return nil
	})
	if got := resp.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}
}

// The sign-in form may lead to the app that gets the answer, and nothing that
// an app registers can write more into the policy than its own origin.
func TestFormActionNamesTheApp(t *testing.T) {
	g := newRig(t)
	for target, want := range map[string]string{
		"":                                   "'self'",
		"https://chart.example":              "'self' https://chart.example",
		"https://chart.example:8443/cb?x=1":  "'self' https://chart.example:8443",
		"http://127.0.0.1:9999":              "'self' http://127.0.0.1:9999",
		"http://[::1]:9999/cb":               "'self' http:",
		"com.example.chart:/cb":              "'self' com.example.chart:",
		"javascript:alert(1)":                "'self'",
		"data:text/html,x":                   "'self'",
		"https://a.example; script-src *":    "'self'",
		"https://a.example 'unsafe-inline'":  "'self'",
		"https://*":                          "'self'",
		"https://user@a.example":             "'self' https://a.example",
		"https://a.example\r\nSet-Cookie: x": "'self'",
		"//a.example":                        "'self'",
	} {
		resp := g.handle(get("/login"), func(w http.ResponseWriter, r *http.Request) error {
			Target(r, target)
			return g.Render(w, r, 200, templates.Page{Name: "logout"})
		})
		csp := resp.Header.Get("Content-Security-Policy")
		_, rest, _ := strings.Cut(csp, "form-action ")
		got, tail, _ := strings.Cut(rest, ";")
		if got != want || tail != " base-uri 'none'; frame-ancestors 'none'" {
			t.Errorf("target %q: form-action %q, want %q, in %q", target, got, want, csp)
		}
	}
}

// Only the page of whoever signed out has frames, and only those of its apps.
func TestFramesOfLogout(t *testing.T) {
	frames := []Frame{{"Chart", "https://chart.example/out?x=1"}, {"Chart too", "https://chart.example/two"},
		{"Desk", "http://127.0.0.1:8081/out"}, {"Evil", "https://evil.example;script-src */"}}
	got := policy("", templates.Page{Data: LoggedOutPage{Frames: frames}})
	want := strings.Replace(policy("", templates.Page{}), "; base-uri", "; frame-src https://chart.example http://127.0.0.1:8081; base-uri", 1)
	if got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
	for _, p := range []templates.Page{{}, {Name: "logged_out"}, {Data: LoggedOutPage{To: "https://chart.example"}}, {Data: LogoutPage{}}} {
		if csp := policy("", p); strings.Contains(csp, "frame-src") {
			t.Errorf("%+v: %q", p, csp)
		}
	}
}

func TestFormPostMayLeave(t *testing.T) {
	g := newRig(t)
	resp := g.handle(get("/authorize?x=1"), g.shows(200, templates.Page{Name: "form_post",
		Data: FormPostPage{"Chart", "https://chart.example/cb", []FormField{{"code", "c1"}}}}))
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://chart.example;") {
		t.Errorf("policy %q", csp)
	}
	out := body(t, resp)
	if !strings.Contains(out, `action="https://chart.example/cb"`) || strings.Contains(out, `action="/id/language"`) {
		t.Errorf("the page:\n%s", out)
	}
}
