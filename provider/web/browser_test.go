package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/medximity/idp/templates"
)

func TestDeviceIsNamedForItsOwner(t *testing.T) {
	for ua, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0":                                                        "Firefox on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"": "",
	} {
		r := get("/")
		r.Header.Set("User-Agent", ua)
		if got := Device(r); got != want {
			t.Errorf("%q: %q, want %q", ua, got, want)
		}
	}
	r := get("/")
	r.Header.Set("User-Agent", strings.Repeat("é", 1<<16))
	if got := Device(r); len(got) > 64 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestInternetExplorerIsTold(t *testing.T) {
	g := newRig(t)
	for ua, told := range map[string]bool{
		"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko":      true,
		"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)":           true,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox": false,
	} {
		r := get("/login")
		r.Header.Set("User-Agent", ua)
		out := body(t, g.handle(r, g.shows(200, templates.Page{Name: "login", Step: "identify", Data: signIn{}})))
		if got := strings.Contains(out, "Internet Explorer"); got != told || !strings.Contains(out, `id="password"`) {
			t.Errorf("%s: told %v", ua, got)
		}
	}
}

func TestLooksLikeEmail(t *testing.T) {
	for _, good := range []string{"grace@riverside.example", "g.h+x@mail.riverside.example", "o'neil@a.co", "한글@예시.한국"} {
		if !LooksLikeEmail(good) {
			t.Errorf("%q was refused", good)
		}
	}
	for _, bad := range []string{"", "grace", "@a.example", "grace@", "grace@localhost", "grace@a.", "grace@.example",
		"grace@a..example", "a b@c.example", "a@b.example,c@d.example", "a@b.example\r\nBcc: x@y.example",
		"Grace <a@b.example>", "a@b.example:25", "a@b.example/x", "a@b.example?x", strings.Repeat("a", 65) + "@b.example",
		"a@" + strings.Repeat("b", 250) + ".example"} {
		if LooksLikeEmail(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestStatic(t *testing.T) {
	g := newRig(t)
	h := g.Outer(g.Static(templates.Static()))
	ask := func(path, etag string) *http.Response {
		r := get(path)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for name, kind := range map[string]string{"style.css": "text/css", "app.js": "text/javascript", "favicon.svg": "image/svg+xml"} {
		hashed := ask(g.Templates.Asset(name), "")
		if hashed.StatusCode != 200 || hashed.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
			!strings.HasPrefix(hashed.Header.Get("Content-Type"), kind) || hashed.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, hashed.StatusCode, hashed.Header)
		}
		want, _ := fs.ReadFile(templates.Static(), name)
		if body(t, hashed) != string(want) {
			t.Errorf("%s has other content", name)
		}
		plain := ask("/static/"+name, "")
		if plain.StatusCode != 200 || plain.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("plain %s: %d %v", name, plain.StatusCode, plain.Header)
		}
		if got := ask("/static/"+name, plain.Header.Get("ETag")).StatusCode; got != http.StatusNotModified {
			t.Errorf("%s asked about again: %d", name, got)
		}
	}
	for _, path := range []string{"/static/", "/static/style.0000000000000000.css", "/static/../layout.html"} {
		if got := ask(path, "").StatusCode; got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
}
