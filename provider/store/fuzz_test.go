package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func fuzzStore(f *testing.F) *store.Store {
	f.Helper()
	return storetest.Open(f, storetest.New(f, "sqlite"))
}

var odd = []string{"", "grace", "GRACE", "grace@river.example", "' OR 1=1 --", "%", "_", "\x00", "\xff\xfe", "grace\x00", "ſ", "İ", strings.Repeat("a", 5000), "\u202e"}

// Nobody is found by anything but their own identifiers, letter by letter, and
// no text makes a lookup a fault.
func FuzzLookup(f *testing.F) {
	st := fuzzStore(f)
	_, err := st.AddPerson(f.Context(), store.NewPerson{ID: "id-grace", Username: "Grace", Email: "Grace@River.Example", EmailVerified: true}, "test")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range odd {
		f.Add(s, uint8(0))
		f.Add(s, uint8(1))
		f.Add(s, uint8(2))
	}
	p := store.People{Store: st}
	f.Fuzz(func(t *testing.T, s string, by uint8) {
		names := [][]string{{"grace", "grace@river.example"}, {"grace@river.example"}, {"id-grace"}}[by%3]
		e, err := p.Lookup(t.Context(), directory.By(by%3), s)
		found := s == names[0] || s == names[len(names)-1]
		switch {
		case found && (err != nil || e.ID != "id-grace"):
			t.Errorf("%q: %+v, %v", s, e, err)
		case !found && !errors.Is(err, directory.ErrNotFound):
			t.Errorf("%q: %+v, %v", s, e, err)
		}
	})
}

// Whoever is added is found by what they are called, and nobody else may be
// called that.
func FuzzAddPerson(f *testing.F) {
	st := fuzzStore(f)
	for _, s := range odd {
		f.Add(s, s+"@x.example")
		f.Add("grace", s)
	}
	p := store.People{Store: st}
	f.Fuzz(func(t *testing.T, username, email string) {
		if !utf8.ValidString(username) || !utf8.ValidString(email) || strings.ContainsRune(username+email, 0) {
			return // no form and no command line has it
		}
		id, err := st.AddPerson(t.Context(), store.NewPerson{Username: username, Email: email}, "test")
		name := account.Normalise(email)
		if name == "" {
			if err == nil {
				t.Errorf("%q, %q was added", username, email)
			}
			return
		}
		e, found := p.Lookup(t.Context(), directory.ByEmail, name)
		switch {
		case err == nil && (found != nil || e.ID != id):
			t.Errorf("%q is %+v, %v", email, e, found)
		case err != nil && !errors.Is(err, store.ErrDuplicate):
			t.Fatalf("%q, %q: %v", username, email, err)
		case err != nil:
			return
		}
		if _, err := st.AddPerson(t.Context(), store.NewPerson{Username: strings.ToUpper(name), Email: "other-" + email}, "test"); account.Normalise(strings.ToUpper(name)) == name && !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a second %q: %v", name, err)
		}
	})
}

// A flow, a session and a link are found by what names them, in the browser
// that they belong to; garbage is nobody's, and no fault.
func FuzzTokens(f *testing.F) {
	st := fuzzStore(f)
	flow := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: []byte("browser"), Started: st.Now(), Expires: st.Now().Add(1000 * time.Hour)}
	if err := st.Begin(f.Context(), flow); err != nil {
		f.Fatal(err)
	}
	f.Add(flow.ID, []byte("browser"))
	f.Add(flow.ID, []byte("another"))
	for _, s := range odd {
		f.Add(s, []byte(s))
	}
	f.Fuzz(func(t *testing.T, s string, browser []byte) {
		ctx := t.Context()
		got, err := st.Flow(ctx, s, browser)
		if mine := s == flow.ID && string(browser) == "browser"; mine != (err == nil) || !mine && !errors.Is(err, flows.ErrNoFlow) {
			t.Errorf("%q, %q: %+v, %v", s, browser, got, err)
		}
		if _, err := st.Session(ctx, s); !errors.Is(err, store.ErrNoSession) {
			t.Errorf("the session of %q: %v", s, err)
		}
		hash := account.HashSecret(s)
		if l, err := st.OpenLink(ctx, hash, "1.2.3.4"); err != nil || l.Fate != account.Unknown {
			t.Errorf("the link %q: %+v, %v", s, l, err)
		}
		if was, err := st.CancelReset(ctx, browser, "1.2.3.4"); err != nil || was {
			t.Errorf("cancelled by %q: %v", browser, err)
		}
		if _, _, err := st.ConfirmEmail(ctx, hash, "1.2.3.4"); !errors.Is(err, store.ErrGone) {
			t.Errorf("confirmed by %q: %v", s, err)
		}
		if was, err := st.Disavow(ctx, hash, "1.2.3.4"); err != nil || was {
			t.Errorf("disavowed by %q: %v", s, err)
		}
	})
}

// Whatever a flow keeps comes back as it was.
func FuzzFlow(f *testing.F) {
	st := fuzzStore(f)
	for _, s := range odd {
		f.Add(s, []byte(s), s)
	}
	f.Fuzz(func(t *testing.T, typed string, browser []byte, authorize string) {
		if !utf8.ValidString(typed) || !utf8.ValidString(authorize) || strings.ContainsRune(typed+authorize, 0) {
			return // no form has it
		}
		one := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: append([]byte("b"), browser...), Typed: typed, Started: st.Now(), Expires: st.Now().Add(time.Hour),
			Facts: []flows.Fact{{Kind: flows.Identified, Step: flows.StepName(typed)}}, Request: flows.Request{Authorize: authorize, Hint: typed}}
		if err := st.Begin(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		got, err := st.Flow(t.Context(), one.ID, one.Browser)
		if err != nil || got.Typed != typed || got.Request.Authorize != authorize || string(got.Facts[0].Step) != typed || string(got.Browser) != string(one.Browser) {
			t.Errorf("%+v came back as %+v, %v", one, got, err)
		}
	})
}

// A database is the file that was named, whatever it is called.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{"idp.db", "a b.db", "a?b.db", "a#b", "a%20b", "é", "a&_pragma=foreign_keys(0)", "file:x", ":memory:", "a;b", "'", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > 100 || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." || !utf8.ValidString(name) {
			return
		}
		dir := t.TempDir()
		c := storetest.Empty(t, "sqlite")
		c.URL = "sqlite:" + filepath.Join(dir, name)
		if _, err := store.Open(context.Background(), c); err == nil {
			t.Fatalf("%q has a schema", name)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		for _, file := range files {
			if base := filepath.Base(file); base != name && base != name+"-wal" && base != name+"-shm" && base != name+"-journal" {
				t.Errorf("%q made %q", name, base)
			}
		}
		if err != nil || len(files) == 0 {
			t.Errorf("%q made nothing: %v", name, err)
		}
	})
}
