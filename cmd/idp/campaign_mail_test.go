//go:build campaign

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/medximity/idp/provider/store/storetest"
)

// T31: the mail server is ill for half an hour, by the server's clock. Of three
// links that were asked for meanwhile the newest arrives within a minute of its
// return, and what no other mail replaces arrives too. Tries are made by the
// real clock, so the outage lasts until they are a minute apart.
func TestT31AMailServerThatIsIllForHalfAnHour(t *testing.T) {
	busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}
	denied := &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relaying denied"}
	for _, tt := range []struct {
		name      string
		ill, well func(*illOffice)
	}{
		{"it refuses for now", func(o *illOffice) { o.does(busy, false) }, func(o *illOffice) { o.does(nil, false) }},
		{"it refuses for good", func(o *illOffice) { o.does(denied, false) }, func(o *illOffice) { o.does(nil, false) }},
		{"it hangs", func(o *illOffice) { o.does(nil, true) }, func(o *illOffice) { o.does(nil, false) }},
		{"its TLS is broken", func(o *illOffice) { o.broken.Store(true) }, func(o *illOffice) { o.broken.Store(false) }},
		{"it is gone", func(o *illOffice) { o.leave() }, func(o *illOffice) { o.open() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := openIllOffice(t)
			s := newSite(t, siteOptions{nodes: 1, direct: true, url: storetest.Empty(t, "sqlite").URL, post: o.office,
				mail: fmt.Sprintf("security: starttls, ca_file: %q", o.authority)})
			s.settle(1)
			n := s.nodes[0]
			tt.ill(o)
			slowest := time.Duration(0)
			ask := func(path string, form url.Values) {
				start := time.Now()
				b := s.surfer()
				if p, err := b.fetch(http.MethodPost, path, form); err != nil || p.status != http.StatusOK {
					t.Errorf("%s while it is ill: %v, %d", path, err, b.page.status)
				}
				slowest = max(slowest, time.Since(start))
			}
			ask("/contact-support", url.Values{"name": {"Grace"}, "practice": {"Riverside"}, "npi": {"1234567893"}, "email": {"grace@new.example"}})
			for i := range 6 {
				if i%2 == 0 {
					ask("/forgot-password", url.Values{"email": {"person0@river.example"}})
				}
				n.move(t, 5*time.Minute)
				time.Sleep(time.Duration(setting("IDP_SECONDS", 120)) * time.Second / 6)
			}
			if got := len(o.linksTo("person0@river.example")); got != 0 {
				t.Fatalf("%d links arrived while it was ill", got)
			}
			tt.well(o)
			back := time.Now()
			for ; time.Since(back) < 2*time.Minute; time.Sleep(50 * time.Millisecond) {
				if len(o.linksTo("person0@river.example")) > 0 && len(o.mailsTo("desk@id.example")) > 0 {
					break
				}
			}
			took := time.Since(back)
			if took > time.Minute+2*time.Second { // the queue is looked at each quarter of a second
				t.Errorf("the mails arrived only %s after it was well", took)
			}
			quiet := time.Now()
			for ; time.Since(quiet) < time.Minute && n.metric(`medximity_idp_mail_queue_jobs{state="queued"}`) > 0; time.Sleep(100 * time.Millisecond) {
			}
			links := o.linksTo("person0@river.example")
			dead := n.metric(deadMails)
			t.Logf("T31 seed %d: %s, 30 min by the clock: %d link and %d letter to Support arrived %s after its return, %d twice, %v given up; slowest page meanwhile %s",
				s.seed, tt.name, len(links), len(o.mailsTo("desk@id.example")), took.Round(100*time.Millisecond), o.twice, dead, slowest.Round(time.Millisecond))
			if slowest > answersWithin {
				t.Errorf("a page waited %s for the mail", slowest)
			}
			if len(links) != 1 || o.twice != 0 || dead != 0 {
				t.Fatalf("%d links arrived, %d mails twice, %v were given up", len(links), o.twice, dead)
			}
			b := s.surfer()
			if _, err := b.get(links[0]); err != nil {
				t.Fatal(err)
			}
			if p, err := b.press("Save Password", map[string]string{"new_password": newPassword, "confirm_password": newPassword}); verdictOf(p, err) != passed {
				t.Errorf("the link that arrived is worth nothing: %v", err)
			}
		})
	}
}

// move moves the server's clock.
func (n *node) move(t *testing.T, by time.Duration) {
	t.Helper()
	d := &demo{t: t, Metrics: "http://" + n.operator + "/metrics"}
	d.pass(by)
}

// illOffice is a mail server with TLS, that can be ill in more ways.
type illOffice struct {
	*office
	t         *testing.T
	authority string // a PEM file
	broken    atomic.Bool
	tls       *tls.Config
	server    *smtp.Server
}

func openIllOffice(t *testing.T) *illOffice {
	t.Helper()
	o := &illOffice{t: t, office: &office{postOffice: &postOffice{box: mailbox{dir: t.TempDir()}}, seen: map[string]bool{}, byTo: map[string][]received{}}}
	right, file := certificate(t)
	foreign, _ := certificate(t)
	o.authority = file
	o.tls = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if o.broken.Load() {
			o.mu.Lock()
			o.tries++
			o.mu.Unlock()
			return foreign, nil
		}
		return right, nil
	}}
	o.open()
	t.Cleanup(func() { o.does(nil, false); _ = o.server.Close() })
	return o
}

// open listens, on the same port each time.
func (o *illOffice) open() {
	o.t.Helper()
	var l net.Listener
	var err error
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port)); err == nil {
			break
		}
		if time.Now().After(late) {
			o.t.Fatal(err)
		}
	}
	o.port = l.Addr().(*net.TCPAddr).Port
	o.server = smtp.NewServer(o.postOffice)
	o.server.Domain, o.server.TLSConfig, o.server.ErrorLog = "mail.example", o.tls, discard{}
	go func(s *smtp.Server) { _ = s.Serve(l) }(o.server)
}

// leave closes the port.
func (o *illOffice) leave() { _ = o.server.Close() }

// certificate makes one for 127.0.0.1, and the file of whoever signed it.
func certificate(t *testing.T) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
