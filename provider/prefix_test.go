package provider

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var links = regexp.MustCompile(`(?:href|src|action)="([^"#]*)"`)

// An issuer may have a path. Whatever is linked, set, posted or redirected to
// stays below it, and the whole journey works there.
func TestAnIssuerWithAPath(t *testing.T) {
	h := newHouse(t, "http://127.0.0.1/id")
	b := h.browser()
	seen := map[string]bool{}
	below := func(a answer) answer {
		t.Helper()
		if a.StatusCode >= 400 {
			t.Errorf("%s: %d", a.Request.URL, a.StatusCode)
		}
		if !strings.HasPrefix(a.Request.URL.Path, "/id/") {
			t.Errorf("led to %s", a.Request.URL)
		}
		for _, m := range links.FindAllStringSubmatch(a.text, -1) {
			if !strings.HasPrefix(m[1], "/id/") {
				t.Errorf("%s links to %s", a.Request.URL, m[1])
			}
			seen[m[1]] = true
		}
		return a
	}
	for _, path := range []string{"", "/", "/login", "/forgot-password", "/contact-support", "/.well-known/change-password"} {
		below(b.get(path))
	}
	below(b.post("/language", "lang", "fr", "back", "/login"))
	below(b.post("/language", "lang", "en", "back", "/login"))
	open, cancel := h.link(b, "grace@river.example")
	below(b.get(cancel))
	page := below(b.get(open))
	const next = "a lantern over quiet water"
	page = below(b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next))
	below(b.signIn(page, "grace", next))
	to, err := b.authorize("").Location()
	h.ok(err)
	if to.Query().Get("iss") != h.issuer {
		t.Errorf("iss %s", to.Query().Get("iss"))
	}
	below(b.get("/logout"))
	below(b.get("/end-session"))
	below(b.post("/logout"))
	below(b.post("/end-session"))
	for path := range seen {
		if strings.Contains(path, "/static/") {
			below(b.get(strings.TrimPrefix(path, "/id")))
		}
	}
	for _, name := range []string{"browser", "device"} {
		if b.cookie(name) == "" {
			t.Errorf("no %s cookie", name)
		}
	}
	issuerOf := func(at string) string {
		t.Helper()
		u, err := url.Parse(h.issuer)
		h.ok(err)
		u.Path = at
		r := b.do(newGET(u.String()))
		var d struct {
			Issuer string `json:"issuer"`
			Token  string `json:"token_endpoint"`
		}
		if err := json.Unmarshal([]byte(r.text), &d); err != nil || d.Token != h.issuer+"/token" {
			t.Errorf("%s: %d %v", at, r.StatusCode, d)
		}
		return d.Issuer
	}
	for _, at := range []string{"/id/.well-known/openid-configuration", "/id/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/id"} {
		if got := issuerOf(at); got != h.issuer {
			t.Errorf("%s: issuer %q", at, got)
		}
	}
	for _, at := range []string{"/login", "/static/style.css", "/idp/login", "/token"} {
		u, _ := url.Parse(h.issuer)
		u.Path = at
		if r := b.do(newGET(u.String())); r.StatusCode != 404 {
			t.Errorf("%s, which is not ours: %d", at, r.StatusCode)
		}
	}
}
