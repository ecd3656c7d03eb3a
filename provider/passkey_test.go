package provider

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/passkeytest"
)

// token is an authenticator in software, with one passkey on it, and its browser.
type token struct{ *passkeytest.Key }

// newToken is one that knows its person, at the issuer of most tests.
func newToken() token { return token{passkeytest.New("id.example")} }

var passkeyOptions = regexp.MustCompile(`data-options="([^"]+)"`)

// options are what a page asks the browser for.
func (a answer) options(t testing.TB) string {
	t.Helper()
	m := passkeyOptions.FindStringSubmatch(a.text)
	if m == nil {
		t.Fatalf("%d: no passkey is asked for:\n%s", a.StatusCode, a.text)
	}
	return html.UnescapeString(m[1])
}

// asked is what the page wants of the browser.
func (a answer) asked(t testing.TB) (challenge, handle []byte) {
	t.Helper()
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	err := json.Unmarshal([]byte(a.options(t)), &o)
	if err == nil {
		challenge, err = base64.RawURLEncoding.DecodeString(o.Challenge)
	}
	if err == nil {
		handle, err = base64.RawURLEncoding.DecodeString(o.User.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return challenge, handle
}

// made is what the browser makes of the page.
func (k token) made(t testing.TB, page answer) string {
	t.Helper()
	challenge, handle := page.asked(t)
	k.Handle = handle
	return k.Make(challenge, nil)
}

// given is what it says to the page.
func (k token) given(t testing.TB, page answer) string {
	t.Helper()
	challenge, _ := page.asked(t)
	return k.Use(challenge, nil)
}

// adds has a person who is signed in add a passkey.
func (p *person) adds(k token) answer {
	p.h.t.Helper()
	page := p.post("/account/security/passkeys")
	page = p.post("/login/set-up-passkey", "flow", page.flow(), "name", "Laptop", "passkey", k.made(p.h.t, page))
	if strings.Contains(page.text, "Save these backup codes") {
		page = p.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	}
	return page
}

// A passkey that knows its person signs in without a name, a password and a code,
// and counts as two factors; it is listed, and is gone once it is removed.
func TestPasskeySignsIn(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k := newToken()
	b := h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	if page := b.adds(k); !strings.Contains(page.text, "The passkey is added.") || !strings.Contains(page.text, "Laptop") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	b = h.browser()
	page := b.authorize("&acr_values=phr")
	page = b.post("/login/passkey", "flow", page.flow(), "passkey", k.given(t, page))
	if !strings.Contains(page.Header.Get("Location"), "code=mdx_ac_") {
		t.Fatalf("%d %s:\n%s", page.StatusCode, page.Header.Get("Location"), page.text)
	}
	page = b.get("/account/security")
	if !strings.Contains(page.text, "Laptop") {
		t.Errorf("%d: not listed:\n%s", page.StatusCode, page.text)
	}
	id := regexp.MustCompile(`passkeys/remove\?id=([A-Z0-9]+)`).FindStringSubmatch(page.text)
	if id == nil {
		t.Fatalf("cannot be removed:\n%s", page.text)
	}
	if page = b.post("/account/security/passkeys/remove", "id", id[1]); !strings.Contains(page.text, "The passkey is removed.") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	b = h.browser()
	page = b.get("/login")
	page = b.post("/login/passkey", "flow", page.flow(), "passkey", k.given(t, page))
	if page.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page.text, "was removed") || b.cookie("session") != "" {
		t.Errorf("one that was removed: %d\n%s\n%s", page.StatusCode, page.text, h.log.String())
	}
}

// One that knows nobody is something held, no more: first or second, it takes the
// password as well; and the password alone does not do any more.
func TestPasskeyWithoutVerificationIsOneFactor(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k := newToken()
	k.Flags &^= passkeytest.Verified
	b := h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	b.adds(k)
	for _, first := range []bool{true, false} {
		b := h.browser()
		page := b.get("/login")
		if first {
			page = b.post("/login/passkey", "flow", page.flow(), "passkey", k.given(t, page))
			if b.cookie("session") != "" || !strings.Contains(page.text, `name="password"`) {
				t.Fatalf("the key alone: %d\n%s", page.StatusCode, page.text)
			}
			page = b.post("/login/password", "flow", page.flow(), "password", rightPassword)
		} else {
			page = b.signIn(page, "grace", rightPassword)
			if b.cookie("session") != "" || !strings.Contains(page.text, "Use your passkey") {
				t.Fatalf("the password alone: %d\n%s", page.StatusCode, page.text)
			}
			page = b.post("/login/passkey", "flow", page.flow(), "passkey", k.given(t, page))
		}
		if b.cookie("session") == "" {
			t.Fatalf("both, key first %v: %d\n%s", first, page.StatusCode, page.text)
		}
		var acr string
		h.ok(h.inDBRow("SELECT acr FROM sessions ORDER BY created_at DESC LIMIT 1", &acr))
		if acr != flows.ACR2FA {
			t.Errorf("key first %v: acr %s", first, acr)
		}
	}
}
