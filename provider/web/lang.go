package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// langFor is how long a language is kept that a person chose.
const langFor = 365 * 24 * time.Hour

// Lang returns the language of the answer: what the app asked for (ui_locales),
// what was chosen or asked for before in this browser, what the browser
// prefers, or English.
func (s *Site) Lang(r *http.Request) string {
	v := visitOf(r)
	if v.lang == "" {
		kept := ""
		if c, err := r.Cookie(s.cookieName("lang")); err == nil {
			kept = c.Value
		}
		v.lang = s.Templates.Match(r.Form.Get("ui_locales"), kept, r.Header.Get("Accept-Language"))
	}
	return v.lang
}

// Text returns words of templates/locale in the language of the answer.
func (s *Site) Text(r *http.Request, key string, args map[string]any) string {
	return s.Templates.Text(s.Lang(r), key, args)
}

// keepLocales keeps what an app asked for while the browser is open. So it
// goes before what was chosen earlier, and a choice made on its pages goes
// before it.
func (s *Site) keepLocales(w http.ResponseWriter, r *http.Request) {
	if lang, ok := s.Templates.Speaks(r.Form.Get("ui_locales")); ok {
		http.SetCookie(w, s.cookie("lang", lang, 0))
	}
}

// Language answers the language switch: it keeps the choice and goes back.
func (s *Site) Language(w http.ResponseWriter, r *http.Request) error {
	if lang, ok := s.Templates.Speaks(r.PostForm.Get("lang")); ok {
		s.KeepLanguage(w, lang)
	}
	s.SeeOther(w, r, backTo(r.PostForm.Get("back")))
	return nil
}

// KeepLanguage keeps one of our languages as the choice of this browser.
func (s *Site) KeepLanguage(w http.ResponseWriter, lang string) {
	http.SetCookie(w, s.cookie("lang", lang, langFor))
}

// backTo returns the path of ours that a form says it came from, or the front
// door: never another site (ASVS 3.7.2).
func backTo(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/login"
	}
	q := u.Query()
	q.Del("ui_locales") // the choice was made after it
	to := (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: q.Encode()}).RequestURI()
	if strings.HasPrefix(to, "//") {
		return "/login" // it was "/%2fevil.example/ ", written anew
	}
	return to
}
