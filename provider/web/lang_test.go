package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/templates"
)

func TestLang(t *testing.T) {
	g := newRig(t)
	for _, tt := range []struct {
		name, locales, cookie, accept, want string
	}{
		{"nothing", "", "", "", "en"},
		{"the browser's", "", "", "ko-KR,ko;q=0.9", "ko"},
		{"chosen before", "", "fr", "ko-KR", "fr"},
		{"the app's", "es-MX es", "fr", "ko-KR", "es"},
		{"an app's that we do not speak", "de", "fr", "ko-KR", "fr"},
		{"nonsense", "<script>", "../../x", "*", "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get("/login?ui_locales=" + url.QueryEscape(tt.locales))
			r.Header.Set("Accept-Language", tt.accept)
			r.AddCookie(&http.Cookie{Name: g.cookieName("lang"), Value: tt.cookie})
			resp := g.handle(r, g.shows(200, templates.Page{Name: "logout"}))
			if got := resp.Header.Get("Content-Language"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if out := body(t, resp); !strings.Contains(out, `<html lang="`+tt.want+`">`) {
				t.Error("the page says otherwise")
			}
		})
	}
}

// What the app asked for holds on the pages that follow; what is chosen on
// them goes before it.
func TestLanguageIsKept(t *testing.T) {
	g := newRig(t)
	shows := g.shows(200, templates.Page{Name: "logout"})
	app := g.handle(get("/authorize?ui_locales=fr"), nothing)
	if got := g.handle(with(get("/login"), app), shows).Header.Get("Content-Language"); got != "fr" {
		t.Errorf("after ui_locales=fr: %q", got)
	}
	chosen := g.handle(with(post("/language", url.Values{"lang": {"ko"}, "back": {"/login?flow=f1&ui_locales=fr"}}), app), g.Language)
	if to := chosen.Header.Get("Location"); to != "/id/login?flow=f1" || chosen.StatusCode != 303 {
		t.Errorf("%d to %q", chosen.StatusCode, to)
	}
	if got := g.handle(with(get("/login?flow=f1"), chosen), shows).Header.Get("Content-Language"); got != "ko" {
		t.Errorf("after choosing: %q", got)
	}
}

func TestLanguageLeadsNowhereElse(t *testing.T) {
	g := newRig(t)
	for _, back := range []string{"", "https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`,
		"javascript:alert(1)", "evil.example", "/a\r\nSet-Cookie: x=y", "/\t/evil.example", "http:evil.example", "///evil.example"} {
		resp := g.handle(post("/language", url.Values{"lang": {"ko"}, "back": {back}}), g.Language)
		if to := resp.Header.Get("Location"); to != "/id/login" {
			t.Errorf("back=%q led to %q", back, to)
		}
	}
}

// The switch goes back to the page that a form was refused on.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		r    *http.Request
		flow string
		want string
	}{
		{get("/login?flow=f1"), "f1", "/login?flow=f1"},
		{post("/login/password", nil), "f 1", "/login?flow=f+1"},
		{post("/forgot-password", nil), "", "/forgot-password"},
		{post("/reset-password", nil), "f1", "/reset-password?flow=f1"},
	} {
		if got := again(tt.r, templates.Page{Name: "login", Flow: tt.flow}); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.r.Method, tt.r.URL, got, tt.want)
		}
	}
}
