package web

import (
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/storetest"
	"github.com/medximity/idp/templates"
)

// fuzzSite is a Site on a real store, made once for all inputs.
func fuzzSite(f *testing.F) *Site {
	f.Helper()
	pages, err := templates.Load()
	if err != nil {
		f.Fatal(err)
	}
	at, err := url.Parse(issuer)
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(f.Context(), Config{Templates: pages, Issuer: at, Store: storetest.Open(f, storetest.New(f, "sqlite")),
		Logger: slog.New(slog.DiscardHandler), Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// ASVS 3.7.2: the language switch leads to a path of ours, however a browser
// reads it, and going through twice changes nothing.
func FuzzBackTo(f *testing.F) {
	for _, s := range []string{"", "/login?flow=f1", "/login?ui_locales=fr&flow=x", "//evil.example", "/\\evil.example", "/%2f/evil.example", "/%2fevil.example/ ", "/.//evil.example", "/a;b?c", "/?a=%zz",
		"/login#x", "/%5cevil.example", "/%09/evil.example", "/..//evil.example", "https:/evil", "/a?b=//c", "/%", "/é", "/\x00", "/a b", "/login?%0d%0a", "/%2e%2e//evil.example", "/?;", "/a?x=1&x=2"} {
		f.Add(s)
	}
	ours, err := url.Parse("https://id.medximity.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := backTo(s)
		if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t\x00 ") {
			t.Fatalf("backTo(%q) = %q", s, to)
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatalf("backTo(%q) = %q: %v", s, to, err)
		}
		if at := ours.ResolveReference(u); at.Host != ours.Host || at.Scheme != "https" || at.User != nil || at.Fragment != "" {
			t.Errorf("backTo(%q) leads to %s", s, at)
		}
		if u.Query().Has("ui_locales") {
			t.Errorf("backTo(%q) = %q keeps ui_locales", s, to)
		}
		if again := backTo(to); again != to {
			t.Errorf("backTo(%q) = %q, of which it makes %q", s, to, again)
		}
	})
}

// N30: what a client says of itself counts only if a proxy of ours brought it,
// and never makes the source anything but one IPv4 address or one IPv6 /64.
func FuzzSource(f *testing.F) {
	s := fuzzSite(f)
	for _, xff := range []string{"", "198.51.100.7", "1.2.3.4, 10.0.0.9", "::1", "[2001:db8::1]:443", "fe80::1%eth0", "a, b", "\"x\"", "1.2.3.4:80", "::ffff:1.2.3.4", "fd00::5, 2001:db8:1:2:3:4:5:6", "010.1.1.1", ",,,", "\x00"} {
		f.Add("10.0.0.1:99", xff)
		f.Add("203.0.113.9:1", xff)
		f.Add("[fd00::1]:1", xff)
		f.Add(xff, xff)
	}
	f.Fuzz(func(t *testing.T, peer, xff string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {xff}, "Forwarded": {"for=1.1.1.1"}, "X-Real-Ip": {"1.1.1.1"}}}
		bare := &http.Request{RemoteAddr: peer, Header: http.Header{}}
		got, from := s.Source(r), addressOf(peer)
		if !within(from, s.Proxies) && got != s.Source(bare) {
			t.Errorf("%q from %q is %q", xff, peer, got)
		}
		if got == "unknown" {
			if from.IsValid() {
				t.Errorf("%q from %q is unknown", xff, peer)
			}
			return
		}
		if one, err := netip.ParseAddr(string(got)); err == nil {
			if !one.Is4() || one.String() != string(got) {
				t.Errorf("%q from %q is %q", xff, peer, got)
			}
		} else if net64, err := netip.ParsePrefix(string(got)); err != nil || net64.Bits() != 64 || net64.Masked() != net64 || !net64.Addr().Is6() || net64.Addr().Is4In6() {
			t.Errorf("%q from %q is %q", xff, peer, got)
		}
		if a := s.Address(r); a.Zone() != "" || a.Is4In6() {
			t.Errorf("%q from %q comes from %q", xff, peer, a)
		}
	})
}

// What a browser calls itself is short, and text.
func FuzzDevice(f *testing.F) {
	for _, s := range []string{"", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
		"curl/8", strings.Repeat("(", 600), "\xff\xfe/1 (\x00)", "Mozilla/5.0 (;;;)", "MSIE 7.0; Trident/7.0", "a/", "/", "Googlebot/2.1 (+http://x)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ua string) {
		r := &http.Request{Header: http.Header{"User-Agent": {ua}}}
		if got := Device(r); len(got) > 64 || !utf8.ValidString(got) {
			t.Errorf("%q is called %q, of %d bytes", ua, got, len(got))
		}
		_ = outdated(r)
	})
}

