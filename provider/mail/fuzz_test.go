package mail

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func fuzzSender(f *testing.F) *Sender {
	f.Helper()
	texts, err := texts()
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(Config{Host: "127.0.0.1", Security: None, From: "Medximity ID <no-reply@id.example>", ReplyTo: "desk@id.example",
		Support: "desk@id.example", Issuer: &url.URL{Scheme: "https", Host: "id.example", Path: "/id"}, Directory: people{}, Templates: texts})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// injections are what would be a second recipient or header.
var injections = []string{"grace@riverside.example", "a@x.example\r\nBcc: eve@evil.example", "a@x.example,eve@evil.example", "\"a\nTo: eve\"@x.example", "=?utf-8?q?a=0D=0ABcc:_eve?=", "a@x.example\u2028Bcc: eve@evil.example", "\u202eeve@evil.example",
	".\r\n.\r\nMAIL FROM:<a@b>", strings.Repeat("x", 2000), "\x00", "\xff", "é@é.example", "<a@x.example>", "(c)a@x.example", "a@x.example;", "[\"a\"]", "a@[1.2.3.4]", "a@x.example ", "a\r@x.example"}

// What is read as one address is one: of no more than it takes, and what is
// read of it again is the same.
func FuzzAddress(f *testing.F) {
	for _, s := range injections {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseBare(s); err == nil {
			if strings.Count(got, "@") != 1 || strings.ContainsAny(got, " \t\r\n,;:<>\"\\()[]") || strings.ContainsFunc(got, unsafe) || !utf8.ValidString(got) {
				t.Fatalf("parseBare(%q) = %q", s, got)
			}
			if again, err := parseBare(got); err != nil || again != got {
				t.Errorf("parseBare(%q) = %q, of which it makes %q, %v", s, got, again, err)
			}
			if list, err := mail.ParseAddressList(got); err != nil || len(list) != 1 || list[0].Address != got {
				t.Errorf("%q is the list %v, %v", got, list, err)
			}
		}
		a, err := parseNamed(s)
		if err != nil {
			return
		}
		if strings.ContainsFunc(a.name, func(r rune) bool { return r == '\r' || r == '\n' || r == 0 }) {
			t.Errorf("parseNamed(%q) is called %q", s, a.name)
		}
		if list, err := mail.ParseAddressList(a.header().String()); err != nil || len(list) != 1 || list[0].Address != a.addr {
			t.Errorf("parseNamed(%q) = %+v, whose header is %v, %v", s, a, list, err)
		}
	})
}

// A subject is one line, and an id is one word, whatever they are made of.
func FuzzHeaderText(f *testing.F) {
	for _, s := range injections {
		f.Add(s, "no-reply@id.example")
	}
	word := regexp.MustCompile(`^[A-Za-z0-9._-]*@`)
	f.Fuzz(func(t *testing.T, s, from string) {
		line := oneLine(s)
		if strings.ContainsFunc(line, unsafe) || strings.TrimSpace(line) != line || oneLine(line) != line {
			t.Errorf("oneLine(%q) = %q", s, line)
		}
		if id := messageID(s, from); !word.MatchString(id) {
			t.Errorf("messageID(%q) = %q", s, id)
		}
	})
}

// T28: whatever people are called, and whatever they typed, a mail has one
// recipient, the headers that we gave it once each, and links to the issuer.
func FuzzMail(f *testing.F) {
	s := fuzzSender(f)
	for _, v := range injections {
		f.Add(v, v, v, v)
		f.Add("grace@riverside.example", "token", v, v)
		f.Add(v, "token", "M1", "reset")
	}
	headers := map[string]bool{"From": true, "To": true, "Reply-To": true, "Subject": true, "Date": true, "Message-Id": true,
		"Auto-Submitted": true, "Mime-Version": true, "Content-Type": true}
	link := regexp.MustCompile(`https?://[^\s"<>]+`)
	f.Fuzz(func(t *testing.T, email, token, id, typed string) {
		if len(email)+len(token)+len(id)+len(typed) > 10_000 {
			return // a form has 320 bytes a field
		}
		data := map[string]any{"token": token, "cancel": token, "not_me": token, "minutes": 60, "hours": 72, "left": 3, "new": typed, "to": email,
			"reference": "AB12-CD34", "name": typed, "practice": typed, "npi": typed, "username": typed, "email": typed}
		for _, template := range []string{"reset", supportRequest, confirmNew, "password_changed", invite, invitedKnown} {
			m := store.Mail{ID: id, Template: template, Data: data}
			to, err := s.whom(m, email)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || !e.Permanent() {
					t.Fatalf("%s to %q: %v", template, email, err)
				}
				continue
			}
			text, err := s.config.Templates.Mail("en", template, s.data(m))
			if err != nil {
				t.Fatalf("%s: %v", template, err)
			}
			msg := s.message(m, to, text)
			var b bytes.Buffer
			if _, err := msg.WriteTo(&b); err != nil {
				t.Fatalf("%s of %q: %v", template, typed, err)
			}
			got, err := mail.ReadMessage(&b)
			if err != nil {
				t.Fatalf("%s of %q: %v", template, typed, err)
			}
			for name, v := range got.Header {
				if len(v) != 1 || !headers[name] {
					t.Errorf("%s of %q: header %s: %q", template, typed, name, v)
				}
			}
			list, err := got.Header.AddressList("To")
			if rcpt, bad := msg.GetRecipients(); err != nil || bad != nil || len(list) != 1 || list[0].Address != to.addr || len(rcpt) != 1 || strings.Trim(rcpt[0], "<>") != to.addr {
				t.Errorf("%s to %q goes to %v and %v: %v", template, email, list, rcpt, err)
			}
			if subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject")); err != nil || strings.ContainsFunc(subject, unsafe) {
				t.Errorf("%s of %q: subject %q, %v", template, typed, subject, err)
			}
			if _, err := io.ReadAll(got.Body); err != nil {
				t.Error(err)
			}
			for _, l := range link.FindAllString(text.Text, -1) {
				if !strings.HasPrefix(l, "https://id.example/id/") && !strings.Contains(typed, "http") && !strings.Contains(email, "http") {
					t.Errorf("%s of %q has the link %q", template, typed, l)
				}
			}
		}
	})
}

// whom is the recipient of a mail about somebody with the address.
func (s *Sender) whom(m store.Mail, email string) (address, error) {
	if m.Template == supportRequest {
		return s.support, nil
	}
	e := directory.Entry{ID: "grace", Email: email, EmailVerified: true}
	to, err := mailbox(m, &e)
	if err != nil {
		return address{}, err
	}
	addr, err := parseBare(to)
	if err != nil {
		return address{}, &Error{cause: err, final: true}
	}
	return address{addr: addr}, nil
}

// A link of ours has the issuer's origin and path, and the token as it is.
func FuzzLink(f *testing.F) {
	s := fuzzSender(f)
	for _, v := range injections {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, token string) {
		u, err := url.Parse(s.link("/reset-password", url.Values{"token": {token}}))
		if err != nil || u.Scheme != "https" || u.Host != "id.example" || u.Path != "/id/reset-password" || u.Query().Get("token") != token || u.Fragment != "" {
			t.Errorf("%q: %v, %v", token, u, err)
		}
	})
}
