package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/templates"
)

// server is a mail server in this process, with faults to order.
type server struct {
	addr string
	ca   string // PEM file, "" without TLS

	rcptErr, dataErr error
	password         string // "": nobody needs to authenticate

	mu  sync.Mutex
	got []letter
}

// letter is a mail as it went over the wire.
type letter struct {
	from, user string
	rcpt       []string
	raw        []byte
	secure     bool
}

// how a server speaks.
type protection int

const (
	clear protection = iota
	startTLS
	fullTLS
)

func serve(t *testing.T, p protection, s *server) *server {
	t.Helper()
	srv := smtp.NewServer(s)
	srv.Domain = "mail.example"
	srv.ErrorLog = quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if p != clear {
		var cert tls.Certificate
		cert, s.ca = certificate(t)
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	if p == fullTLS {
		l = tls.NewListener(l, srv.TLSConfig)
		srv.TLSConfig = nil
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{server: s, letter: letter{secure: secure}}, nil
}

func (s *server) letters() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.got...)
}

type session struct {
	server *server
	letter letter
}

func (s *session) AuthMechanisms() []string {
	if s.server.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != s.server.password {
			return smtp.ErrAuthFailed
		}
		s.letter.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.letter.from = from; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.rcpt = append(s.letter.rcpt, to)
	return s.server.rcptErr
}

func (s *session) Data(r io.Reader) (err error) {
	if s.letter.raw, err = io.ReadAll(r); err != nil {
		return err
	}
	if s.server.dataErr != nil {
		return s.server.dataErr
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got = append(s.server.got, s.letter)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate makes one for 127.0.0.1, and the file of the CA that signed it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA of the test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// people is a directory in a map.
type people map[account.ID]directory.Entry

func (p people) Lookup(_ context.Context, by directory.By, value string) (*directory.Entry, error) {
	e, ok := p[account.ID(value)]
	if by != directory.ByID || !ok {
		return nil, directory.ErrNotFound
	}
	return &e, nil
}

// grace is one person with a proven address.
func grace(change func(*directory.Entry)) people {
	e := directory.Entry{ID: "grace", Email: "grace@riverside.example", EmailVerified: true, Locale: "en-US"}
	if change != nil {
		change(&e)
	}
	return people{e.ID: e}
}

var texts = sync.OnceValues(templates.Load)

// sender sends through s to p, with changes to the configuration.
func sender(t *testing.T, s *server, p People, change func(*Config)) *Sender {
	t.Helper()
	texts, err := texts()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Host: "127.0.0.1", Port: addr.Port, Security: None, CAFile: s.ca, Timeout: 5 * time.Second,
		From: "Medximity ID <no-reply@id.example>", Support: "desk@id.example",
		Issuer: &url.URL{Scheme: "https", Host: "id.example", Path: "/id"}, Directory: p, Templates: texts,
	}
	if change != nil {
		change(&c)
	}
	out, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parsed reads a letter's header and its parts by type.
func (l letter) parsed(t *testing.T) (mail.Header, map[string]string) {
	t.Helper()
	return parse(t, l.raw)
}
