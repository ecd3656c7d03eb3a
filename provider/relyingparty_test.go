package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/metrics"
)

// with is the house anew, with other passkeys.
func (h *house) with(p Passkeys) *house {
	h.t.Helper()
	c := h.Config
	c.Passkeys, c.Metrics, c.Policy = p, metrics.New(), nil
	var err error
	h.Provider, err = New(h.t.Context(), c)
	h.ok(err)
	return h
}

// tokenFor is an authenticator in a browser that is at an origin.
func tokenFor(rpID, origin string) token {
	k := newToken()
	k.Party, k.Origin = rpID, origin
	return k
}

// Passkeys are for the issuer's host, whatever its path, port and letters; or for
// a domain that it is in. Whoever is at another origin, or made theirs for another
// domain, gets nowhere.
func TestPasskeysOfAnIssuer(t *testing.T) {
	const related = "https://login.other.example"
	for _, tt := range []struct {
		name, issuer string
		set          Passkeys
		rpID, origin string
		refused      bool
	}{
		{"its host", "https://id.river.example", Passkeys{}, "id.river.example", "https://id.river.example", false},
		{"with a path", "https://id.river.example/id", Passkeys{}, "id.river.example", "https://id.river.example", false},
		{"with a port", "https://id.river.example:8443", Passkeys{}, "id.river.example", "https://id.river.example:8443", false},
		{"with the port that nobody writes", "https://id.river.example:443", Passkeys{}, "id.river.example", "https://id.river.example", false},
		{"in capitals", "https://ID.River.example", Passkeys{}, "id.river.example", "https://id.river.example", false},
		{"this machine", "http://localhost:8080", Passkeys{}, "localhost", "http://localhost:8080", false},
		{"a parent domain", "https://id.river.example/id", Passkeys{RPID: "river.example"}, "river.example", "https://id.river.example", false},
		{"a related origin", "https://id.river.example/id", Passkeys{Origins: []string{related}}, "id.river.example", related, false},
		{"a parent domain that was not set", "https://id.river.example", Passkeys{}, "river.example", "https://id.river.example", true},
		{"its host, where a parent domain is set", "https://id.river.example", Passkeys{RPID: "river.example"}, "id.river.example", "https://id.river.example", true},
		{"an origin beside it", "https://id.river.example", Passkeys{RPID: "river.example"}, "river.example", "https://blog.river.example", true},
		{"an origin that is not related", "https://id.river.example", Passkeys{}, "id.river.example", related, true},
		{"another port", "https://id.river.example", Passkeys{}, "id.river.example", "https://id.river.example:8443", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, tt.issuer).with(tt.set)
			b := h.browser()
			b.signIn(b.get("/login"), "grace", rightPassword)
			page := b.adds(tokenFor(tt.rpID, tt.origin))
			if added := strings.Contains(page.text, "The passkey is added."); added == tt.refused {
				t.Errorf("added %v, want %v: %d\n%s\n%s", added, !tt.refused, page.StatusCode, page.text, h.log.String())
			}
		})
	}
}

// An issuer that is an address, or is reached in the clear, offers none.
func TestNoPasskeysAtAnAddress(t *testing.T) {
	for _, issuer := range []string{"https://192.0.2.7", "https://[2001:db8::7]", "http://127.0.0.1:8080", "http://id.example"} {
		h := newHouse(t, issuer)
		b := h.browser()
		page := b.get("/login")
		b.signIn(page, "grace", rightPassword)
		for _, page := range []answer{page, b.get("/account/security")} {
			if strings.Contains(strings.ToLower(page.text), "passkey") {
				t.Errorf("%s offers passkeys:\n%s", issuer, page.text)
			}
		}
	}
}

// Where browsers look for related origins, under no path; and nothing is there
// where there are none.
func TestRelatedOrigins(t *testing.T) {
	origins := []string{"https://login.other.example", "https://id.third.example:8443"}
	for _, issuer := range []string{"https://id.example", "https://id.example/id"} {
		h := newHouse(t, issuer)
		if a := h.browser().do(newGET("https://id.example/.well-known/webauthn")); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d without related origins", issuer, a.StatusCode)
		}
		h.with(Passkeys{Origins: origins})
		a := h.browser().do(newGET("https://id.example/.well-known/webauthn"))
		const want = `{"origins":["https://login.other.example","https://id.third.example:8443"]}`
		if a.StatusCode != http.StatusOK || a.text != want || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s: %s", issuer, a.StatusCode, a.Header.Get("Content-Type"), a.text)
		}
	}
}

func TestCheckRPID(t *testing.T) {
	for _, tt := range []struct{ issuer, id, want string }{
		{"https://id.river.example", "", ""},
		{"https://127.0.0.1", "", ""},
		{"https://id.river.example", "id.river.example", ""},
		{"https://ID.River.example:8443/id", "id.river.example", ""},
		{"https://id.river.example", "river.example", ""},
		{"http://localhost:8080", "localhost", ""},
		{"https://idp", "idp", ""}, // inside a house
		{"https://id.river.example", "example", "a public suffix"},
		{"https://river.github.io", "github.io", "a public suffix"},
		{"https://id.river.co.uk", "co.uk", "a public suffix"},
		{"https://id.river.example", "r.example", "neither"},
		{"https://id.river.example", "iver.example", "neither"},
		{"https://id.river.example", "login.id.river.example", "neither"},
		{"https://id.river.example", "https://river.example", "neither"},
		{"https://id.river.example", "River.example", "neither"},
		{"https://127.0.0.1", "127.0.0.1", "no passkeys"},
		{"https://127.0.0.1", "0.0.1", "no passkeys"},
		{"http://id.river.example", "id.river.example", "no passkeys"},
	} {
		issuer, err := url.Parse(tt.issuer)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckRPID(issuer, tt.id)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q at %s: %v, want %q", tt.id, tt.issuer, err, tt.want)
		}
	}
}

func TestCheckPasskeyOrigin(t *testing.T) {
	for origin, good := range map[string]bool{
		"https://id.example": true, "https://id.example:8443": true,
		"http://id.example": false, "https://id.example/": false, "https://id.example/login": false, "id.example": false,
		"https://": false, "https://u@id.example": false, "https://id.example?": false, "https://id.example#": false,
		"https://ID.example": false, "https://192.0.2.7": false, "": false, "null": false, "android:apk-key-hash:x": false,
	} {
		if err := CheckPasskeyOrigin(origin); (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// What cannot be is refused at the start, not at the first passkey.
func TestPasskeysThatCannotBe(t *testing.T) {
	h := newHouse(t, "https://id.river.example")
	for _, p := range []Passkeys{{RPID: "other.example"}, {Origins: []string{"http://id.example"}}} {
		c := h.Config
		c.Passkeys, c.Metrics = p, metrics.New()
		if _, err := New(t.Context(), c); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
