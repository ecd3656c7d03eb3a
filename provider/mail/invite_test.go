package mail

import (
	"errors"
	"html"
	"mime"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// An invitation goes to an address that no directory has, in the language of
// whoever invites, with a link; to who has an account goes the news of it, in
// their own language, with nothing that does anything.
func TestMailsOfAnInvitation(t *testing.T) {
	stopped := grace(func(e *directory.Entry) { e.Disabled, e.EmailVerified, e.Locale = true, false, "fr" })
	for _, tt := range []struct {
		name           string
		people         people
		mail           store.Mail
		to, subject    string
		says, saysNone []string
	}{
		{"the link", people{}, store.Mail{Template: "invite", Subject: "i1", Locale: "es",
			Data: map[string]any{"token": "tok1", "to": "zoe@guest.example", "practice": "Riverside & Sons", "hours": float64(72)}},
			"zoe@guest.example", "Únase a Riverside & Sons en Medximity",
			[]string{"https://id.example/id/invite?token=tok1", "Riverside & Sons", "72 horas"}, []string{"ocurrió en su cuenta"}},
		{"to who has an account, if it is stopped", stopped, store.Mail{Template: "invited_known", Subject: "grace", Locale: "es",
			Data: map[string]any{"practice": "Riverside"}}, "grace@riverside.example", "Riverside a voulu vous inviter",
			[]string{"https://id.example/id/contact-support", "Vous avez déjà un compte"}, []string{"token", "/invite", "/login"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, clear, &server{})
			tt.mail.ID = "M"
			if err := sender(t, srv, tt.people, nil).Send(t.Context(), tt.mail); err != nil {
				t.Fatal(err)
			}
			got := srv.letters()[0]
			header, parts := got.parsed(t)
			subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
			if err != nil || len(got.rcpt) != 1 || got.rcpt[0] != tt.to || subject != tt.subject {
				t.Errorf("to %q, subject %q %v", got.rcpt, subject, err)
			}
			for _, part := range []string{parts["text/plain"], html.UnescapeString(parts["text/html"])} {
				for _, want := range tt.says {
					if !strings.Contains(part, want) {
						t.Errorf("%q is missing:\n%s", want, part)
					}
				}
				for _, not := range tt.saysNone {
					if strings.Contains(part, not) {
						t.Errorf("%q is there:\n%s", not, part)
					}
				}
			}
		})
	}
}

// Wherever an invitation is said to go, it is exactly one address, or nowhere;
// and whatever a practice is called, its mail has the headers that we gave it.
func TestInvitationsCannotBeSpiked(t *testing.T) {
	srv := serve(t, clear, &server{})
	s := sender(t, srv, grace(nil), nil)
	for _, to := range []any{nil, "", "zoe", "a@x.example,b@y.example", "a@x.example\r\nBcc: eve@evil.example", []any{"a@x.example"}, "<a@x.example>"} {
		var e *Error
		err := s.Send(t.Context(), store.Mail{Template: "invite", Subject: "grace", Data: map[string]any{"token": "t", "to": to, "practice": "P", "hours": 72}})
		if !errors.As(err, &e) || !e.Permanent() {
			t.Errorf("to %v: %v", to, err)
		}
	}
	if n := len(srv.letters()); n != 0 {
		t.Fatalf("%d letters were sent", n)
	}
	spikes := []string{"P\r\nBcc: eve@evil.example", "P\n\n.\r\nMAIL FROM:<a@b>", "P\u2028To: eve@evil.example", "\u202eP", "<a href=https://evil.example>P</a>", strings.Repeat("P", 1200)}
	for _, practice := range spikes {
		for template, subject := range map[string]string{"invite": "i1", "invited_known": "grace"} {
			err := s.Send(t.Context(), store.Mail{ID: "M", Template: template, Subject: subject,
				Data: map[string]any{"token": "t", "to": "zoe@guest.example", "practice": practice, "hours": 72}})
			if err != nil && template == "invite" {
				t.Fatalf("%q: %v", practice, err)
			}
		}
	}
	for _, l := range srv.letters() {
		header, parts := l.parsed(t)
		if len(l.rcpt) != 1 || strings.Contains(l.rcpt[0], "evil") || strings.Contains(parts["text/html"], "<a href=https://evil") {
			t.Errorf("recipients %q:\n%s", l.rcpt, parts["text/html"])
		}
		for name, v := range header {
			if len(v) != 1 || !known[name] {
				t.Errorf("header %s: %q", name, v)
			}
		}
	}
	if n := len(srv.letters()); n != 2*len(spikes) {
		t.Errorf("%d letters", n)
	}
}
