package web

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// all sets every cookie that there is.
func (g *rig) all() *http.Response {
	return g.handle(get("/login?ui_locales=ko"), func(w http.ResponseWriter, r *http.Request) error {
		g.Browser(w, r)
		g.Remember(w, r, "acc-1", 1)
		return g.Sessions.Set(w, r, account.NewSecret())
	})
}

// ASVS 3.3.1 to 3.3.5.
func TestCookies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rig    *rig
		prefix string
		secure bool
	}{
		{"https", newRig(t), "__Host-mdx_", true},
		{"plain loopback", newRig(t, plain), "mdx_", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ages := map[string]int{"browser": 0, "session": 0, "lang": 0, "device": int(deviceFor.Seconds())}
			for _, c := range tt.rig.all().Cookies() {
				name, ok := strings.CutPrefix(c.Name, tt.prefix)
				age, known := ages[name]
				if !ok || !known {
					t.Errorf("cookie %s", c.Name)
				}
				delete(ages, name)
				if !c.HttpOnly || c.Secure != tt.secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
					t.Errorf("%s", c)
				}
				if c.MaxAge != age || len(c.String()) > 4096 {
					t.Errorf("%s: age %d, %d bytes", c.Name, c.MaxAge, len(c.String()))
				}
			}
			if len(ages) > 0 {
				t.Errorf("not set: %v", ages)
			}
		})
	}
}

// seed makes a session in the store and returns its token.
func (g *rig) seed() string {
	g.t.Helper()
	ctx := g.t.Context()
	must := func(err error) {
		g.t.Helper()
		if err != nil {
			g.t.Fatal(err)
		}
	}
	must(g.Store.AddPractice(ctx, "riverside", "Riverside"))
	id, err := g.Store.AddPerson(ctx, store.NewPerson{Practice: "riverside", Role: "owner", Username: "grace",
		Email: "grace@riverside.example", EmailVerified: true}, "test")
	must(err)
	now := g.Store.Now()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: account.HashSecret("b"),
		Started: now, Expires: now.Add(time.Hour)}
	must(g.Store.Begin(ctx, f))
	f.Account, f.Practice = id, "riverside"
	f.Facts = []flows.Fact{{Kind: flows.KnowsPassword, Step: "password", Methods: []string{"pwd"}, At: now}}
	lease, err := account.Guard{Now: g.Store.Now}.Charge(ctx, g.Store,
		account.Attempt{Subject: string(id), Factor: account.Password, Step: "password"})
	must(err)
	token := account.NewSecret()
	must(g.Store.Finish(ctx, f, flows.Progress{Lease: lease}, flows.NewSession{Token: token, Methods: []string{"pwd"},
		ACR: flows.ACR1FA, Idle: time.Hour, Absolute: 12 * time.Hour}))
	return token
}

func TestSessionRoundTrip(t *testing.T) {
	g := newRig(t)
	token := g.seed()
	set := g.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error { return g.Sessions.Set(w, r, token) })
	for _, c := range set.Cookies() {
		if strings.Contains(c.Value, token) {
			t.Error("the cookie shows the token")
		}
	}
	g.handle(with(get("/"), set), func(w http.ResponseWriter, r *http.Request) error {
		s, got, err := g.Sessions.Current(r)
		if err != nil || got != token || s.Account == "" {
			t.Errorf("Current = %v, %q, %v", s, got, err)
		}
		again, _, _ := g.Sessions.Current(r)
		if again != s {
			t.Error("the store was asked twice")
		}
		g.Sessions.End(w, r)
		if _, _, err := g.Sessions.Current(r); err != store.ErrNoSession {
			t.Errorf("after End: %v", err)
		}
		return nil
	})
}