// What looks like an address has one @ that splits it, and nothing by which it
// could be two.
func FuzzLooksLikeEmail(f *testing.F) {
	for _, s := range []string{"", "grace@river.example", "a@b", "a@b.c@d.e", "a,b@c.d", "\"a b\"@c.d", "a@[1.2.3.4]", "a@b..c", "a@b.c:25", "a@-b.c", "a@b.c\r\nBcc: x@y.z", "\u202ea@b.c", "a\u0085@b.c", "@b.c", "a@b.c.", "a@b.c/d", "a@b%40c.d", "é@é.fr", "a@b.c?d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !LooksLikeEmail(s) {
			return
		}
		at := strings.LastIndexByte(s, '@')
		if at < 1 || at > 64 || len(s) > 254 || strings.ContainsAny(s, "\r\n\x00,; <>") {
			t.Errorf("%q looks like an address", s)
		}
		if domain := s[at+1:]; strings.ContainsAny(domain, "/?#@:%") || !strings.Contains(domain, ".") {
			t.Errorf("%q looks like a domain", domain)
		}
	})
}

// A session's cookie is ours or nobody's: what was not written by us names no
// token, and never is an error.
func FuzzSessionCookie(f *testing.F) {
	s := fuzzSite(f)
	token := account.NewSecret()
	w := httptest.NewRecorder()
	if err := s.Sessions.Set(w, get("/login"), token); err != nil {
		f.Fatal(err)
	}
	good := w.Result().Cookies()[0].Value
	other, err := s.device.Encode(s.Sessions.name(), token) // by the key of another cookie
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []string{good, other, "", "AAAA", good[1:], good[:len(good)-1], good + "=", good + good, strings.ToLower(good), token} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		r := get("/login")
		r.Header.Set("Cookie", s.Sessions.name()+"="+v)
		g, err := s.Sessions.New(r, s.Sessions.name())
		if err != nil {
			t.Fatalf("%q: %v", v, err)
		}
		if g.ID != "" && (g.ID != token || !strings.HasPrefix(v, good)) {
			t.Errorf("%q is the session %q", v, g.ID)
		}
		// As Current does it, the store's word is asked for, too.
		if sess, got, err := s.Sessions.Current(r); sess != nil || got != "" || err == nil {
			t.Errorf("%q is %v, %q, %v", v, sess, got, err)
		}
	})
}

// The device cookie of another browser, or of nobody, spares nobody anything,
// and what is remembered stays few.
func FuzzDeviceCookie(f *testing.F) {
	s := fuzzSite(f)
	w := httptest.NewRecorder()
	s.Remember(w, get("/login"), "id-grace", 1)
	good := w.Result().Cookies()[0].Value
	many, err := s.device.Encode(s.cookieName("device"), slices.Repeat([]string{"x"}, 100))
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []string{good, many, "", "AAAA", good[1:], good[:len(good)-1], good + good} {
		f.Add(v, "id-grace")
		f.Add(v, "")
	}
	f.Fuzz(func(t *testing.T, v, id string) {
		r := get("/login")
		r.Header.Set("Cookie", s.cookieName("device")+"="+v)
		if known := s.Known(r)(account.ID(id)); known && (id != "id-grace" || !strings.HasPrefix(v, good)) {
			t.Errorf("%q knows %q", v, id)
		}
		w := httptest.NewRecorder()
		s.Remember(w, r, account.ID(id), math.MaxInt64)
		for _, c := range w.Result().Cookies() {
			next := get("/login")
			next.AddCookie(c)
			if n := len(s.devices(next)); n > deviceMost || !s.Known(next)(account.ID(id)) || len(c.String()) > 4096 {
				t.Errorf("%d accounts in %d bytes, %q among them %v", n, len(c.String()), id, s.Known(next)(account.ID(id)))
			}
		}
	})
}

// The cookie that flows are bound to is one of ours, or there is none.
func FuzzBrowserCookie(f *testing.F) {
	s := fuzzSite(f)
	for _, v := range []string{account.NewSecret(), "", "x", strings.Repeat("A", 43), strings.Repeat("A", 44), strings.Repeat("_", 43), "AA AA", strings.Repeat("A", 42) + "="} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		r := get("/login")
		r.Header.Set("Cookie", s.cookieName("browser")+"="+v)
		hash, ok := s.BrowserIf(r)
		if ok && (len(hash) != 32 || len(strings.Trim(strings.TrimRight(v, " \t;"), `"`)) < 43) {
			t.Errorf("%q binds to %x", v, hash)
		}
		w := httptest.NewRecorder()
		if got := s.Browser(w, r); len(got) != 32 || ok && string(got) != string(hash) || ok != (len(w.Result().Cookies()) == 0) {
			t.Errorf("%q: bound to %x, had %v", v, got, ok)
		}
	})
}

