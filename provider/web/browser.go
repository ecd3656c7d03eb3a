package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mileusna/useragent"

	"github.com/medximity/idp/flows/account"
)

// Browser returns what flows are bound to: the SHA-256 of a random cookie of
// this browser, which gets one if it has none. A flow's id alone is worth
// nothing in another browser.
func (s *Site) Browser(w http.ResponseWriter, r *http.Request) []byte {
	if hash, ok := s.BrowserIf(r); ok {
		return hash
	}
	secret := account.NewSecret()
	http.SetCookie(w, s.cookie("browser", secret, 0))
	v := visitOf(r)
	v.browser = account.HashSecret(secret)
	return v.browser
}

// BrowserIf is Browser for requests that start nothing: it reports whether
// there is such a cookie.
func (s *Site) BrowserIf(r *http.Request) ([]byte, bool) {
	if v := visitOf(r); v.browser != nil {
		return v.browser, true
	}
	c, err := r.Cookie(s.cookieName("browser"))
	if err != nil || !isSecret(c.Value) {
		return nil, false
	}
	return account.HashSecret(c.Value), true
}

// Device says what the browser calls itself, in short ("Firefox on Windows"),
// for its owner to recognise. It proves nothing.
func Device(r *http.Request) string {
	ua := useragent.Parse(clip(r.UserAgent(), 512))
	switch {
	case ua.Name == "" || ua.OS == "":
		return clip(ua.Name+ua.OS, 64)
	}
	return clip(ua.Name, 40) + " on " + clip(ua.OS, 20)
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// outdated reports whether the browser is Internet Explorer (promise 6.1).
func outdated(r *http.Request) bool {
	ua := r.UserAgent()
	return strings.Contains(ua, "MSIE ") || strings.Contains(ua, "Trident/")
}

// LooksLikeEmail reports whether somebody may have meant an e-mail address.
// Whether mail arrives there is found out by mailing.
func LooksLikeEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || strings.ContainsAny(s, " \t\r\n,;<>()\\\"\x00") {
		return false
	}
	domain := s[at+1:]
	u, err := url.Parse("//" + domain)
	return err == nil && u.Host == domain && u.User == nil && u.Port() == "" && !strings.HasSuffix(domain, ":") &&
		strings.IndexByte(domain, '.') > 0 && !strings.HasSuffix(domain, ".") && !strings.Contains(domain, "..")
}
