//go:build campaign

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// Keys are rotated under 50 requests a second to two servers, in real time
// around each moment at which something changes: the rotation, a day later, when
// the new keys sign, and another day later, when the old ones are no longer
// published. Every token is verified by an app that keeps our JWKS for as long
// as we say, and never asks for it sooner, and by the other server.
func TestT33KeysRotateUnderLoad(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 2})
	for _, alg := range []string{"RS256", "ES256", "EdDSA", "PS256"} {
		s.ok(s.db.PutClient(t.Context(), store.Client{ID: alg, Name: alg, SecretHash: account.HashSecret(appSecret), Algorithm: alg,
			GrantTypes: []string{"client_credentials"}, AccessTokenFormat: "jwt", Introspect: true}, "test"))
	}
	r := &rotation{site: s, kids: map[string]bool{}}
	r.traffic(5 * time.Second)
	before := s.now()
	s.ok(runIDP(t, "keys", "rotate", "--config", s.config))
	after := s.now()
	r.traffic(35 * time.Second) // until every server has read them again
	for _, passed := range []time.Duration{24 * time.Hour, 48 * time.Hour} {
		s.passes(before.Add(passed - 3*time.Second))
		r.jwks.Store(nil) // it is more than five minutes old
		r.traffic(after.Sub(before) + 8*time.Second)
	}
	t.Logf("%d tokens by %d keys, %d refused", r.made.Load(), len(r.kids), r.refused.Load())
	if len(r.kids) != 2*4 {
		t.Errorf("%d keys signed, want 2 of each algorithm", len(r.kids))
	}
	if r.refused.Load() > 0 {
		t.Error("valid tokens were refused")
	}
}

type rotation struct {
	*site
	jwks          atomic.Pointer[heldJWKS]
	made, refused atomic.Int64
	mu            sync.Mutex
	kids          map[string]bool
}

type heldJWKS struct {
	jose.JSONWebKeySet
	until time.Time
}

// traffic is 50 requests a second, each for a token that is then verified.
func (r *rotation) traffic(d time.Duration) {
	var wg sync.WaitGroup
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range int(d / (20 * time.Millisecond)) {
		<-tick.C
		wg.Go(func() {
			r.made.Add(1)
			if err := r.one([]string{"RS256", "ES256", "EdDSA", "PS256"}[i%4]); err != nil {
				r.refused.Add(1)
				r.t.Error(err)
			}
		})
	}
	wg.Wait()
}

func (r *rotation) one(client string) error {
	var token struct {
		Access string `json:"access_token"`
	}
	if err := r.ask("/token", client, url.Values{"grant_type": {"client_credentials"}}, &token); err != nil {
		return err
	}
	signed, err := jose.ParseSignedCompact(token.Access, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(client)})
	if err != nil {
		return err
	}
	kid := signed.Signatures[0].Header.KeyID
	r.mu.Lock()
	r.kids[kid] = true
	r.mu.Unlock()
	set, err := r.published()
	if err != nil {
		return err
	}
	if _, err := signed.Verify(set); err != nil {
		return fmt.Errorf("%s by %s, among %d keys: %w", client, kid, len(set.Keys), err)
	}
	var about struct{ Active bool }
	if err := r.ask("/introspect", client, url.Values{"token": {token.Access}}, &about); err != nil {
		return err
	}
	if !about.Active {
		return fmt.Errorf("a server takes a token of %s for dead", client)
	}
	return nil
}

// published is our JWKS as the app has it.
func (r *rotation) published() (*jose.JSONWebKeySet, error) {
	if held := r.jwks.Load(); held != nil && time.Now().Before(held.until) {
		return &held.JSONWebKeySet, nil
	}
	resp, err := r.client.Get(r.url + "/jwks.json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var seconds int
	_, err = fmt.Sscanf(resp.Header.Get("Cache-Control"), "public, max-age=%d", &seconds)
	if err != nil {
		return nil, err
	}
	held := &heldJWKS{until: time.Now().Add(time.Duration(seconds) * time.Second)}
	if err := json.NewDecoder(resp.Body).Decode(&held.JSONWebKeySet); err != nil {
		return nil, err
	}
	r.jwks.Store(held)
	return &held.JSONWebKeySet, nil
}

func (r *rotation) ask(path, client string, form url.Values, answer any) error {
	req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, appSecret)
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s %w", path, resp.Status, b, err)
	}
	return json.Unmarshal(b, answer)
}

// now is the time by the servers.
func (s *site) now() time.Time {
	s.t.Helper()
	resp, err := http.Get("http://" + s.nodes[0].operator + "/clock")
	s.ok(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	s.ok(err)
	at, err := time.Parse(time.RFC3339Nano, string(b))
	s.ok(err)
	return at
}

// passes lets it be a time, for every server.
func (s *site) passes(to time.Time) {
	s.t.Helper()
	began := time.Now()
	for _, n := range s.nodes {
		at := to.Add(time.Since(began))
		resp, err := http.PostForm("http://"+n.operator+"/clock", url.Values{"to": {at.Format(time.RFC3339Nano)}})
		s.ok(err)
		resp.Body.Close()
	}
}

// runIDP runs a command to its end.
func runIDP(t *testing.T, args ...string) error {
	t.Helper()
	p := start(t, args...)
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("idp %s: %w\n%s", strings.Join(args, " "), err, p.log)
	}
	return nil
}
