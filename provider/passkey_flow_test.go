package provider

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

// knowsNobody makes it an authenticator without PIN and finger.
func knowsNobody(s *passkeytest.Says) { s.Flags &^= passkeytest.Verified }

// after moves the clock of the pages on: what was proven is older.
func (h *house) after(d time.Duration) {
	h.engine.Now = func() time.Time { return h.Store.Now().Add(d) }
}

// claims are those of the ID token that the app gets for the code in an answer.
func (p *person) claims(a answer) map[string]any {
	p.h.t.Helper()
	if a.code() == "" {
		p.h.t.Fatalf("%d %s: no code:\n%s", a.StatusCode, a.Header.Get("Location"), a.text)
	}
	got := p.post("/token", "grant_type", "authorization_code", "code", a.code(), "code_verifier", verifier,
		"redirect_uri", "https://app.example/cb", "client_id", "app", "client_secret", clientSecret)
	var tokens struct {
		ID string `json:"id_token"`
	}
	p.h.ok(json.Unmarshal([]byte(got.text), &tokens))
	b, err := p.h.Keys.Verify(tokens.ID)
	p.h.ok(err)
	claims := map[string]any{}
	p.h.ok(json.Unmarshal(b, &claims))
	return claims
}

func amr(claims map[string]any) (all []string) {
	for _, m := range claims["amr"].([]any) {
		all = append(all, m.(string))
	}
	slices.Sort(all)
	return all
}

// What the app hears of a passkey: its class, and the methods of RFC 8176. One that
// knows its person is phr, which is two factors to whoever asks for those.
func TestWhatAppsHearOfAPasskey(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	synced := passkeytest.New("id.example")
	synced.Flags |= passkeytest.Eligible | passkeytest.BackedUp
	b := h.browser()
	b.signIn(b.get("/login"), "edith", rightPassword)
	b.makes(synced)
	for _, c := range []struct {
		ask string
		key *passkeytest.Key
		acr string
		amr []string
	}{
		{"", k, flows.ACRPhr, []string{"hwk", "mfa", "user"}},
		{"&acr_values=phr", k, flows.ACRPhr, []string{"hwk", "mfa", "user"}},
		{"&acr_values=urn%3Amedximity%3Aacr%3A2fa", k, flows.ACRPhr, []string{"hwk", "mfa", "user"}},
		{"&acr_values=urn%3Amedximity%3Aacr%3A1fa", k, flows.ACRPhr, []string{"hwk", "mfa", "user"}},
		{"&acr_values=phr", synced, flows.ACRPhr, []string{"mfa", "swk", "user"}},
	} {
		b := h.browser()
		page := b.authorize(c.ask)
		claims := b.claims(b.uses(c.key, page, nil))
		if claims["acr"] != c.acr || !slices.Equal(amr(claims), c.amr) {
			t.Errorf("%s: acr %v, amr %v", c.ask, claims["acr"], amr(claims))
		}
		// It is enough for all that comes after, unasked.
		if claims := b.claims(b.authorize("&acr_values=urn%3Amedximity%3Aacr%3A2fa&prompt=none")); claims["acr"] != c.acr {
			t.Errorf("%s: then %v", c.ask, claims)
		}
	}
}

// One that knows nobody, after the password: two factors, and not phr.
func TestAPasskeyAsSecondFactor(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	b := h.browser()
	page := b.signIn(b.authorize("&acr_values=phr"), "grace", rightPassword)
	if b.cookie("session") != "" || !strings.Contains(page.text, "Use your passkey") || !strings.Contains(page.text, "way=backup-code") {
		t.Fatalf("%d: neither a passkey nor a backup code is asked for:\n%s", page.StatusCode, page.text)
	}
	claims := b.claims(b.uses(k, page, knowsNobody))
	if claims["acr"] != flows.ACR2FA || !slices.Equal(amr(claims), []string{"hwk", "mfa", "pwd", "user"}) {
		t.Errorf("acr %v, amr %v", claims["acr"], amr(claims))
	}
	// Edith's passkey is not Grace's second factor.
	e, _ := h.enrolled("edith")
	b = h.browser()
	page = b.signIn(b.get("/login"), "grace", rightPassword)
	page = b.uses(e, page, nil)
	if page.StatusCode != 422 || b.cookie("session") != "" || !strings.Contains(page.text, unknownKey) {
		t.Errorf("Edith's after Grace's password: %d\n%s", page.StatusCode, page.text)
	}
	if _, reason, _ := h.lastRefusal(); reason != string(account.PasskeyForeign) {
		t.Errorf("told as %s", reason)
	}
}

// prompt=login and max_age are answered with the passkey alone, if it knows its
// person, and the session says that it is new.
func TestAPasskeyStepsUp(t *testing.T) {
	for _, ask := range []string{"&prompt=login", "&max_age=60"} {
		h := newHouse(t, "https://id.example")
		k, b := h.enrolled("grace")
		before := b.claims(b.authorize(""))["auth_time"].(float64)
		h.inDB("UPDATE sessions SET auth_time = auth_time - 600000000")
		page := b.authorize(ask)
		if !strings.Contains(page.text, "way=passkey") {
			t.Fatalf("%s: %d, and no way by passkey:\n%s", ask, page.StatusCode, page.text)
		}
		page = b.get("/login?flow=" + page.flow() + "&way=passkey")
		if bad := b.uses(k, page, says("origin", "https://evil.example")); bad.code() != "" || bad.StatusCode != 422 {
			t.Errorf("%s: a wrong one: %d", ask, bad.StatusCode)
		}
		claims := b.claims(b.uses(k, page, nil))
		if claims["acr"] != flows.ACRPhr || claims["auth_time"].(float64) < before {
			t.Errorf("%s: %v", ask, claims)
		}
	}
}

