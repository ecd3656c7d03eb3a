package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

var resetMail = store.Mail{ID: "MAIL1", Template: "reset", Subject: "grace",
	Data: map[string]any{"token": "tok+en/=", "cancel": "can cel", "minutes": float64(60)}}

func TestSendReset(t *testing.T) {
	for _, tt := range []struct {
		name     string
		protect  protection
		security Security
	}{
		{"by STARTTLS", startTLS, StartTLS},
		{"by TLS", fullTLS, TLS},
		{"in the clear, to this machine", clear, None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, tt.protect, &server{})
			s := sender(t, srv, grace(nil), func(c *Config) { c.Security = tt.security; c.ReplyTo = "desk@id.example" })
			if err := s.Check(t.Context()); err != nil {
				t.Fatal("check: ", err)
			}
			if err := s.Send(t.Context(), resetMail); err != nil {
				t.Fatal(err)
			}
			got := srv.letters()
			if len(got) != 1 || got[0].secure != (tt.protect == startTLS) && tt.protect != fullTLS {
				t.Fatalf("got %d letters: %+v", len(got), got)
			}
			header, parts := got[0].parsed(t)
			for name, want := range map[string]string{
				"To": "<grace@riverside.example>", "From": `"Medximity ID" <no-reply@id.example>`,
				"Reply-To": "<desk@id.example>", "Message-Id": "<MAIL1@id.example>",
				"Auto-Submitted": "auto-generated", "Subject": "Reset your Medximity password",
			} {
				if v := header[name]; len(v) != 1 || v[0] != want {
					t.Errorf("%s: %q, want %q", name, v, want)
				}
			}
			for _, link := range []string{
				"https://id.example/id/reset-password?token=tok%2Ben%2F%3D",
				"https://id.example/id/reset-password/cancel?token=can+cel",
			} {
				if !strings.Contains(parts["text/plain"], link) || !strings.Contains(html.UnescapeString(parts["text/html"]), `href="`+link) {
					t.Errorf("link %s is not in both parts:\n%s", link, parts["text/plain"])
				}
			}
		})
	}
}

func TestSendInTheRecipientsLanguage(t *testing.T) {
	srv := serve(t, clear, &server{})
	for _, tt := range []struct{ account, page, want string }{
		{"ko-KR", "fr", "ko"}, {"", "fr", "fr"}, {"", "", "en"}, {"xx", "es", "es"},
	} {
		s := sender(t, srv, grace(func(e *directory.Entry) { e.Locale = tt.account }), nil)
		if _, lang, err := s.recipient(t.Context(), store.Mail{Template: "reset", Subject: "grace", Locale: tt.page}); err != nil || lang != tt.want {
			t.Errorf("account %q, page %q: %q, %v; want %q", tt.account, tt.page, lang, err, tt.want)
		}
	}
}

func TestNobodyIsMailed(t *testing.T) {
	srv := serve(t, clear, &server{})
	for _, tt := range []struct {
		name   string
		people people
	}{
		{"an identifier that nobody has", people{}},
		{"a disabled account", grace(func(e *directory.Entry) { e.Disabled = true })},
		{"an address never proven", grace(func(e *directory.Entry) { e.EmailVerified = false })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := sender(t, srv, tt.people, nil).Send(t.Context(), resetMail); !errors.Is(err, store.ErrDrop) {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := len(srv.letters()); n != 0 {
		t.Errorf("%d letters were sent", n)
	}
}

func TestSupportRequestGoesToTheDesk(t *testing.T) {
	srv := serve(t, clear, &server{})
	m := store.Mail{ID: "M", Template: supportRequest, Locale: "ko", Data: map[string]any{
		"reference": "ABC", "name": "Eve\r\nBcc: everybody@x.example", "practice": "P", "npi": "", "username": "u",
		"email": "eve@new.example"}}
	if err := sender(t, srv, people{}, nil).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := srv.letters()[0]
	header, parts := got.parsed(t)
	if fmt.Sprint(got.rcpt) != "[desk@id.example]" || header.Get("Bcc") != "" || header.Get("Reply-To") != "" {
		t.Errorf("recipients %v, header %v", got.rcpt, header)
	}
	if !strings.Contains(parts["text/plain"], "eve@new.example") || strings.Contains(parts["text/plain"], "\nBcc:") {
		t.Errorf("text:\n%s", parts["text/plain"])
	}
}

func TestFaults(t *testing.T) {
	reply := func(code int, status smtp.EnhancedCode) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: status, Message: "no such person grace@riverside.example"}
	}
	for _, tt := range []struct {
		name      string
		server    *server
		permanent bool
		says      string
	}{
		{"recipient unknown", &server{rcptErr: reply(550, smtp.EnhancedCode{5, 1, 1})}, true, "550 5.1.1"},
		{"mailbox full for good", &server{rcptErr: reply(552, smtp.EnhancedCode{5, 2, 2})}, true, "552 5.2.2"},
		{"grey-listed", &server{rcptErr: reply(451, smtp.EnhancedCode{4, 7, 1})}, false, "451 4.7.1"},
		{"relaying denied: our own fault, to be mended", &server{rcptErr: reply(554, smtp.EnhancedCode{5, 7, 1})}, false, "554 5.7.1"},
		{"content refused", &server{dataErr: reply(554, smtp.EnhancedCode{5, 6, 0})}, false, "554"},
		{"disk full there", &server{dataErr: reply(452, smtp.EnhancedCode{4, 3, 1})}, false, "452"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, clear, tt.server)
			err := sender(t, srv, grace(nil), nil).Send(t.Context(), resetMail)
			var e *Error
			if !errors.As(err, &e) || e.Permanent() != tt.permanent || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "riverside") {
				t.Errorf("the error names the recipient: %v", err)
			}
		})
	}
}