func TestSignInReplacesTheSession(t *testing.T) {
	g := newRig(t)
	token := g.seed()
	stale := g.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error {
		return g.Sessions.Set(w, r, account.NewSecret())
	})
	g.handle(with(get("/"), stale), func(w http.ResponseWriter, r *http.Request) error {
		if _, _, err := g.Sessions.Current(r); err != store.ErrNoSession {
			t.Errorf("a token that nobody has: %v", err)
		}
		if err := g.Sessions.Set(w, r, token); err != nil {
			t.Error(err)
		}
		if s, _, err := g.Sessions.Current(r); err != nil || s == nil {
			t.Errorf("after Set: %v", err)
		}
		return nil
	})
}

// A cookie that was made up, cut off or taken from another name is no session,
// and no error either.
func TestForeignCookiesAreFreshSessions(t *testing.T) {
	g, other := newRig(t), newRig(t)
	token := g.seed()
	theirs := other.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error { return other.Sessions.Set(w, r, token) })
	ours := g.all().Cookies()
	values := []string{"", token, "x", strings.Repeat("A", 5000), "%00", theirs.Cookies()[0].Value}
	for _, c := range ours {
		values = append(values, c.Value[:len(c.Value)-1])
		if !strings.HasSuffix(c.Name, "session") {
			values = append(values, c.Value)
		}
	}
	for _, v := range values {
		r := get("/")
		r.Header.Set("Cookie", g.cookieName("session")+"="+v+"; "+g.cookieName("device")+"="+v+"; "+g.cookieName("browser")+"="+v[:min(len(v), 20)])
		g.handle(r, func(w http.ResponseWriter, r *http.Request) error {
			if _, _, err := g.Sessions.Current(r); err != store.ErrNoSession {
				t.Errorf("session cookie %.40q: %v", v, err)
			}
			if _, ok := g.BrowserIf(r); ok {
				t.Errorf("binding cookie %.20q was taken", v)
			}
			return nil
		})
	}
}

func TestBrowser(t *testing.T) {
	g := newRig(t)
	var first []byte
	set := g.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error {
		if _, ok := g.BrowserIf(r); ok {
			t.Error("a new browser is bound already")
		}
		first = g.Browser(w, r)
		if !bytes.Equal(first, g.Browser(w, r)) {
			t.Error("one request, two bindings")
		}
		return nil
	})
	if n := len(set.Cookies()); n != 1 {
		t.Errorf("%d cookies", n)
	}
	g.handle(with(get("/"), set), func(w http.ResponseWriter, r *http.Request) error {
		if hash, ok := g.BrowserIf(r); !ok || !bytes.Equal(hash, first) {
			t.Error("the binding does not hold")
		}
		return nil
	})
}

func TestDevice(t *testing.T) {
	g := newRig(t)
	set := g.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error {
		g.Remember(w, r, "acc-0", 1)
		return nil
	})
	for i := 1; i <= deviceMost; i++ {
		set = g.handle(with(get("/"), set), func(w http.ResponseWriter, r *http.Request) error {
			g.Remember(w, r, account.ID(fmt.Sprint("acc-", i)), 1)
			return nil
		})
	}
	g.handle(with(get("/"), set), func(w http.ResponseWriter, r *http.Request) error {
		known := g.Known(r)
		if known("acc-0") || !known("acc-1") || !known(account.ID(fmt.Sprint("acc-", deviceMost))) || known("") {
			t.Error("not the newest ten are known")
		}
		return nil
	})
	forged := get("/")
	forged.Header.Set("Cookie", g.cookieName("device")+"="+base64.URLEncoding.EncodeToString([]byte(`["`+deviceKey("acc-1")+`"]`)))
	g.handle(forged, func(w http.ResponseWriter, r *http.Request) error {
		if g.Known(r)("acc-1") {
			t.Error("a forged cookie is believed")
		}
		return nil
	})
}

// deviceIn returns what the browser that was given the cookies is to an account.
func (g *rig) deviceIn(set *http.Response, id account.ID) (d account.Device) {
	g.t.Helper()
	g.handle(with(get("/"), set), func(w http.ResponseWriter, r *http.Request) error {
		d = g.Devices(r)(id)
		return nil
	})
	return d
}

