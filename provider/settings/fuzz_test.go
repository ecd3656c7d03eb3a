package settings

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// fuzzRoutes is Account Settings for Grace, who is signed in; what leads to a
// flow stays here.
func fuzzRoutes(f *testing.F) (*store.Store, http.Handler) {
	f.Helper()
	ok := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	ctx, st := context.Background(), storetest.Open(f, storetest.New(f, "sqlite"))
	pages, err := templates.Load()
	ok(err)
	issuer, _ := url.Parse("https://id.medximity.example/id")
	site, err := web.New(ctx, web.Config{Templates: pages, Issuer: issuer, Store: st, Logger: slog.New(slog.DiscardHandler)})
	ok(err)
	for _, name := range []string{"grace", "edith"} {
		_, err := st.AddPerson(ctx, store.NewPerson{ID: account.ID(name), Username: name, Email: name + "@river.example", EmailVerified: true, Hash: "h"}, "test")
		ok(err)
	}
	flow := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: []byte("b"), Started: st.Now(), Expires: st.Now().Add(time.Hour)}
	ok(st.Begin(ctx, flow))
	l, err := account.Guard{Now: st.Now}.Charge(ctx, st, account.Attempt{Subject: "grace", Factor: account.Password, Step: "password"})
	ok(err)
	flow.Account = "grace"
	n := flows.NewSession{Token: account.NewSecret(), Methods: []string{"pwd"}, ACR: flows.ACR1FA, Idle: 1000 * time.Hour, Absolute: 1000 * time.Hour}
	ok(st.Finish(ctx, flow, flows.Progress{Lease: l}, n))
	sess, err := st.Session(ctx, n.Token)
	ok(err)
	s := &Settings{Site: site, Store: st, Directory: store.People{Store: st}, Required: func(*directory.Entry) bool { return false },
		Enrol: func(w http.ResponseWriter, r *http.Request, _ *store.Session, _ flows.Change, _ string) error {
			site.SeeOther(w, r, "/login?flow=f")
			return nil
		}}
	mux := http.NewServeMux()
	for _, rt := range s.Routes() {
		mux.Handle(rt.Pattern, site.Page(func(w http.ResponseWriter, r *http.Request) error {
			if rt.Needs == Nothing {
				return rt.Serve(w, r, nil)
			}
			return rt.Serve(w, r, sess)
		}))
	}
	return st, site.Outer(mux)
}

// given is what a form posts, and the answer to it.
func given(h http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var oddities = []string{"", " ", "grace@new.example", "GRACE@river.example", "edith@river.example", "a,b@c.example", "a@b.example\r\nBcc: x@y.example", "\x00", "\xff", "<script>alert(1)</script>@x.example", "en", "KO", "xx", "AAAA", strings.Repeat("a", 400), "\u202e"}

// An address is taken up or refused beside its field; nobody's is changed by
// the form alone, and what was typed never becomes markup.
func FuzzEmailForm(f *testing.F) {
	st, h := fuzzRoutes(f)
	for _, s := range oddities {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, email string) {
		w := given(h, "/account/email", url.Values{"email": {email}})
		want := map[bool]int{true: 200, false: 422}[emailProblem(account.Normalise(email), "grace@river.example") == ""]
		if !utf8.ValidString(email) || strings.ContainsRune(email, 0) {
			want = 400
		}
		if w.Code != want {
			t.Errorf("%q: %d, want %d", email, w.Code, want)
		}
		if strings.Contains(email, "<script>alert") && strings.Contains(w.Body.String(), "<script>alert") {
			t.Errorf("%q is markup", email)
		}
		if e, err := (store.People{Store: st}).Lookup(t.Context(), directory.ByID, "grace"); err != nil || e.Email != "grace@river.example" {
			t.Errorf("%q: the address is %+v, %v", email, e, err)
		}
	})
}

// Only a language that we speak is kept.
func FuzzLanguageForm(f *testing.F) {
	st, h := fuzzRoutes(f)
	for _, s := range oddities {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, lang string) {
		w := given(h, "/account/language", url.Values{"language": {lang}})
		if w.Code != http.StatusSeeOther && w.Code != http.StatusBadRequest {
			t.Fatalf("%q: %d", lang, w.Code)
		}
		e, err := (store.People{Store: st}).Lookup(t.Context(), directory.ByID, "grace")
		if err != nil || e.Locale != "" && e.Locale != "en" && e.Locale != "ko" && e.Locale != "fr" && e.Locale != "es" {
			t.Errorf("%q is kept as %q, %v", lang, e.Locale, err)
		}
	})
}

// A session, an authenticator or a link that is not there is nobody's: no id
// ends Grace's own, or is a fault.
func FuzzIDs(f *testing.F) {
	st, h := fuzzRoutes(f)
	for _, s := range oddities {
		f.Add(s)
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, path := range []string{"/account/sessions/end", "/account/security/authenticators/remove", "/confirm-email", "/confirm-email/cancel", "/not-me"} {
			if w := given(h, path, url.Values{"id": {id}, "token": {id}}); w.Code >= 500 || w.Code == http.StatusOK {
				t.Errorf("%s %q: %d", path, id, w.Code)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+url.Values{"id": {id}, "token": {id}}.Encode(), nil))
			if w.Code >= 500 || w.Code == http.StatusOK {
				t.Errorf("GET %s %q: %d", path, id, w.Code)
			}
		}
		if n, err := st.SessionsActive(t.Context()); err != nil || n != 1 {
			t.Errorf("%q: %d sessions, %v", id, n, err)
		}
	})
}

// An address that is hidden in part tells its domain and one character.
func FuzzMasked(f *testing.F) {
	for _, s := range append(oddities, "@x", "é@x.example", "\xff@x", "a@b@c") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, email string) {
		got := masked(email)
		at := strings.LastIndexByte(email, '@')
		if at < 1 {
			if got != "" {
				t.Errorf("masked(%q) = %q", email, got)
			}
			return
		}
		_, first := utf8.DecodeRuneInString(email)
		if got != email[:first]+"•••"+email[at:] || first < at && utf8.ValidString(email) && strings.Contains(got, email[:at+1]) {
			t.Errorf("masked(%q) = %q", email, got)
		}
	})
}
