package mail

import (
	"maps"
	"mime"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// teamMails are all mails that hold what people of a practice typed.
var teamMails = map[string]map[string]any{
	"team role":        {"what": "role", "role": "front_desk"},
	"team deactivated": {"what": "deactivated"},
	"transfer_offer":   {"hours": 72},
	"transfer_offered": {"hours": 72, "not_me": "T"},
	"transfer_agreed":  {"hours": 24, "cancel": "T"},
	"transfer_ended":   {},
	"transfer_done":    {},
	"invite":           {"token": "T", "to": "zoe@guest.example", "hours": 72},
	"invited_known":    {},
}

// hostile are names that are code to somebody: to a terminal, a reader from
// right to left, a browser, a mail server, a spreadsheet, a template.
var hostile = []string{
	"a\x00b\x07\x1b[31mred\x7f", "\u202egnp.exe\u2066x\u2069\u200f\u200e", "zero\u200bwidth\ufeff\u00ad", "tag\U000e0041\U000e007f",
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' style='position:fixed`, `</p></td></tr></table><a href="https://evil.example">here</a>`,
	`<!-- `, `]]>`, `&lt;b&gt;`, `javascript:alert(1)`,
	"N\r\nBcc: eve@evil.example", "N\n\n.\r\nMAIL FROM:<a@b>", "N\u2028To: eve@evil.example\u2029", "N\u0085X: y\vz\f", "=?utf-8?q?a=0D=0ABcc:_eve?=",
	"=1+1", "+1+1", "-1+1", "@SUM(1)", "=cmd|' /C calc'!A0", "＝1+1",
	`{{.Data.support_link}}`, `{{template "button"}}`, "%s%d%!v", strings.Repeat("long ", 300),
}

var tag = regexp.MustCompile(`(?s)<[^>]*>`)

// Whatever a practice and its people are called, a mail of theirs is the mail
// that it is for anybody: with the same headers, lines, tags and links, and no
// character that nobody can see.
func TestHostileNamesInTheMailsOfATeam(t *testing.T) {
	srv := serve(t, clear, &server{})
	sent := 0
	for _, lang := range []string{"en", "ko"} {
		to := sender(t, srv, grace(func(e *directory.Entry) { e.Locale = lang }), nil)
		for _, name := range slices.Sorted(maps.Keys(teamMails)) {
			tame := teamLetter(t, to, srv, name, "Kim")
			for _, bad := range hostile {
				got := teamLetter(t, to, srv, name, bad)
				sent++
				if d := cmp.Diff(tag.FindAllString(tame.html, -1), tag.FindAllString(got.html, -1)); d != "" {
					t.Errorf("%s, %s, %q: other tags (-tame +hostile):\n%s", name, lang, bad, d)
				}
				if a, b := strings.Count(tame.text, "\n"), strings.Count(got.text, "\n"); a != b {
					t.Errorf("%s, %s, %q: %d lines of text, not %d", name, lang, bad, b, a)
				}
				for part, s := range map[string]string{"subject": got.subject, "text": got.text, "HTML": got.html} {
					if strings.ContainsFunc(strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(s), unsafe) {
						t.Errorf("%s, %s, %q: unseen characters in the %s: %q", name, lang, bad, part, s)
					}
				}
				if plain := templates.Line(bad); !strings.HasPrefix(name, "invite") && !strings.Contains(got.text, plain) {
					t.Errorf("%s, %s: %q is not in it:\n%s", name, lang, plain, got.text)
				}
			}
		}
	}
	t.Logf("%d letters", sent)
}

// read is a letter as its reader has it.
type read struct{ subject, text, html string }

// teamLetter sends a mail in which everybody has the same name, and holds its
// envelope and its headers against what they may be.
func teamLetter(t *testing.T, to *Sender, srv *server, name, called string) read {
	t.Helper()
	template, _, _ := strings.Cut(name, " ")
	m := store.Mail{ID: "M", Template: template, Subject: "grace", Data: maps.Clone(teamMails[name])}
	for _, who := range []string{"actor", "practice", "owner", "heir"} {
		m.Data[who] = called
	}
	if err := to.Send(t.Context(), m); err != nil {
		t.Fatalf("%s, %q: %v", name, called, err)
	}
	all := srv.letters()
	l := all[len(all)-1]
	header, parts := l.parsed(t)
	if len(l.rcpt) != 1 || strings.Contains(l.rcpt[0], "evil") {
		t.Errorf("%s, %q: recipients %q", name, called, l.rcpt)
	}
	for key, v := range header {
		if len(v) != 1 || !known[key] {
			t.Errorf("%s, %q: header %s: %q", name, called, key, v)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil {
		t.Errorf("%s, %q: %v", name, called, err)
	}
	return read{subject, parts["text/plain"], parts["text/html"]}
}
