package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/templates"
)

// What Page refuses never reaches the handler.
func TestPageRefuses(t *testing.T) {
	g := newRig(t)
	form := func(body, kind string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/login/password", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		return r
	}
	const encoded = "application/x-www-form-urlencoded"
	from := func(name, value string) *http.Request {
		r := form("a=b", encoded)
		r.Header.Set(name, value)
		return r
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		says   string
	}{
		{"64 KiB", form("a="+strings.Repeat("x", maxBody-2), encoded), 200, ""},
		{"64 KiB and a byte", form("a="+strings.Repeat("x", maxBody-1), encoded), 413, "This form is too long"},
		{"JSON", form(`{"a":"b"}`, "application/json"), 415, "We could not read this form"},
		{"multipart", form("--x\r\n", "multipart/form-data; boundary=x"), 415, "We could not read this form"},
		{"no kind", form("a=b", ""), 415, "We could not read this form"},
		{"a kind with a charset", form("a=b", encoded+"; charset=UTF-8"), 200, ""},
		{"invalid UTF-8 in a value", form("password=%ff%fe", encoded), 400, "We could not read this form"},
		{"invalid UTF-8 in a name", form("%ff=x", encoded), 400, "We could not read this form"},
		{"a lone surrogate", form("password=%ed%a0%80", encoded), 400, "We could not read this form"},
		{"a NUL", form("password=a%00b", encoded), 400, "We could not read this form"},
		{"a broken escape", form("password=%zz", encoded), 400, "We could not read this form"},
		{"invalid UTF-8 in the query", get("/login?flow=%ff"), 400, "We could not read this form"},
		{"another site's form", from("Sec-Fetch-Site", "cross-site"), 403, "cookies"},
		{"a sibling's form", from("Sec-Fetch-Site", "same-site"), 403, "cookies"},
		{"another origin, old browser", from("Origin", "https://evil.example"), 403, "cookies"},
		{"a null origin, old browser", from("Origin", "null"), 403, "cookies"},
		{"our origin, old browser, Host rewritten", from("Origin", "https://id.medximity.example"), 200, ""},
		{"no browser at all", form("a=b", encoded), 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			resp := g.handle(tt.r, func(w http.ResponseWriter, r *http.Request) error {
				called = true
				return nil
			})
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if called != (tt.status == 200) {
				t.Errorf("handler called: %v", called)
			}
			if out := body(t, resp); !strings.Contains(out, tt.says) {
				t.Errorf("the page does not say %q:\n%s", tt.says, out)
			}
		})
	}
}

func TestFromAppsLetsOtherOriginsAsk(t *testing.T) {
	g := newRig(t)
	r := post("/authorize", url.Values{"client_id": {"web"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	g.FromApps(func(w http.ResponseWriter, r *http.Request) error {
		if r.PostForm.Get("client_id") != "web" {
			t.Error("the form was not read")
		}
		return nil
	}).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

// Links stay ours, whatever a request says about its host or its proxies.
func TestLinksAreTheIssuers(t *testing.T) {
	g := newRig(t)
	for _, variant := range hostVariants() {
		r := get("/login?flow=f1")
		variant(r)
		resp := g.handle(r, g.shows(200, templates.Page{Name: "forgot", Flow: "f1", Data: ForgotPage{}}))
		if out := body(t, resp); strings.Contains(out, "evil") {
			t.Errorf("Host %q, header %v: evil is on the page", r.Host, r.Header)
		}
		resp = g.handle(r, func(w http.ResponseWriter, r *http.Request) error {
			g.SeeOther(w, r, "/login?flow=f1")
			return nil
		})
		if to := resp.Header.Get("Location"); to != "/id/login?flow=f1" || resp.StatusCode != http.StatusSeeOther {
			t.Errorf("Host %q, header %v: %d to %q", r.Host, r.Header, resp.StatusCode, to)
		}
	}
}

// hostVariants are ways to claim another host or scheme.
func hostVariants() []func(*http.Request) {
	const evil = "evil.example"
	var all []func(*http.Request)
	for _, host := range []string{evil, evil + ":443", "id.medximity.example:" + evil, "id.medximity.example@" + evil,
		evil + "/id", "id.medximity.example." + evil, evil + "#", evil + "?", "[::1]", ""} {
		all = append(all, func(r *http.Request) { r.Host = host })
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-HTTP-Host-Override",
		"X-Original-Host", "X-Rewrite-URL", "X-Original-URL", "X-Forwarded-Prefix", "X-Forwarded-Proto",
		"X-Forwarded-Scheme", "X-Forwarded-Port", "X-Url-Scheme", "Front-End-Https", "Forwarded", "Via", "Referer",
		"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip"} {
		all = append(all,
			func(r *http.Request) { r.Header.Set(name, evil) },
			func(r *http.Request) { r.Header.Set(name, "host="+evil+";proto=https;for=203.0.113.9") })
	}
	return all
}

// The XSS corpus through every field that a page shows again.
func TestTypedTextStaysText(t *testing.T) {
	g := newRig(t)
	for _, typed := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' autofocus onfocus=alert(1) x='`,
		`</title><script>alert(1)</script>`, `javascript:alert(1)`, `<svg/onload=alert(1)>`, `{{.Base}}`,
		"\u2028<script>", `</textarea><script>alert(1)</script>`, `&lt;script&gt;`, `<!--`, "`${alert(1)}`",
	} {
		for _, p := range reflecting(typed) {
			r := get("/login?flow=" + url.QueryEscape(typed))
			out := body(t, g.handle(r, g.shows(200, p)))
			if bad := inlineOf(t, out); bad != "" {
				t.Errorf("%s with %q: %s", p.Name, typed, bad)
			}
		}
	}
}

// reflecting are the pages that show what somebody typed or sent.
func reflecting(x string) []templates.Page {
	wrong := []templates.Problem{{Field: "identifier", Text: x}, {Text: x}}
	return []templates.Page{
		{Name: "login", Flow: x, App: x, Step: "password", Problems: wrong, Warning: x, Notice: x, Data: signIn{Identifier: x, App: x}},
		{Name: "forgot", Flow: x, Problems: []templates.Problem{{Field: "email", Text: x}}, Data: ForgotPage{x}},
		{Name: "forgot_sent", Flow: x, Data: ForgotSentPage{x, x, 60}},
		{Name: "link", Data: LinkPage{Fate: x}},
		{Name: "cancel", Data: CancelPage{x}},
		{Name: "support", Flow: x, Data: SupportPage{x, x, x, x, x, x}},
		{Name: "support_sent", Data: SupportSentPage{Reference: x}},
		{Name: "home", Data: HomePage{x}},
		{Name: "fault", Data: FaultPage{x}},
		{Name: "oauth_error", Data: OAuthErrorPage{x, x, x}},
		{Name: "form_post", Data: FormPostPage{x, x, []FormField{{x, x}}}},
		{Name: "stale", Flow: x, Data: StalePage{}},
	}
}
