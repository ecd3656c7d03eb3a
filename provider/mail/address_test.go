package mail

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

func TestParseBare(t *testing.T) {
	for in, want := range map[string]string{
		"grace@riverside.example":       "grace@riverside.example",
		"o'neil+news@riverside.ex":      "o'neil+news@riverside.ex",
		"grace@bücher.example":          "grace@xn--bcher-kva.example",
		"그레이스@riverside.example":        "그레이스@riverside.example",
		"GRACE@Riverside.Example":       "GRACE@riverside.example",
		"":                              "",
		"grace":                         "",
		"@riverside.example":            "",
		"grace@":                        "",
		"grace@a@b.example":             "",
		"grace@riverside.example ":      "",
		" grace@riverside.example":      "",
		"Grace <grace@river.example>":   "",
		"<grace@river.example>":         "",
		"a@x.example,b@y.example":       "",
		"a@x.example;b@y.example":       "",
		`"a b"@x.example`:               "",
		`a\@x.example`:                  "",
		"a@[127.0.0.1]":                 "",
		"a@x.example(comment)":          "",
		"a@x.example\u202emoc.live":     "", // turns text around
		"a\u200b@x.example":             "", // nobody sees it
		"a@x.example\u2028b@y.example":  "",
		"a@" + strings.Repeat("x", 260): "",
		"\xff@x.example":                "",
	} {
		got, err := parseBare(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("parseBare(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// However an address or a name is spiked, one mail has one recipient and the
// headers we gave it.
func TestHeaderInjection(t *testing.T) {
	srv := serve(t, clear, &server{})
	n := 0
	for _, end := range []string{"\r\n", "\n", "\r", "\x00", "\u0085", "\u2028", "\v", "\f", "%0d%0a", "\\r\\n", "=0D=0A", "\r\n ", "\n\t"} {
		for _, spike := range []string{"Bcc: eve@evil.example", "To: eve@evil.example", "Content-Type: text/plain",
			"Subject: yours", "RCPT TO:<eve@evil.example>", ".\r\nMAIL FROM:<a@b>", "X: " + strings.Repeat("y", 1200)} {
			for _, email := range []string{
				"grace@riverside.example" + end + spike,
				"grace" + end + spike + "@riverside.example",
				"grace@riverside.example, eve@evil.example" + end,
				`["grace@riverside.example","eve@evil.example"]` + end,
			} {
				n++
				s := sender(t, srv, grace(func(e *directory.Entry) { e.Email, e.Name = email, email }), nil)
				err := s.Send(t.Context(), resetMail)
				var e *Error
				if err != nil && (!errors.As(err, &e) || !e.Permanent()) {
					t.Fatalf("%q: %v", email, err)
				}
			}
			n++
			m := store.Mail{ID: "M" + end + spike, Template: supportRequest, Data: map[string]any{
				"reference": "R" + end + spike, "name": "N" + end + spike, "practice": "P" + end + spike,
				"npi": end + spike, "username": "U" + end + spike, "email": "E" + end + spike}}
			if err := sender(t, srv, people{}, nil).Send(t.Context(), m); err != nil {
				t.Fatalf("%q: %v", spike, err)
			}
		}
	}
	for _, l := range srv.letters() {
		header, _ := l.parsed(t)
		if len(l.rcpt) != 1 || strings.Contains(l.rcpt[0], "evil") {
			t.Errorf("recipients %q", l.rcpt)
		}
		for name, v := range header {
			if len(v) != 1 || !known[name] {
				t.Errorf("header %s: %q", name, v)
			}
		}
	}
	t.Log(fmt.Sprint(n, " spikes, ", len(srv.letters()), " letters"))
}

// known are the headers of our mails.
var known = map[string]bool{"From": true, "To": true, "Subject": true, "Date": true, "Message-Id": true,
	"Auto-Submitted": true, "Mime-Version": true, "Content-Type": true}

// What was written as an encoded word is not decoded into what it hides.
func TestASubjectHidesNoLines(t *testing.T) {
	for _, s := range []string{"=?utf-8?q?a=0D=0ABcc:_eve?=", "Join =?utf-8?b?DQpCY2M6IGV2ZQ==?= now", "é =?utf-8?q?a=0D=0Ab?="} {
		msg := new(Sender).message(store.Mail{ID: "M"}, address{addr: "a@x.example"}, templates.Mail{Subject: s, Text: "t", HTML: "h"})
		var b bytes.Buffer
		if _, err := msg.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		got, err := mail.ReadMessage(&b)
		if err != nil {
			t.Fatal(err)
		}
		read, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || strings.ContainsFunc(read, unsafe) || strings.ReplaceAll(read, "= ?", "=?") != s {
			t.Errorf("%q is read as %q, %v", s, read, err)
		}
	}
}

func FuzzParseBare(f *testing.F) {
	f.Add("grace@riverside.example")
	f.Add("a@x.example,b@y.example")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseBare(s)
		if err == nil && (strings.Count(got, "@") != 1 || strings.ContainsAny(got, " \r\n,<>\"")) {
			t.Errorf("parseBare(%q) = %q", s, got)
		}
	})
}