// A browser's device is made by a sign-in, kept at later ones, and of the epoch of
// the last; another browser's is another, and so is another account's.
func TestDeviceOfAnAccount(t *testing.T) {
	g := newRig(t)
	remember := func(was *http.Response, id account.ID, epoch int64) *http.Response {
		r := get("/")
		if was != nil {
			r = with(r, was)
		}
		return g.handle(r, func(w http.ResponseWriter, r *http.Request) error {
			g.Remember(w, r, id, epoch)
			return nil
		})
	}
	first := remember(nil, "acc-1", 3)
	was := g.deviceIn(first, "acc-1")
	if !was.Known() || was.Epoch != 3 {
		t.Fatalf("%+v", was)
	}
	if d := g.deviceIn(remember(first, "acc-1", 3), "acc-1"); d != was {
		t.Errorf("not kept: %+v, then %+v", was, d)
	}
	if d := g.deviceIn(remember(first, "acc-2", 3), "acc-1"); d != was {
		t.Errorf("not kept beside another's: %+v, then %+v", was, d)
	}
	if d := g.deviceIn(remember(first, "acc-1", 4), "acc-1"); d.Epoch != 4 || d.Guard == was.Guard {
		t.Errorf("not of the next epoch: %+v, then %+v", was, d)
	}
	if d := g.deviceIn(remember(nil, "acc-1", 3), "acc-1"); d.Guard == was.Guard {
		t.Error("two browsers are one device")
	}
	if d := g.deviceIn(remember(first, "acc-2", 3), "acc-2"); d.Guard == was.Guard {
		t.Error("two accounts have one device")
	}
	for _, id := range []account.ID{"acc-2", "", "acc-11"} {
		if d := g.deviceIn(first, id); d != (account.Device{}) {
			t.Errorf("%q has a device: %+v", id, d)
		}
	}
	for _, epoch := range []int64{3, 4, 5} {
		renewed := g.handle(with(get("/"), first), func(w http.ResponseWriter, r *http.Request) error {
			g.Renew(w, r, "acc-1", epoch)
			g.Renew(w, r, "acc-2", epoch)
			return nil
		})
		if set := len(renewed.Cookies()); (set == 1) != (epoch == 4) {
			t.Errorf("a device of epoch 3 gets %d cookies in epoch %d", set, epoch)
		}
	}
}

// A cookie of before there were devices spares its accounts what it spared them,
// and has nothing of its own until the next sign-in. A forged one has nothing ever.
func TestOldAndForgedDevices(t *testing.T) {
	g := newRig(t)
	cookie := func(value string) *http.Request {
		r := get("/")
		r.AddCookie(&http.Cookie{Name: g.cookieName("device"), Value: value})
		return r
	}
	old, err := g.device.Encode(g.cookieName("device"), []string{deviceKey("acc-1")})
	if err != nil {
		t.Fatal(err)
	}
	set := g.handle(cookie(old), func(w http.ResponseWriter, r *http.Request) error {
		if !g.Known(r)("acc-1") || g.Devices(r)("acc-1").Known() {
			t.Errorf("an old cookie: known %v, %+v", g.Known(r)("acc-1"), g.Devices(r)("acc-1"))
		}
		g.Renew(w, r, "acc-1", 1)
		if c := w.Header().Values("Set-Cookie"); len(c) > 0 {
			t.Errorf("an old cookie is renewed: %v", c)
		}
		g.Remember(w, r, "acc-1", 0)
		return nil
	})
	if !g.deviceIn(set, "acc-1").Known() {
		t.Error("no device after the next sign-in")
	}
	plain := []byte(`["` + deviceKey("acc-1") + `.` + account.NewSecret() + `.0"]`)
	good := set.Cookies()[0].Value
	for _, value := range []string{base64.URLEncoding.EncodeToString(plain), good[1:], good[:len(good)-2], good + "A"} {
		g.handle(cookie(value), func(w http.ResponseWriter, r *http.Request) error {
			if g.Known(r)("acc-1") || g.Devices(r)("acc-1") != (account.Device{}) {
				t.Errorf("%q is believed", value)
			}
			return nil
		})
	}
}
