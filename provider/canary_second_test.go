package provider

import (
	"encoding/base32"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

var (
	otpauth     = regexp.MustCompile(`otpauth://[^"]+`)
	backupCodes = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{5}`)
)

// T25 for second factors: keys, codes and links of a whole journey are in no
// log, metric, event or database, in any form; nor is a link in another mail
// than its own, or a code in any.
func TestNoSecretOfASecondFactorIsLeftBehind(t *testing.T) {
	h := newHouse(t, "https://id.example")
	now := h.Store.Now()
	h.engine.Now = func() time.Time { return now } // codes are to be found again
	b := h.browser()
	secrets := map[string]string{"the password": rightPassword}
	personal := map[string]string{"an e-mail address": "grace@river.example", "the new one": "canary@new.example",
		"a phone's name": "Canary phone"}

	b.signIn(b.get("/login"), "grace", rightPassword)
	page := b.post("/account/security/authenticators")
	u, err := url.Parse(strings.ReplaceAll(otpauth.FindString(page.text), "&amp;", "&"))
	h.ok(err)
	secrets["the key as typed"] = u.Query().Get("secret")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secrets["the key as typed"])
	h.ok(err)
	secrets["the key"], secrets["the whole URI"] = string(key), u.String()
	page = b.post("/login/set-up-totp", "flow", page.flow(), "otp", account.ShowCode(key, now), "authenticator", personal["a phone's name"])
	codes := backupCodes.FindAllString(page.text, -1)
	if len(codes) != account.BackupCodes {
		t.Fatalf("%d codes on %d %s", len(codes), page.StatusCode, page.text)
	}
	b.get("/login/backup-codes.txt?flow=" + page.flow())
	b.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	for _, c := range codes {
		secrets["backup code "+c], secrets["backup code "+c+", bare"] = c, strings.ReplaceAll(c, "-", "")
		secrets["backup code "+c+", typed"] = strings.ToLower(c)
	}
	b.post("/logout")
	page = b.signIn(b.get("/login"), "grace", rightPassword)
	b.post("/login/totp", "flow", page.flow(), "otp", account.ShowCode(key, now)) // a replay
	b.post("/login/totp", "flow", page.flow(), "otp", secrets["the password"])    // a slip
	b.post("/login/backup-code", "flow", page.flow(), "backup_code", secrets["the key as typed"])
	b.post("/login/backup-code", "flow", page.flow(), "backup_code", "CANR-YCAN-ARYCA")
	secrets["a wrong backup code"] = "CANR-YCAN-ARYCA"
	secrets["a wrong backup code, bare"] = "CANRYCANARYCA"
	b.post("/login/backup-code", "flow", page.flow(), "backup_code", codes[0])
	b.post("/account/email", "email", personal["the new one"])
	secrets["the session"] = b.cookie("session")

	// Added, made, used, and the two of the address.
	mails := h.mails(5)
	for _, m := range mails {
		for _, name := range []string{"token", "cancel", "not_me"} {
			if v, ok := m.Data[name].(string); ok {
				secrets[m.Template+"'s "+name] = v
			}
		}
	}
	for _, m := range mails {
		text, err := h.Templates.Mail("en", m.Template, map[string]any{"left": m.Data["left"], "new": "x", "link": "x", "cancel_link": "x",
			"not_me_link": "x", "support_link": "x", "forgot_link": "x", "login_link": "x", "security_link": "x"})
		h.ok(err)
		for name, s := range secrets {
			if strings.Contains(text.Text+text.HTML+text.Subject, s) {
				t.Errorf("the mail %s has %s", m.Template, name)
			}
		}
	}
	for name, s := range secrets {
		if strings.Contains(name, "'s ") {
			b.get("/confirm-email?token=" + s)
			b.get("/not-me?token=" + s)
		}
	}
	if len(secrets) < 35 {
		t.Errorf("only %d secrets: the journey is not what it was", len(secrets))
	}
	h.leftBehind(secrets, personal)
}
