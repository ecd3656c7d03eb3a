package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// migrated is an empty SQLite database with the schema in place: tests copy it
// rather than migrate one each.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "idp")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ring, _, err := seal.NewRing()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "idp.db")
	if err := store.Migrate(context.Background(), store.Config{URL: "sqlite:" + file, Ring: ring}); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// newStore returns a store of the engine for one test.
func newStore(tb testing.TB, engine string, told func(name string)) *store.Store {
	tb.Helper()
	queries := func(name string, _ time.Duration, _ error) { told(name) }
	if engine != "sqlite" {
		c := storetest.New(tb, engine)
		c.Queries = queries
		return storetest.Open(tb, c)
	}
	c := storetest.Empty(tb, engine)
	c.Queries = queries
	file, err := migrated()
	if err == nil {
		err = os.WriteFile(c.URL[len("sqlite:"):], file, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return storetest.Open(tb, c)
}

// onBoth runs a case on a store of each engine.
func onBoth(t *testing.T, f func(t *testing.T, g *rig)) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { f(t, newRigOn(t, engine)) })
	}
}

// laterOn runs a case whose clock only shift moves (testing/synctest).
func laterOn(t *testing.T, f func(t *testing.T, g *rig)) {
	_, _ = migrated() // outside the bubble: it is for all tests
	_ = testKeys()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t)) })
}

// shift lets time pass. It sleeps, in a bubble, where that takes none.
func (g *rig) shift(d time.Duration) { time.Sleep(d) }

// signIn completes a sign-in and returns the session.
func (g *rig) signIn(id account.ID) *store.Session {
	g.tb.Helper()
	ctx := g.tb.Context()
	st, err := g.st.ReadGuard(ctx, account.Attempt{Subject: string(id)})
	if err != nil {
		g.tb.Fatal(err)
	}
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: account.HashSecret("browser"), Account: id,
		Practice: "p1", Epoch: st.Epoch, Started: g.Now(), Expires: g.Now().Add(time.Hour)}
	n := flows.NewSession{Token: account.NewSecret(), Methods: []string{"pwd"}, ACR: flows.ACR1FA,
		Idle: 365 * 24 * time.Hour, Absolute: 365 * 24 * time.Hour}
	lease, err := account.Guard{Now: g.st.Now}.Charge(ctx, g.st, account.Attempt{Subject: string(id), Factor: account.Password})
	if err == nil {
		err = errors.Join(g.st.Begin(ctx, f), g.st.Finish(ctx, f, flows.Progress{Lease: lease}, n))
	}
	if err != nil {
		g.tb.Fatal(err)
	}
	s, err := g.st.Session(ctx, n.Token)
	if err != nil {
		g.tb.Fatal(err)
	}
	return s
}

// flaky is a store that can be made to fail.
type flaky struct {
	*store.Store
	down error
}

func (f *flaky) RedeemCode(ctx context.Context, g store.Grant, code []byte, t store.Tokens) error {
	if f.down != nil {
		return f.down
	}
	return f.Store.RedeemCode(ctx, g, code, t)
}

func (f *flaky) Grant(ctx context.Context, id string) (*store.Grant, []byte, bool, error) {
	if f.down != nil {
		return nil, nil, false, f.down
	}
	return f.Store.Grant(ctx, id)
}

// people is the built-in directory and one person of another, ext.
type people struct {
	store.People
	ext  *directory.Entry // nil: gone
	away error
}

func (p *people) Lookup(ctx context.Context, by directory.By, v string) (*directory.Entry, error) {
	switch {
	case p.away != nil:
		return nil, p.away
	case v == "ext-id" && p.ext == nil:
		return nil, directory.ErrNotFound
	case v == "ext-id":
		return p.ext, nil
	}
	return p.People.Lookup(ctx, by, v)
}

// testSigner signs with one key an algorithm.
type testSigner struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

var testKeys = sync.OnceValue(func() testSigner {
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	e, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return testSigner{r, e}
})

func (k testSigner) Sign(alg string, payload []byte) (string, error) {
	var key crypto.Signer = k.rsa
	if alg == "ES256" {
		key = k.ec
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg),
		Key: jose.JSONWebKey{Key: key, KeyID: alg}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	j, err := s.Sign(payload)
	if err != nil {
		return "", err
	}
	return j.CompactSerialize()
}

func (k testSigner) Verify(token string) ([]byte, error) {
	j, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	keys := k.set().Key(j.Signatures[0].Header.KeyID)
	if len(keys) == 0 {
		return nil, errors.New("no such key")
	}
	return j.Verify(keys[0])
}

func (k testSigner) set() *jose.JSONWebKeySet {
	return &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.rsa.Public(), KeyID: "RS256", Algorithm: "RS256", Use: "sig"},
		{Key: k.ec.Public(), KeyID: "ES256", Algorithm: "ES256", Use: "sig"}}}
}

func (k testSigner) JWKS() []byte {
	b, _ := json.Marshal(k.set())
	return b
}