// T18: a form is read or refused: what a handler gets is text, and no more of
// it than fits. Nothing makes it a fault.
func FuzzForm(f *testing.F) {
	s := fuzzSite(f)
	const form = "application/x-www-form-urlencoded"
	for _, b := range []string{"", "flow=x&password=y", "a=%ff", "a=%00", "%zz", "a=1&a=2", ";", "a;b=c", strings.Repeat("a=&", 5000), strings.Repeat("x", maxBody+1), "lang=ko&back=/x", "ui_locales=%F0%9F%87%B0"} {
		f.Add("POST", form, b, "same-origin")
		f.Add("POST", "multipart/form-data; boundary=x", b, "cross-site")
		f.Add("GET", "", b, "none")
	}
	f.Fuzz(func(t *testing.T, method, kind, body, site string) {
		if method != "GET" {
			method = "POST"
		}
		target := "/language"
		if method == "GET" {
			target = "/login?" + url.QueryEscape(body)
		}
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if method == "GET" {
			r.URL.RawQuery = body
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Sec-Fetch-Site", site)
		reached := false
		h := s.Page(func(w http.ResponseWriter, r *http.Request) error {
			reached = true
			for name, values := range r.Form {
				for _, v := range append(values, name) {
					if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
						t.Errorf("%q got through", v)
					}
				}
			}
			return s.Language(w, r)
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || reached != (w.Code == http.StatusSeeOther) {
			t.Errorf("%s of %q: %d, reached %v", method, body, w.Code, reached)
		}
		if reached && len(body) > maxBody && method == "POST" {
			t.Errorf("%d bytes got through", len(body))
		}
		if reached && method == "POST" && site != "same-origin" && site != "none" && site != "" {
			t.Errorf("a form from %q got through", site)
		}
	})
}

// The answer's language is one of ours, whatever was asked for and kept.
func FuzzLang(f *testing.F) {
	s := fuzzSite(f)
	for _, v := range []string{"", "ko", "en-US,en;q=0.9", "*", "<script>", "ko\r\nX: y", strings.Repeat("ko,", 400), "\x00"} {
		f.Add(v, v, v)
		f.Add(v, "fr", "es")
	}
	f.Fuzz(func(t *testing.T, app, kept, accepts string) {
		r := get("/login")
		r.Form = url.Values{"ui_locales": {app}}
		r.Header.Set("Cookie", s.cookieName("lang")+"="+kept)
		r.Header.Set("Accept-Language", accepts)
		if got := s.Lang(r); !slices.Contains(templates.Languages(), got) {
			t.Errorf("%q, %q, %q: %q", app, kept, accepts, got)
		}
		w := httptest.NewRecorder()
		s.keepLocales(w, r)
		for _, c := range w.Result().Cookies() {
			if !slices.Contains(templates.Languages(), c.Value) {
				t.Errorf("kept %q", c.Value)
			}
		}
	})
}

// The policy of a page lets its form lead to ourselves and to one origin, be
// that written as it may: it never becomes a second directive or source.
func FuzzPolicy(f *testing.F) {
	for _, v := range []string{"", "https://app.example", "https://app.example; script-src *", "javascript:alert(1)", "'unsafe-inline'", "https://a\r\nX: y", "*", "https://[::1]:80/cb",
		"http://127.0.0.1:8080", "com.example.app:/cb", "https://a b", "https://*", "https://a,b", "data:x", "https://\u00e9.fr", "*:/x", "https://a:b@c"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, target string) {
		csp, plain := policy(target, templates.Page{}), policy("", templates.Page{})
		if post := policy("", templates.Page{Data: FormPostPage{Action: target}}); post != csp {
			t.Errorf("%q: %q, and %q for the page that posts", target, csp, post)
		}
		before, form, ok := strings.Cut(csp, "form-action ")
		form, after, closed := strings.Cut(form, ";")
		if plainBefore, rest, _ := strings.Cut(plain, "form-action "); !ok || !closed || before != plainBefore || "'self';"+after != rest {
			t.Fatalf("%q: %q", target, csp)
		}
		sources := strings.Split(form, " ")
		if sources[0] != "'self'" || len(sources) > 2 {
			t.Fatalf("%q: %q", target, form)
		}
		if len(sources) == 2 && strings.ContainsAny(sources[1], "*'\", \t\r\n") {
			t.Errorf("%q: %q", target, form)
		}
	})
}
