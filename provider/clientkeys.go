package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/store"
)

const (
	maxJWKS      = 64 << 10        // bytes
	maxKeys      = 32              // of one client
	jwksFor      = time.Hour       // then they are fetched again
	jwksAtMost   = 24 * time.Hour  // and are no longer believed if that fails
	jwksPause    = time.Minute     // between two fetches, whatever is asked for
	fetchTimeout = 5 * time.Second // of one
)

// keysOf returns a client's public keys: those it was registered with, or those
// at its jwks_uri, fetched again where a kid is not among them.
func (o *oidc) keysOf(ctx context.Context, c *store.Client, kid string) []jose.JSONWebKey {
	if c.JWKSURI == "" {
		return publicKeys(c.JWKS)
	}
	all, err := o.remote.keys(ctx, c.JWKSURI, kid)
	if err != nil {
		o.Logger.WarnContext(ctx, "keys of a client", "client", c.ID, "cause", err.Error())
	}
	return all
}

// remoteKeys keeps what clients publish. Only registered addresses are in it,
// so strangers cannot fill it.
type remoteKeys struct {
	client *http.Client
	now    func() time.Time
	mu     sync.Mutex
	held   map[string]*heldKeys
}

type heldKeys struct {
	fetching sync.Mutex // held for a fetch, so that there is one at a time
	mu       sync.Mutex
	all      []jose.JSONWebKey
	got      time.Time // when they were fetched
	tried    time.Time // the last fetch, whether or not it succeeded
}

// keys returns what is at an address: as it was within the hour, if the kid is
// among it, else as it was within the minute. Where fetches fail, keys stay as
// they were for a day. The error is that of a fetch made here.
func (r *remoteKeys) keys(ctx context.Context, uri, kid string) ([]jose.JSONWebKey, error) {
	h := r.at(uri)
	all, age, pause := h.get(r.now())
	known := len(all) > 0 && (kid == "" || slices.ContainsFunc(all, func(k jose.JSONWebKey) bool { return k.KeyID == kid }))
	if known && age < jwksFor || pause < jwksPause {
		return all, nil
	}
	if known && !h.fetching.TryLock() {
		return all, nil // somebody fetches; nobody who has the key waits
	}
	if !known {
		h.fetching.Lock()
	}
	defer h.fetching.Unlock()
	if all, _, pause = h.get(r.now()); pause < jwksPause {
		return all, nil // somebody has fetched meanwhile
	}
	fresh, err := r.fetch(ctx, uri)
	return h.put(r.now(), fresh, err), err
}

func (r *remoteKeys) at(uri string) *heldKeys {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = map[string]*heldKeys{}
	}
	if r.held[uri] == nil {
		r.held[uri] = new(heldKeys)
	}
	return r.held[uri]
}

func (h *heldKeys) get(now time.Time) (all []jose.JSONWebKey, age, pause time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all, now.Sub(h.got), now.Sub(h.tried)
}

func (h *heldKeys) put(now time.Time, fresh []jose.JSONWebKey, err error) []jose.JSONWebKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = now
	switch {
	case err == nil:
		h.all, h.got = fresh, now
	case now.Sub(h.got) > jwksAtMost:
		h.all = nil // who took them away, and our way there, must not keep them
	}
	return h.all
}

// fetch gets a JWK set. It goes on if the request that wants it hangs up: a
// stranger who does must not keep the client's keys from us.
func (r *remoteKeys) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("jwks_uri answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxJWKS {
		return nil, errors.New("jwks_uri answers with too much")
	}
	all := publicKeys(b)
	if len(all) == 0 {
		return nil, errors.New("jwks_uri has no key that could sign an assertion")
	}
	return all, nil
}

// publicKeys returns those keys of a JWK set that can sign assertions. Others
// are passed over: it may have some for other uses (RFC 7517 section 5).
func publicKeys(set []byte) []jose.JSONWebKey {
	var all []jose.JSONWebKey
	for _, raw := range rawKeys(set) {
		if k, err := publicKey(raw); err == nil && len(all) < maxKeys {
			all = append(all, k)
		}
	}
	return all
}

func rawKeys(set []byte) []json.RawMessage {
	var s struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(set) == 0 || len(set) > maxJWKS || json.Unmarshal(set, &s) != nil {
		return nil
	}
	return s.Keys
}

func publicKey(raw json.RawMessage) (k jose.JSONWebKey, err error) {
	if err := k.UnmarshalJSON(raw); err != nil {
		return k, errors.New("is not a JWK that we know")
	}
	fits := func(alg string) bool { return (k.Algorithm == "" || k.Algorithm == alg) && keys.Fits(alg, k.Key) }
	switch {
	case !k.Valid():
		return k, errors.New("is not a valid JWK")
	case !k.IsPublic(): // or symmetric
		return k, errors.New("is not a public key: it has no business here, and should be replaced")
	case k.Use != "" && k.Use != "sig":
		return k, errors.New("is not for signatures")
	case !slices.ContainsFunc(keys.Algorithms(), fits):
		return k, errors.New("fits none of our algorithms: RSA of 2048 bits or more, P-256, Ed25519")
	}
	return k, nil
}

// CheckJWKS says what is wrong with a JWK set that a client is to be registered
// with, or nil.
func CheckJWKS(set []byte) error {
	raw := rawKeys(set)
	if len(raw) == 0 || len(raw) > maxKeys {
		return fmt.Errorf("needs 1 to %d keys, as a JWK set has them", maxKeys)
	}
	for i, one := range raw {
		if _, err := publicKey(one); err != nil {
			return fmt.Errorf("keys[%d] %w", i, err)
		}
	}
	return nil
}

// CheckJWKSURI says what is wrong with a jwks_uri, or nil.
func CheckJWKSURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil, u.Host == "", u.User != nil, u.Fragment != "":
		return errors.New("is not an absolute URL without user and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("must be https, or http on the loopback interface")
	}
	return nil
}
