package provider

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// fakeStore is the store's contract in memory.
type fakeStore struct {
	mu      sync.Mutex
	rig     *rig
	clients map[string]store.Client
	rows    map[string]*fakeGrant
	codes   map[string]string
	epoch   int64
	down    error
	secrets map[string][]byte
	calls   int
}

type fakeGrant struct {
	store.Grant
	store.Tokens
	revoked account.Reason
}

func (f *fakeStore) lock() func() { f.mu.Lock(); f.calls++; return f.mu.Unlock }

func (f *fakeStore) Client(_ context.Context, id string) (*store.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.clients[id]; ok {
		return &c, nil
	}
	return nil, store.ErrNoClient
}

func (f *fakeStore) RedeemCode(_ context.Context, g store.Grant, code []byte, t store.Tokens) error {
	defer f.lock()()
	if f.down != nil {
		return f.down
	}
	if id, ok := f.codes[string(code)]; ok {
		f.rows[id].revoked = account.ReuseSeen
		return store.ErrReplayed
	}
	if g.Epoch != f.epoch {
		return store.ErrGone
	}
	f.codes[string(code)] = g.ID
	f.rows[g.ID] = &fakeGrant{Grant: g, Tokens: t}
	return nil
}

func (f *fakeStore) live(r *fakeGrant) bool {
	return r.revoked == "" && r.Epoch == f.epoch
}

func (f *fakeStore) GrantByAccess(_ context.Context, access []byte) (*store.Grant, *directory.Entry, error) {
	defer f.lock()()
	for _, r := range f.rows {
		if bytes.Equal(r.Access, access) && f.live(r) && f.rig.now().Before(r.Tokens.AccessUntil) {
			g := r.Grant
			return &g, f.rig.people[g.Account], nil
		}
	}
	return nil, nil, cmpErr(f.down, store.ErrGone)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (f *fakeStore) Grant(_ context.Context, id string) (*store.Grant, []byte, bool, error) {
	defer f.lock()()
	r, ok := f.rows[id]
	if !ok || f.down != nil {
		return nil, nil, false, cmpErr(f.down, store.ErrGone)
	}
	g := r.Grant
	return &g, r.Refresh, f.live(r) && f.rig.now().Before(r.Tokens.RefreshUntil), nil
}

func (f *fakeStore) Rotate(_ context.Context, g *store.Grant, old []byte, t store.Tokens) error {
	defer f.lock()()
	r := f.rows[g.ID]
	if f.down != nil || !f.live(r) {
		return cmpErr(f.down, store.ErrGone)
	}
	if !bytes.Equal(r.Refresh, old) {
		r.revoked = account.ReuseSeen
		return store.ErrReused
	}
	r.Tokens = t
	return nil
}

func (f *fakeStore) RevokeGrant(_ context.Context, id string, why account.Reason) error {
	defer f.lock()()
	if r, ok := f.rows[id]; ok && r.revoked == "" {
		r.revoked = why
	}
	return f.down
}

func (f *fakeStore) Secret(_ context.Context, name string, n int) ([]byte, error) {
	if f.secrets[name] == nil {
		f.secrets[name] = make([]byte, n)
		_, _ = rand.Read(f.secrets[name])
	}
	return f.secrets[name], nil
}

// fakeKeys signs with one key an algorithm.
type fakeKeys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

var testKeys = sync.OnceValue(func() fakeKeys {
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	e, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return fakeKeys{r, e}
})

func (k fakeKeys) Sign(alg string, payload []byte) (string, error) {
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

func (k fakeKeys) Verify(token string) ([]byte, error) {
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

func (k fakeKeys) set() *jose.JSONWebKeySet {
	return &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.rsa.Public(), KeyID: "RS256", Algorithm: "RS256", Use: "sig"},
		{Key: k.ec.Public(), KeyID: "ES256", Algorithm: "ES256", Use: "sig"}}}
}

func (k fakeKeys) JWKS() []byte {
	b, _ := json.Marshal(k.set())
	return b
}

var _ = slices.Contains[[]string]