// A passkey that knows nobody steps up with the password only.
func TestAPasskeyThatKnowsNobodyStepsUpWithThePassword(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, b := h.enrolled("grace")
	page := b.authorize("&prompt=login")
	page = b.uses(k, b.get("/login?flow="+page.flow()+"&way=passkey"), knowsNobody)
	if page.code() != "" || !strings.Contains(page.text, `name="password"`) {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	if claims := b.claims(b.post("/login/password", "flow", page.flow(), "password", rightPassword)); claims["acr"] != flows.ACR2FA {
		t.Errorf("%v", claims)
	}
}

// ASVS 6.2.3: whoever changes the password says the one there is, however they
// signed in.
func TestChangingThePasswordAsksForItDespiteAPasskey(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	for _, old := range []bool{false, true} { // a fresh session, and one that has to be proven anew
		h.after(0)
		b := h.browser()
		b.uses(k, b.get("/login"), nil)
		if old {
			h.after(6 * time.Minute)
		}
		page := b.post("/account/security/password")
		if !strings.Contains(page.text, `name="password"`) {
			t.Fatalf("old %v: %d\n%s", old, page.StatusCode, page.text)
		}
		flow := page.flow()
		const next = "a lantern over quiet water"
		for _, step := range []string{"new-password", "passkey"} {
			page = b.post("/login/"+step, "flow", flow, "new_password", next, "confirm_password", next,
				"passkey", k.Use(make([]byte, 32), nil))
			if !strings.Contains(page.text, `name="password"`) {
				t.Errorf("old %v, %s out of turn: %d\n%s", old, step, page.StatusCode, page.text)
			}
		}
	}
	h.after(0)
	b := h.browser()
	if page := b.signIn(b.get("/login"), "grace", rightPassword); !strings.Contains(page.text, "Use your passkey") {
		t.Errorf("the password has changed: %d\n%s", page.StatusCode, page.text)
	}
}

// Adding a passkey from a session that is not fresh is proven with one there is:
// what proves it is not taken for the new one.
func TestASecondPasskeyIsAddedByTheFirst(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	b := h.browser()
	b.uses(k, b.get("/login"), nil)
	h.after(6 * time.Minute)
	page := b.post("/account/security/passkeys")
	page = b.uses(k, b.get("/login?flow="+page.flow()+"&way=passkey"), nil)
	if page.StatusCode != 200 || !strings.Contains(page.text, `data-passkey="create"`) {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	if n, reason, _ := h.lastRefusal(); n != 0 {
		t.Errorf("refused for %s", reason)
	}
	second := passkeytest.New("id.example")
	if page = b.saves(b.sets(second, page)); !strings.Contains(page.text, "The passkey is added.") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	// The session stands for all that it stood for, through a change of what it
	// was proven by, too.
	page = b.post("/account/security/backup-codes")
	if page = b.saves(page); !strings.Contains(page.text, "account/security") {
		t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	if claims := b.claims(b.authorize("")); claims["acr"] != flows.ACRPhr || !slices.Equal(amr(claims), []string{"hwk", "mfa", "user"}) {
		t.Errorf("acr %v, amr %v", claims["acr"], amr(claims))
	}
	for _, key := range []*passkeytest.Key{k, second} {
		b := h.browser()
		if b.uses(key, b.get("/login"), nil); b.cookie("session") == "" {
			t.Error("one of the two does not sign in")
		}
	}
}

// A credential that somebody has already, them or another, is not added again.
func TestAPasskeyIsAddedOnce(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, grace := h.enrolled("grace")
	edith := h.browser()
	edith.signIn(edith.get("/login"), "edith", rightPassword)
	for name, b := range map[string]*person{"id-grace": grace, "id-edith": edith} {
		forged := *k
		page := b.sets(&forged, b.post("/account/security/passkeys"))
		if page.StatusCode != 422 {
			t.Errorf("%s: %d\n%s", name, page.StatusCode, page.text)
		}
		if _, reason, subject := h.lastRefusal(); reason != string(account.PasskeyKnown) || subject != name {
			t.Errorf("%s: told as %s of %s", name, reason, subject)
		}
	}
	b := h.browser()
	if b.uses(k, b.get("/login"), nil); b.cookie("session") == "" {
		t.Error("it does not sign in any more")
	}
}

// Whose password is right and who has nothing but a passkey is let in by it or by a
// backup code, and by nothing else.
func TestAPasskeyIsTheOnlySecondFactor(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	page := b.sets(passkeytest.New("id.example"), b.post("/account/security/passkeys"))
	codes := backupCodes.FindAllString(page.text, -1)
	b.saves(page)
	if len(codes) < account.BackupCodes {
		t.Fatalf("%d backup codes come with it:\n%s", len(codes), page.text)
	}
	b = h.browser()
	page = b.signIn(b.get("/login"), "grace", rightPassword)
	for _, step := range []string{"set-up-totp", "totp", "backup-codes", "identify", "password"} {
		b.post("/login/"+step, "flow", page.flow(), "otp", "000000", "saved", "yes", "identifier", "grace", "password", rightPassword)
		if b.cookie("session") != "" {
			t.Fatalf("in by %s", step)
		}
	}
	b.post("/login/backup-code", "flow", page.flow(), "backup_code", codes[0])
	if b.cookie("session") == "" {
		t.Error("not by a backup code")
	}
}
