package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/store"
)

// forms are the ways in which a secret could be written somewhere.
func forms(secret string) map[string]string {
	all := map[string]string{"raw": secret, "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"hex":       hex.EncodeToString([]byte(secret)), "URL": url.QueryEscape(secret)}
	if b, err := base64.RawURLEncoding.DecodeString(secret); err == nil && len(b) >= 16 {
		all["bytes"], all["their hex"] = string(b), hex.EncodeToString(b)
	}
	return all
}

// T25 for what exists: a whole journey, every secret of which is looked for in
// the log at its most talkative, the metrics, the events that the audit trail
// is made of, and the database file.
func TestNoSecretIsLeftBehind(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	secrets := map[string]string{"the password": rightPassword, "a wrong password": "canary-wrong-pässword-&-more",
		"the new password": "canary lantern over quiet water", "the client's secret": clientSecret,
		"an NPI": "1558598797"}
	personal := map[string]string{"an e-mail address": "grace@river.example", "a stranger's": "canary@nowhere.example",
		"a name": "Grace Hopper", "what was typed into support": "Canary Clinic"}
	_, err := h.Store.AddPerson(t.Context(), store.NewPerson{Username: "ida", Email: "ida@river.example",
		Claims: map[string]any{"npi": secrets["an NPI"]}}, "test")
	h.ok(err)

	page := b.authorize("&login_hint=" + url.QueryEscape(personal["an e-mail address"]))
	for range 5 {
		b.signIn(page, "grace@river.example", secrets["a wrong password"])
	}
	b.signIn(page, personal["a stranger's"], secrets["a wrong password"])
	// A password where the name belongs is a common slip.
	b.post("/login/identify", "flow", page.flow(), "identifier", secrets["a wrong password"], "password", secrets["the password"])
	b.post("/contact-support", "name", "Canary", "practice", personal["what was typed into support"], "username", "grace",
		"npi", secrets["an NPI"], "email", personal["a stranger's"])
	b.post("/forgot-password", "email", personal["a stranger's"])
	b.post("/forgot-password", "email", personal["an e-mail address"])
	for _, m := range h.mails(5) { // of the lock, to Support, of the case, and two links
		if m.Template == "reset" && m.Subject == "id-grace" {
			secrets["the reset token"], secrets["the cancel token"] = m.Data["token"].(string), m.Data["cancel"].(string)
		}
		if m.Template == "case_opened" {
			secrets["the case's link"] = m.Data["token"].(string)
		}
	}
	b.get("/contact-support/case?token=" + secrets["the case's link"])
	b.post("/contact-support/case/confirm", "token", secrets["the case's link"])
	b.get("/reset-password/cancel?token=" + secrets["the cancel token"])
	form := b.get("/reset-password?token=" + secrets["the reset token"])
	page = b.post("/reset-password", "flow", form.flow(), "new_password", secrets["the new password"], "confirm_password", secrets["the new password"])
	b.get("/reset-password?token=" + secrets["the reset token"]) // used by now
	to, err := b.signIn(page, "grace", secrets["the new password"]).Location()
	h.ok(err)
	secrets["the code"] = to.Query().Get("code")
	secrets["the session"], secrets["the browser's binding"] = b.cookie("session"), b.cookie("browser")
	secrets["the device"] = b.cookie("device")
	redeem := []string{"grant_type", "authorization_code", "code", secrets["the code"],
		"redirect_uri", "https://app.example/cb", "code_verifier", verifier}
	secrets["the verifier"] = verifier
	secrets["the access token"], secrets["the refresh token"] = h.exchange(b, redeem...)
	secrets["the next access token"], secrets["the next refresh token"] =
		h.exchange(b, "grant_type", "refresh_token", "refresh_token", secrets["the refresh token"])
	ask, err := newGET(h.issuer + "/userinfo")
	ask.Header.Set("Authorization", "Bearer "+secrets["the next access token"])
	if a := b.do(ask, err); !strings.Contains(a.text, personal["an e-mail address"]) {
		t.Errorf("userinfo: %s", a.text)
	}
	b.post("/token", append(redeem, "client_id", "app", "client_secret", clientSecret)...) // a replay
	b.post("/revoke", "token", secrets["the refresh token"], "client_id", "app", "client_secret", "wrong-"+clientSecret)
	b.post("/logout")
	h.mails(1) // the notice of the reset

	h.leftBehind(secrets, personal)
}

// leftBehind looks for secrets everywhere that outlives a request, and for what
// is personal everywhere but in the database.
func (h *house) leftBehind(secrets, personal map[string]string) {
	t := h.t
	t.Helper()
	metrics := httptest.NewRecorder()
	h.Operator().ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
	h.mu.Lock()
	defer h.mu.Unlock()
	trail := fmt.Sprintf("%+v", h.events)
	places := map[string]string{"the log": h.log.String(), "the metrics": metrics.Body.String(), "the audit trail": trail}
	for where, text := range places {
		if text == "" && where != "the log" {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
		for _, hay := range []map[string]string{secrets, personal} {
			for name, s := range hay {
				for form, needle := range forms(s) {
					if strings.Contains(text, needle) {
						t.Errorf("%s has %s, %s", where, name, form)
					}
				}
			}
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.ReadFile(h.db + suffix)
		h.ok(err)
		if suffix == "-wal" && !bytes.Contains(file, []byte(personal["an e-mail address"])) {
			t.Error("the database does not even know whom it mails: nothing was looked at")
		}
		for name, s := range secrets {
			for form, needle := range forms(s) {
				if bytes.Contains(file, []byte(needle)) {
					t.Errorf("the database%s has %s, %s", suffix, name, form)
				}
			}
		}
	}
}
