package templates

import (
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const origin = "https://id.medximity.example/id"

// letters is what package mail gives each mail.
func letters() map[string]map[string]any {
	links := func(more map[string]any) map[string]any {
		d := map[string]any{"support_link": origin + "/contact-support",
			"forgot_link": origin + "/forgot-password", "login_link": origin + "/login",
			"security_link": origin + "/account/security"}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	notMe := map[string]any{"not_me_link": origin + "/not-me?token=abc-_3"}
	return map[string]map[string]any{
		"reset": links(map[string]any{"link": origin + "/reset-password?token=abc-_1",
			"cancel_link": origin + "/reset-password/cancel?token=def-_2", "minutes": float64(60)}),
		"locked":                links(map[string]any{"minutes": 30}),
		"password_reset":        links(notMe),
		"password_changed":      links(notMe),
		"second_factor_added":   links(notMe),
		"passkey_added":         links(notMe),
		"passkey_removed":       links(notMe),
		"second_factor_removed": links(notMe),
		"second_factor_reset":   links(nil),
		"second_factor_held":    links(nil),
		"transfer_offer":        links(map[string]any{"owner": "Grace", "heir": "Daniel", "practice": "Riverside", "hours": float64(72), "ownership_link": origin + "/account/ownership"}),
		"transfer_offered":      links(map[string]any{"owner": "Grace", "heir": "Daniel", "practice": "Riverside", "hours": float64(72), "ownership_link": origin + "/account/ownership", "not_me_link": notMe["not_me_link"]}),
		"transfer_agreed": links(map[string]any{"owner": "Grace", "heir": "Daniel", "practice": "Riverside", "hours": float64(24),
			"cancel_link": origin + "/ownership/cancel?token=abc-_7"}),
		"transfer_ended": links(map[string]any{"owner": "Grace", "heir": "Daniel", "practice": "Riverside"}),
		"transfer_done":  links(map[string]any{"owner": "Grace", "heir": "Daniel", "practice": "Riverside"}),
		"team": links(map[string]any{"what": "role", "role": "front_desk", "actor": "Grace Okafor",
			"practice": "Riverside Family Practice"}),
		"backup_code_used":  links(map[string]any{"left": float64(3), "not_me_link": notMe["not_me_link"]}),
		"backup_codes_made": links(notMe),
		"email_confirm_old": links(map[string]any{"link": origin + "/confirm-email?token=abc-_4",
			"cancel_link": origin + "/confirm-email/cancel?token=def-_5", "new": "grace@new.example"}),
		"email_confirm_new": links(map[string]any{"link": origin + "/confirm-email?token=abc-_6", "new": "grace@new.example"}),
		"email_changed":     links(map[string]any{"new": "grace@new.example", "not_me_link": notMe["not_me_link"]}),
		"invite":            links(map[string]any{"link": origin + "/invite?token=abc-_7", "practice": "Riverside", "hours": float64(72)}),
		"invited_known":     links(map[string]any{"practice": "Riverside"}),
		"support_request": links(map[string]any{"reference": "AB12CD34", "name": "Grace", "practice": "Riverside",
			"npi": "", "username": "grace", "email": "grace@new.example", "happened": "Lost my phone."}),
		"case_notice": links(map[string]any{"reference": "AB12CD34", "link": origin + "/contact-support/stop?token=abc-_9", "remedies": []any{"email", "second"},
			"own": true, "hours": float64(24), "name": "Grace Okafor", "practice": "Riverside"}),
		"case_reply":  links(map[string]any{"reference": "AB12CD34", "reply": "identity"}),
		"case_done":   links(map[string]any{"reference": "AB12CD34", "remedies": []any{"unlock"}, "not_me_link": notMe["not_me_link"]}),
		"case_opened": links(map[string]any{"reference": "AB12CD34", "link": origin + "/contact-support/case?token=abc-_8"}),
	}
}

// The lock of one known device is not said to be the account's.
func TestMailOfADevicesLock(t *testing.T) {
	s := load(t)
	for _, lang := range Languages() {
		data := letters()["locked"]
		account, err := s.Mail(lang, "locked", data)
		if err != nil {
			t.Fatal(err)
		}
		data["device"] = true
		device, err := s.Mail(lang, "locked", data)
		if err != nil {
			t.Fatal(err)
		}
		words := s.Text(lang, "mail.locked.device", nil)
		for form, texts := range map[string][2]string{"text": {account.Text, device.Text}, "HTML": {account.HTML, device.HTML}} {
			if strings.Contains(texts[0], words) || !strings.Contains(texts[1], words) {
				t.Errorf("%s %s: %q\n%s", lang, form, words, texts[1])
			}
		}
		checkMailHTML(t, device.HTML, lang)
	}
}

// Every mail, in every language, in both of its forms: whole, with its links,
// and with nothing that is fetched when it is opened.
func TestMails(t *testing.T) {
	s := load(t)
	for name, data := range letters() {
		for _, lang := range Languages() {
			t.Run(name+" "+lang, func(t *testing.T) {
				m, err := s.Mail(lang, name, data)
				if err != nil {
					t.Fatal(err)
				}
				for form, text := range map[string]string{"subject": m.Subject, "text": m.Text, "HTML": m.HTML} {
					if strings.TrimSpace(text) == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "{{") {
						t.Errorf("%s:\n%s", form, text)
					}
				}
				checkMailHTML(t, m.HTML, lang)
				for key, link := range data {
					if key == "login_link" || !strings.HasSuffix(key, "link") || name == "support_request" {
						continue
					}
					if used := strings.Contains(m.Text, link.(string)); used != strings.Contains(m.HTML, link.(string)) {
						t.Errorf("%s is in one form only", key)
					}
				}
			})
		}
	}
	files, _ := fs.Glob(files, "mail/[a-z]*")
	for _, file := range files {
		if letters()[nameOf(file)] == nil {
			t.Errorf("%s has no sample here", file)
		}
	}
}

func checkMailHTML(t *testing.T, body, lang string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "img", "script", "link", "style", "iframe", "form", "input":
			t.Errorf("a <%s>", n.Data)
		case "html":
			if attr(n, "lang") != lang {
				t.Errorf("lang=%q", attr(n, "lang"))
			}
		case "a":
			if !strings.HasPrefix(attr(n, "href"), origin+"/") {
				t.Errorf("a link to %q", attr(n, "href"))
			}
		}
		if strings.Contains(attr(n, "style"), "url(") || strings.Contains(attr(n, "style"), "ZgotmplZ") {
			t.Errorf("style %q", attr(n, "style"))
		}
	}
}