func TestNoSecurityNoMail(t *testing.T) {
	for _, tt := range []struct {
		name    string
		protect protection
		change  func(*Config)
	}{
		{"the server offers no STARTTLS", clear, func(c *Config) { c.Security = StartTLS }},
		{"its certificate is from a CA unknown to us", startTLS, func(c *Config) { c.Security = StartTLS; c.CAFile = "" }},
		{"the same with TLS", fullTLS, func(c *Config) { c.Security = TLS; c.CAFile = "" }},
		{"the certificate is for another host", startTLS, func(c *Config) { c.Security = StartTLS; c.Host = "localhost" }},
		{"a password, and a server that does not encrypt", clear, func(c *Config) { c.Security = StartTLS; c.Username, c.Password = "u", "p" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, tt.protect, &server{password: ""})
			err := sender(t, srv, grace(nil), tt.change).Send(t.Context(), resetMail)
			var e *Error
			if !errors.As(err, &e) || e.Permanent() {
				t.Errorf("got %v, want a fault to try again after", err)
			}
			if n := len(srv.letters()); n != 0 {
				t.Errorf("%d letters went out", n)
			}
		})
	}
}

func TestAuthentication(t *testing.T) {
	srv := serve(t, startTLS, &server{password: "right"})
	with := func(password string) *Sender {
		return sender(t, srv, grace(nil), func(c *Config) {
			c.Security, c.Username, c.Password = StartTLS, "mailer", password
		})
	}
	if err := with("right").Send(t.Context(), resetMail); err != nil {
		t.Fatal(err)
	}
	if got := srv.letters(); len(got) != 1 || got[0].user != "mailer" {
		t.Errorf("got %+v", got)
	}
	if err := with("wrong").Check(t.Context()); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
}

// A server that hangs, at whatever point, or dribbles, holds a worker no
// longer than the timeout.
func TestHangs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string // the server's part; then it says nothing more
	}{
		{"before the greeting", nil},
		{"after the greeting", []string{"220 hello"}},
		{"after EHLO", []string{"220 hello", "250 mail.example"}},
		{"after RCPT", []string{"220 hello", "250 mail.example", "250 ok", "250 ok"}},
		{"after DATA", []string{"220 hello", "250 mail.example", "250 ok", "250 ok", "354 go on"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go script(l, tt.lines)
			s := sender(t, &server{addr: l.Addr().String()}, grace(nil), func(c *Config) { c.Timeout = 300 * time.Millisecond })
			start := time.Now()
			err = s.Send(t.Context(), resetMail)
			if took := time.Since(start); err == nil || took > 3*time.Second {
				t.Errorf("took %s: %v", took, err)
			}
		})
	}
}

// A server that took the mail and then hangs has taken it: to say otherwise
// would send it twice.
func TestTakenIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go script(l, []string{"220 hello", "250 mail.example", "250 ok", "250 ok", "354 go on", "250 taken"})
	s := sender(t, &server{addr: l.Addr().String()}, grace(nil), func(c *Config) { c.Timeout = time.Second })
	if err := s.Send(t.Context(), resetMail); err != nil {
		t.Error(err)
	}
}

func TestCancelledContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go script(l, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	s := sender(t, &server{addr: l.Addr().String()}, grace(nil), func(c *Config) { c.Timeout = time.Minute })
	if err := s.Send(ctx, resetMail); err == nil {
		t.Error("a cancelled delivery said it was done")
	}
}

// script answers one line of ours with one of the server's; the text of a mail
// is one line.
func script(l net.Listener, lines []string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i, line := range lines {
		if i > 0 {
			for {
				said, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if lines[i-1] != "354 go on" || said == ".\r\n" {
					break
				}
			}
		}
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, in) // until they give up
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{Host: "mail.example", Security: None, From: "a@b.example, c@d.example", ReplyTo: "x", Support: "y\r\nBcc: z@z.example", CAFile: "/no/such/file"})
	for _, key := range []string{"mail.host", "mail.from", "mail.reply_to", "support.email", "mail.ca_file"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
}

// parse reads a mail's header and its parts by type.
func parse(t *testing.T, raw []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("part %v: %v", p.Header, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = string(text)
	}
}

