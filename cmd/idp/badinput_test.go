package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What scanners, broken clients and attackers send is answered with a 4xx,
// quickly, without hashing, and the process lives on.
func TestBadInput(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	flow := p.form("password").Get("flow")
	login := func(identifier, password string) []byte {
		return []byte(url.Values{"flow": {flow}, "identifier": {identifier}, "password": {password}}.Encode())
	}
	const formType = "application/x-www-form-urlencoded"
	nested := `eyJhbGciOiJSUzI1NiJ9.` + strings.Repeat("W1tb", 3_500_000/3) + `.AA`
	before := d.metric(verified)
	for _, tt := range []struct {
		name, path, contentType string
		body                    []byte
	}{
		{"a password of 1 MiB", "/login/identify", formType, login("x", strings.Repeat("a", 1<<20))},
		{"a password over 1,024 bytes", "/login/identify", formType, login("x", strings.Repeat("a", 1025))},
		{"a password that is no UTF-8", "/login/identify", formType, login("x", "\xff\xfe\xfd")},
		{"a password with a NUL", "/login/identify", formType, login("x", "abc\x00def")},
		{"an identifier of 2 KiB", "/login/identify", formType, login(strings.Repeat("a", 2048), "x")},
		{"64 KiB and a byte", "/login/identify", formType, bytes.Repeat([]byte("a"), 64<<10+1)},
		{"10 MiB", "/token", formType, bytes.Repeat([]byte("a"), 10<<20)},
		{"20,000 parameters", "/token", formType, []byte(strings.Repeat("a=b&", 20_000))},
		{"a form of another type", "/login/identify", "multipart/form-data; boundary=x", []byte("--x--")},
		{"JSON for the token endpoint", "/token", "application/json", []byte(`{"grant_type":"authorization_code"}`)},
		{"an assertion of nested brackets (fosite 4.1)", "/token", formType, []byte(url.Values{"grant_type": {"authorization_code"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {nested}}.Encode())},
		{"a flow of nobody", "/login/identify", formType, []byte("flow=none&identifier=x&password=yyyyyyyyyyyyyyyyy")},
		{"broken percent signs", "/login/identify", formType, []byte("flow=%zz&identifier=%")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			resp := post(t, p.client, d.Issuer, tt.path, tt.contentType, tt.body)
			if resp/100 != 4 {
				t.Errorf("status %d", resp)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	if n := d.metric(verified) - before; n != 0 {
		t.Errorf("%v passwords were hashed for all that", n)
	}
	if status := rawStatus(t, d, "GET /login HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("a", 1<<20)+"\r\n\r\n"); !strings.Contains(status, " 431 ") {
		t.Errorf("1 MiB of headers: %q", status)
	}
	p.visit(d.Issuer + "/login")
	p.sees("Sign in")
}

// post sends a body as a page of ours would. A server that hangs up on an
// oversize body counts as 413.
func post(t *testing.T, c *http.Client, issuer, path, contentType string, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Origin", issuer)
	resp, err := c.Do(req)
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// rawStatus sends bytes and returns the status line.
func rawStatus(t *testing.T, d *demo, request string) string {
	t.Helper()
	u, err := url.Parse(d.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, _ := conn.Read(line)
	return string(line[:n])
}

// No header that a client can set moves where a mailed link leads.
func TestHostHeadersNeverMoveALink(t *testing.T) {
	d := startDemo(t)
	evil := "evil.example"
	var variants []http.Header
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "X-Rewrite-Url",
		"X-Original-Url", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Forwarded", "X-Http-Host-Override", "X-Url-Scheme",
		"Front-End-Https", "X-Proxyuser-Ip", "Cf-Connecting-Ip", "Via"} {
		variants = append(variants, http.Header{name: {evil}}, http.Header{name: {"host=" + evil + ";proto=https", evil + ":443"}})
	}
	for _, host := range []string{evil, "127.0.0.1@" + evil, "127.0.0.1:80#" + evil, evil + ":8080"} {
		variants = append(variants, http.Header{"Host": {host}})
	}
	want := d.Issuer + "/reset-password?token="
	people := d.People[:4]
	for i, h := range variants {
		who := people[i%len(people)]
		if i >= 3*len(people) {
			// Three mails an hour each are all there are: the page must not move either.
			who = demoPerson{Email: "nobody@riverside.example"}
		}
		p := newPerson(t)
		p.visit(d.Issuer + "/forgot-password")
		for form := range p.page.elements("form") {
			v := defaults(form)
			if !v.Has("email") {
				continue
			}
			v.Set("email", who.Email)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Issuer+"/forgot-password", strings.NewReader(v.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = h.Clone()
			req.Host = h.Get("Host")
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if g := p.do(req); strings.Contains(g.body, evil) {
				t.Errorf("%v moved the page:\n%s", h, g.body)
			}
		}
	}
	for _, who := range people {
		for _, m := range d.mailsWith(who.Email, "/reset-password?token=", 1) {
			if !strings.HasPrefix(linkIn(t, m, "/reset-password?token="), want) || strings.Contains(m.Text+m.HTML, evil) {
				t.Errorf("the mail says %s", m.Text)
			}
		}
	}
}