// The link is on a line of its own in the plain text, so that every program
// makes it clickable whole, and in full below the button.
func TestResetMailHasItsLinkInFull(t *testing.T) {
	m, err := load(t).Mail("en", "reset", letters()["reset"])
	if err != nil {
		t.Fatal(err)
	}
	link := letters()["reset"]["link"].(string)
	if !strings.Contains(m.Text, "Reset My Password:\n"+link+"\n") {
		t.Errorf("the text has it not on a line of its own:\n%s", m.Text)
	}
	if !strings.Contains(m.HTML, `>Reset My Password</a>`) || !strings.Contains(m.HTML, `>`+link+`</a>`) {
		t.Errorf("the HTML has no button, or no link in full:\n%s", m.HTML)
	}
	for _, want := range []string{"60 minutes", "This was not me", "never ask"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
}

// What tells of a change says what to do if it was somebody else's: first the
// button that shuts them out, then Support.
func TestMailsOfChangesLeadToNotMe(t *testing.T) {
	s := load(t)
	for name, data := range letters() {
		link, ok := data["not_me_link"].(string)
		if !ok {
			continue
		}
		m, err := s.Mail("en", name, data)
		if err != nil {
			t.Fatal(err)
		}
		support := data["support_link"].(string)
		if at := strings.Index(m.Text, "This Was Not Me:\n"+link+"\n"); at < 0 || at > strings.Index(m.Text, support) {
			t.Errorf("%s: the link is not there, or after Support:\n%s", name, m.Text)
		}
		if !strings.Contains(m.HTML, ">This Was Not Me</a>") || !strings.Contains(m.HTML, ">"+link+"</a>") ||
			!strings.Contains(m.HTML, ">"+support+"</a>") {
			t.Errorf("%s: the HTML lacks the button, its address or Support:\n%s", name, m.HTML)
		}
	}
}

func TestMailRefusesToGoOutWithAHole(t *testing.T) {
	s := load(t)
	for _, tt := range []struct {
		name, lang, mail string
		data             map[string]any
	}{
		{"no link", "en", "reset", map[string]any{"minutes": 60}},
		{"no data", "en", "reset", nil},
		{"no such mail", "en", "advert", letters()["reset"]},
		{"no such language", "de", "reset", letters()["reset"]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if m, err := s.Mail(tt.lang, tt.mail, tt.data); err == nil {
				t.Errorf("it was written:\n%s", m.Text)
			}
		})
	}
}

// CVE-2024-41953 (Zitadel): what people type must not become markup, nor lines
// of its own, in a mail.
func TestTypedTextStaysText(t *testing.T) {
	s := load(t)
	for _, typed := range []string{
		`<a href="https://evil.example">Click</a>`, "Grace\r\nNPI: 1234567893", "Grace\u2028forged", "a\u202eb\u2066c",
		`"><img src=x onerror=alert(1)>`, "{{.link}}", "javascript:alert(1)",
	} {
		data := letters()["support_request"]
		for _, field := range []string{"name", "practice", "npi", "username", "email", "happened"} {
			data[field] = typed
		}
		m, err := s.Mail("en", "support_request", data)
		if err != nil {
			t.Fatal(err)
		}
		checkMailHTML(t, m.HTML, "en")
		if got, want := strings.Count(m.Text, "\n"), 12; got != want {
			t.Errorf("%q: %d lines, want %d:\n%s", typed, got, want, m.Text)
		}
		if strings.ContainsAny(m.Text, "\u202e\u2066\u2028\r") {
			t.Errorf("%q came through: %q", typed, m.Text)
		}
	}
}