// A change of address is the one thing that is mailed to where the store does
// not yet, or no longer, have the person.
func TestMailsOfAChangeOfAddress(t *testing.T) {
	for _, tt := range []struct {
		name string
		mail store.Mail
		to   string
		says []string // in both parts
	}{
		{"the link to the old address", store.Mail{Template: "email_confirm_old",
			Data: map[string]any{"token": "tok1", "cancel": "can1", "new": "g@new.example"}}, "grace@riverside.example",
			[]string{"https://id.example/id/confirm-email?token=tok1", "https://id.example/id/confirm-email/cancel?token=can1", "g@new.example"}},
		{"the link to the new address", store.Mail{Template: "email_confirm_new",
			Data: map[string]any{"token": "tok2", "new": "g@new.example", "to": "g@new.example"}}, "g@new.example",
			[]string{"https://id.example/id/confirm-email?token=tok2"}},
		{"the news to the new address", store.Mail{Template: "email_changed",
			Data: map[string]any{"new": "g@new.example", "not_me": "no1"}}, "grace@riverside.example",
			[]string{"https://id.example/id/not-me?token=no1"}},
		{"the news to the old address", store.Mail{Template: "email_changed",
			Data: map[string]any{"new": "g@new.example", "to": "g@old.example", "not_me": "no2"}}, "g@old.example",
			[]string{"https://id.example/id/not-me?token=no2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, clear, &server{})
			tt.mail.ID, tt.mail.Subject = "M", "grace"
			if err := sender(t, srv, grace(nil), nil).Send(t.Context(), tt.mail); err != nil {
				t.Fatal(err)
			}
			got := srv.letters()[0]
			header, parts := got.parsed(t)
			if fmt.Sprint(got.rcpt) != "["+tt.to+"]" || header.Get("To") != "<"+tt.to+">" {
				t.Errorf("to %v, %q", got.rcpt, header.Get("To"))
			}
			for _, want := range tt.says {
				if !strings.Contains(parts["text/plain"], want) || !strings.Contains(html.UnescapeString(parts["text/html"]), want) {
					t.Errorf("%s is not in both parts:\n%s", want, parts["text/plain"])
				}
			}
		})
	}
}

// N56 (CVE-2017-18908): whatever was queued, no other mail goes to a typed
// address, and not even these are handed one to show.
func TestNoOtherMailGoesToATypedAddress(t *testing.T) {
	srv := serve(t, clear, &server{})
	s := sender(t, srv, grace(nil), nil)
	names, err := filepath.Glob("../../templates/mail/[a-z]*.txt")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		m := store.Mail{Template: strings.TrimSuffix(filepath.Base(name), ".txt"), Subject: "grace",
			Data: map[string]any{"to": "eve@evil.example"}}
		want := map[string]string{"email_confirm_new": "eve@evil.example", "email_changed": "eve@evil.example",
			"invite": "eve@evil.example", "case_opened": "eve@evil.example", "case_reply": "eve@evil.example", supportRequest: "desk@id.example"}[m.Template]
		if want == "" {
			want = "grace@riverside.example"
		}
		if to, _, err := s.recipient(t.Context(), m); err != nil || to.addr != want {
			t.Errorf("%s: to %q, %v; want %q", m.Template, to.addr, err, want)
		}
		if to, ok := s.data(m)["to"]; ok {
			t.Errorf("%s is handed %v", m.Template, to)
		}
	}
}

func TestTypedAddressesAreHeldToTheSameRules(t *testing.T) {
	srv := serve(t, clear, &server{})
	for _, tt := range []struct {
		name   string
		people people
		mail   store.Mail
		want   error // nil: a fault for good
	}{
		{"a disabled account", grace(func(e *directory.Entry) { e.Disabled = true }),
			store.Mail{Template: "email_confirm_new", Subject: "grace", Data: map[string]any{"to": "g@new.example"}}, store.ErrDrop},
		{"an address that somebody else has", grace(nil),
			store.Mail{Template: "email_confirm_new", Data: map[string]any{"to": "g@new.example"}}, store.ErrDrop},
		{"nowhere: never the old address instead", grace(nil),
			store.Mail{Template: "email_confirm_new", Subject: "grace", Data: map[string]any{"token": "t"}}, nil},
		{"two addresses", grace(nil), store.Mail{Template: "email_confirm_new", Subject: "grace",
			Data: map[string]any{"to": "g@new.example,eve@evil.example"}}, nil},
		{"a header", grace(nil), store.Mail{Template: "email_changed", Subject: "grace",
			Data: map[string]any{"to": "g@new.example\r\nBcc: eve@evil.example"}}, nil},
		{"a list", grace(nil), store.Mail{Template: "email_confirm_new", Subject: "grace",
			Data: map[string]any{"to": []any{"g@new.example", "eve@evil.example"}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := sender(t, srv, tt.people, nil).Send(t.Context(), tt.mail)
			var e *Error
			if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && (!errors.As(err, &e) || !e.Permanent()) {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := len(srv.letters()); n != 0 {
		t.Errorf("%d letters were sent", n)
	}
}
