package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store/storetest"
)

// deployed is the server as most run it: `idp serve` behind a proxy that speaks
// TLS, by a certificate of a private authority that each program is told of in
// its own way.
type deployed struct {
	*demo // its issuer is https
	ca    *authority
	conf  string // the configuration file
}

// deploy starts the server with one person, Grace, and the apps of its
// configuration.
func deploy(t *testing.T, apps ...map[string]any) *deployed {
	t.Helper()
	db := storetest.New(t, "sqlite")
	grace := demoPeople()[0]
	grace.Practice = ""
	if err := addSeeded(t.Context(), storetest.Open(t, db), nil, grace); err != nil {
		t.Fatal(err)
	}
	s := &deployed{ca: newAuthority(t), conf: configFile(t, db.URL, 9)}
	appendTo(t, s.conf, map[string]any{"clients": apps, "proxies": []string{"127.0.0.1"},
		"outgoing": map[string]any{"allow": []string{"127.0.0.1"}}})
	var upstream atomic.Pointer[url.URL]
	issuer := proxy(t, s.ca, &upstream)
	s.demo = startServe(t, s.conf, "IDP_ISSUER="+issuer, "SSL_CERT_FILE="+s.ca.file)
	to, err := url.Parse(s.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	upstream.Store(to)
	s.Issuer = issuer
	s.People = []demoPerson{{Email: grace.Email, Username: grace.Username, Password: grace.Password}}
	return s
}

// appendTo adds settings to a configuration file: JSON is YAML.
func appendTo(t *testing.T, file string, settings map[string]any) {
	t.Helper()
	text := string(mustRead(t, file))
	for name, v := range settings {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s: %s\n", name, b)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// proxy speaks TLS for what is upstream, and returns the URL it is at.
func proxy(t *testing.T, ca *authority, upstream *atomic.Pointer[url.URL]) string {
	t.Helper()
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(upstream.Load())
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t)}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL
}

// person is somebody whose browser trusts the authority.
func (s *deployed) person() *person {
	p := newPerson(s.t)
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.pool}}
	s.t.Cleanup(p.client.CloseIdleConnections)
	return p
}

// authority certifies 127.0.0.1, for a day.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	dir  string
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool(), dir: t.TempDir()}
	a.file = filepath.Join(a.dir, "ca.pem")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority for tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	a.key, der = a.sign(t, template, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// sign makes a key, and a certificate for it; without a signer the key's own.
func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// issue certifies a new key, which is in cert.pem and key.pem too.
func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(23 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	key, der := a.sign(t, template, a.cert, a.key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(a.dir, "cert.pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(a.dir, "key.pem"), "PRIVATE KEY", secret)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
