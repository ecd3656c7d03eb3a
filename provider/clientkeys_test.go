package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/store"
)

// keySite publishes a client's keys, as the test wishes.
type keySite struct {
	mu      sync.Mutex
	serve   http.HandlerFunc
	fetched int
}

func (s *keySite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched++
	s.serve(w, r)
}

func (s *keySite) publish(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
}

func (s *keySite) fail(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = h
}

func (s *keySite) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.fetched = 0 }()
	return s.fetched
}

// published has "signer" keep its keys at an address. ahead moves the clock of
// what we keep of them.
func (g *rig) published() (site *keySite, ahead func(time.Duration)) {
	g.tb.Helper()
	g.signing("ES256")
	site = new(keySite)
	site.publish(jwks(g.tb, "k1", theKeys()["ES256"].Public()))
	server := httptest.NewServer(site)
	g.tb.Cleanup(server.Close)
	g.change("signer", func(c *store.Client) { c.JWKS, c.JWKSURI = nil, server.URL+"/jwks" })
	var off time.Duration
	g.remote.now = func() time.Time { return g.Now().Add(off) }
	return site, func(d time.Duration) { off += d }
}

func TestJWKSURI(t *testing.T) {
	g := newRig(t)
	site, ahead := g.published()
	next, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, key crypto.Signer, kid string, status, fetches int) {
		t.Helper()
		got, body := g.assert("/token", signed(t, "ES256", key, head{"kid": kid}, g.good()))
		if n := site.fetches(); got != status || n != fetches {
			t.Errorf("%s: %d %v, %d fetches, want %d, %d", name, got, body, n, status, fetches)
		}
	}
	first := theKeys()["ES256"]
	try("the first time", first, "k1", 200, 1)
	try("from the cache", first, "k1", 200, 0)
	site.publish(jwks(t, "k2", next.Public()))
	try("rotated, at once", next, "k2", 401, 0)
	ahead(time.Minute)
	try("rotated, a minute on", next, "k2", 200, 1)
	try("the old one", first, "k1", 401, 0)
	ahead(time.Minute)
	try("the old one, a minute on", first, "k1", 401, 1)
	try("an unknown one, at most once a minute", first, "k9", 401, 0)
	try("the new one meanwhile", next, "k2", 200, 0)
	ahead(time.Hour)
	try("an hour on", next, "k2", 200, 1)

	site.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	ahead(time.Hour)
	try("it is down", next, "k2", 200, 1)
	try("and asked again in a minute", next, "k2", 200, 0)
	ahead(24 * time.Hour)
	try("for a day", next, "k2", 401, 1)
	site.publish(jwks(t, "k2", next.Public()))
	ahead(time.Minute)
	try("it is back", next, "k2", 200, 1)
}

// What is at an address is bounded, and nothing leads elsewhere.
func TestJWKSURIFails(t *testing.T) {
	good := jwks(t, "k1", theKeys()["ES256"].Public())
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) }))
	defer elsewhere.Close()
	for name, h := range map[string]http.HandlerFunc{
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"not found": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = w.Write(good) },
		"too much":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(append(good, make([]byte, maxJWKS)...)) },
		"nested":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strings.Repeat("[", maxJWKS))) },
		"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"hung up":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		g := newRig(t)
		site, _ := g.published()
		site.fail(h)
		status, body := g.assert("/token", signed(t, "ES256", theKeys()["ES256"], head{}, g.good()))
		if status != 401 || body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
}

// An app cannot have us reach what only we can reach.
func TestJWKSURIStaysOutside(t *testing.T) {
	g := newRig(t)
	site, _ := g.published()
	var err error
	if g.oidc.remote.client, err = outgoing.Client(nil, time.Second); err != nil {
		t.Fatal(err)
	}
	status, body := g.assert("/token", signed(t, "ES256", theKeys()["ES256"], head{}, g.good()))
	if status != 401 || body["error"] != "invalid_client" || site.fetches() != 0 {
		t.Errorf("%d %v, %d fetches", status, body, site.fetches())
	}
}

// A crowd with unknown keys leads to one fetch, and keeps nobody out.
func TestOneFetchAtATime(t *testing.T) {
	g := newRig(t)
	site, _ := g.published()
	parallel(20, func() { g.assert("/token", signed(t, "ES256", theKeys()["ES256"], head{"kid": rand.Text()}, g.good())) })
	if n := site.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	if status, body := g.assert("/token", signed(t, "ES256", theKeys()["ES256"], head{}, g.good())); status != 200 {
		t.Error(status, body)
	}
}

func TestCheckJWKS(t *testing.T) {
	set := func(keys ...any) []byte {
		b, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public := jose.JSONWebKey{Key: theKeys()["ES256"].Public(), KeyID: "1"}
	other := func(change func(*jose.JSONWebKey)) jose.JSONWebKey {
		k := public
		change(&k)
		return k
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		set  []byte
		want string // in the error; "" for none
	}{
		{"good", set(public), ""},
		{"good, of all kinds", jwks(t, "1", theKeys()["RS256"].Public(), theKeys()["EdDSA"].Public()), ""},
		{"nothing", nil, "1 to 32 keys"},
		{"no set", []byte(`{"kty":"EC"}`), "1 to 32 keys"},
		{"empty", set(), "1 to 32 keys"},
		{"private", set(public, jose.JSONWebKey{Key: theKeys()["ES256"]}), "keys[1] is not a public key"},
		{"symmetric", set(jose.JSONWebKey{Key: []byte("secret")}), "keys[0]"},
		{"for encryption", set(other(func(k *jose.JSONWebKey) { k.Use = "enc" })), "keys[0] is not for signatures"},
		{"P-384", set(jose.JSONWebKey{Key: wide.Public()}), "fits none"},
		{"another alg than its kind", set(other(func(k *jose.JSONWebKey) { k.Algorithm = "RS256" })), "fits none"},
		{"not a point", set(map[string]string{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), "keys[0]"},
		{"nested", []byte(`{"keys":` + strings.Repeat("[", 20000) + "}"), "1 to 32 keys"},
	}
	for _, test := range tests {
		err := CheckJWKS(test.set)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCheckJWKSURI(t *testing.T) {
	for uri, good := range map[string]bool{"https://app.example/jwks": true, "http://127.0.0.1:8080/jwks": true,
		"http://app.example/jwks": false, "": false, "/jwks": false, "file:///etc/passwd": false,
		"https://u:p@app.example/jwks": false, "https://app.example/jwks#x": false, "ftp://app.example/": false} {
		if err := CheckJWKSURI(uri); (err == nil) != good {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
