package provider

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

// offering is a house that offers passkeys, at a time of the test's choice, to
// Grace, who has a phone.
type offering struct {
	*house
	key   []byte
	ahead time.Duration
}

func newOffering(t *testing.T, p Passkeys) *offering {
	o := &offering{house: newHouse(t, "https://id.example").with(p), key: account.NewKey()}
	o.engine.Now = func() time.Time { return o.Store.Now().Add(o.ahead) }
	_, err := o.Store.BringSecond(t.Context(), "id-grace", account.NewAuthenticator{Name: "Phone", Key: o.key}, "test")
	o.ok(err)
	b, page := o.in()
	page = b.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	if offered(page) {
		b.post("/login/offer-passkey", "flow", page.flow(), "offer", "later")
		o.ahead += 31 * 24 * time.Hour
	}
	if b.cookie("session") == "" {
		t.Fatalf("%d: not signed in:\n%s", page.StatusCode, page.text)
	}
	return o
}

// in signs in by password and code.
func (o *offering) in() (*person, answer) {
	o.t.Helper()
	o.ahead += time.Minute // of codes not shown yet
	b := o.browser()
	page := b.signIn(b.get("/login"), "grace", rightPassword)
	return b, b.post("/login/totp", "flow", page.flow(), "otp", account.ShowCode(o.key, o.engine.Now()))
}

func offered(page answer) bool { return strings.Contains(page.text, "Sign in without typing?") }

// asked reports whether the next sign-in by password and code is offered one; it
// is over then or is not, accordingly.
func (o *offering) asked() (*person, answer, bool) {
	o.t.Helper()
	b, page := o.in()
	if in := b.cookie("session") != ""; in == offered(page) {
		o.t.Fatalf("signed in %v, offered %v: %d\n%s", in, offered(page), page.StatusCode, page.text)
	}
	return b, page, offered(page)
}

// Whoever says no is asked again after 30 days, and whoever says never is not.
func TestPasskeyIsOfferedOnceInAMonth(t *testing.T) {
	o := newOffering(t, Passkeys{Offer: true})
	for _, step := range []struct {
		after time.Duration
		want  bool
		say   string
	}{
		{0, true, "later"},
		{0, false, ""},
		{29 * 24 * time.Hour, false, ""},
		{24 * time.Hour, true, "never"},
		{0, false, ""},
		{20 * 365 * 24 * time.Hour, false, ""},
	} {
		o.ahead += step.after
		b, page, got := o.asked()
		if got != step.want {
			t.Fatalf("%+v: offered %v", step, got)
		}
		if step.want {
			b.post("/login/offer-passkey", "flow", page.flow(), "offer", step.say)
			if b.cookie("session") == "" {
				t.Fatalf("%+v: not signed in after the answer", step)
			}
		}
	}
}

// Whoever says yes has a passkey and is signed in; and is offered no other.
func TestPasskeyOfferedIsTaken(t *testing.T) {
	o, k := newOffering(t, Passkeys{Offer: true}), newToken()
	b, page, _ := o.asked()
	long := b.post("/login/offer-passkey", "flow", page.flow(), "offer", "yes", "passkey", k.made(t, page), "name", strings.Repeat("long ", 9))
	if long.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(long.text, `value="long long`) {
		t.Errorf("a name that is too long: %d\n%s", long.StatusCode, long.text)
	}
	b.post("/login/offer-passkey", "flow", page.flow(), "offer", "yes", "passkey", k.made(t, page), "name", "Laptop")
	if page = b.get("/account/security"); !strings.Contains(page.text, "Laptop") {
		t.Fatalf("%d: not listed:\n%s", page.StatusCode, page.text)
	}
	b = o.browser()
	page = b.get("/login")
	b.post("/login/passkey", "flow", page.flow(), "passkey", k.given(t, page))
	if b.cookie("session") == "" {
		t.Error("it does not sign in")
	}
	o.ahead += 31 * 24 * time.Hour
	if _, _, asked := o.asked(); asked {
		t.Error("offered to somebody who has one")
	}
}

// A page that was open for long takes no passkey of whoever comes by; the sign-in
// goes on.
func TestPasskeyOfferedTooLongAgo(t *testing.T) {
	o, k := newOffering(t, Passkeys{Offer: true}), newToken()
	b, page, _ := o.asked()
	o.ahead += account.PasskeyFor - time.Second
	page = b.get("/login?flow=" + page.flow())
	made := k.made(t, page) // by a challenge that is good for long
	o.ahead += time.Second
	late := b.post("/login/offer-passkey", "flow", page.flow(), "offer", "yes", "passkey", made)
	if late.StatusCode != http.StatusUnprocessableEntity || strings.Contains(late.text, "data-options") ||
		!strings.Contains(late.text, "This page was open too long") || b.cookie("session") != "" {
		t.Errorf("%d:\n%s", late.StatusCode, late.text)
	}
	b.post("/login/offer-passkey", "flow", page.flow(), "offer", "later")
	if b.cookie("session") == "" {
		t.Error("not signed in after all")
	}
	if all, err := o.Store.Passkeys(t.Context(), "id-grace"); err != nil || len(all) > 0 {
		t.Error(all, err)
	}
}

// It is for whoever typed a password and a code just now, and where it was wished.
func TestPasskeyIsNotOffered(t *testing.T) {
	if _, _, asked := newOffering(t, Passkeys{}).asked(); asked {
		t.Error("though nobody wished it")
	}
	o := newOffering(t, Passkeys{Offer: true})
	b := o.browser()
	if page := b.signIn(b.get("/login"), "edith", rightPassword); offered(page) || b.cookie("session") == "" {
		t.Errorf("after a password alone: %d\n%s", page.StatusCode, page.text)
	}
	b, page, _ := o.asked()
	b.post("/login/offer-passkey", "flow", page.flow(), "offer", "later")
	o.ahead += 31 * 24 * time.Hour
	b = o.browser()
	page = b.signIn(b.get("/login"), "grace", rightPassword)
	if strings.Contains(page.text, "offer-passkey") {
		t.Errorf("before the code:\n%s", page.text)
	}
	if page = b.post("/login/offer-passkey", "flow", page.flow(), "offer", "never"); offered(page) || !strings.Contains(page.text, `name="otp"`) {
		t.Errorf("answered before it was asked: %d\n%s", page.StatusCode, page.text)
	}
	if _, _, asked := o.asked(); !asked {
		t.Error("an answer out of turn counted")
	}
}

// Whoever is not offered one pays nothing for it.
func TestPasskeyNotOfferedCostsNothing(t *testing.T) {
	var costs [2][]string
	for i, offer := range []bool{false, true} {
		o := newOffering(t, Passkeys{Offer: offer})
		if offer {
			b, page, _ := o.asked()
			b.post("/login/offer-passkey", "flow", page.flow(), "offer", "never")
		}
		o.in() // each browser alike
		o.mu.Lock()
		o.statements = nil
		o.mu.Unlock()
		o.in()
		o.mu.Lock()
		costs[i] = slices.Clone(o.statements)
		o.mu.Unlock()
	}
	if len(costs[0]) == 0 || !slices.Equal(costs[0], costs[1]) {
		t.Errorf("without: %v\nwith:    %v", costs[0], costs[1])
	}
}
