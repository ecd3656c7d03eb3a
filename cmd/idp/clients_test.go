package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/medximity/idp/provider/store/storetest"
)

// Real relying parties sign a real person in, on both engines.

func TestGoOIDC(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { goOIDC(t, startDemo(t, "--store", storetest.New(t, engine).URL)) })
	}
}

func goOIDC(t *testing.T, d *demo) {
	ctx := t.Context()
	op, err := oidc.NewProvider(ctx, d.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	rp := oauth2.Config{
		ClientID: d.Clients[0].ID, ClientSecret: d.Clients[0].Secret, Endpoint: op.Endpoint(),
		RedirectURL: "http://127.0.0.1:9/callback", Scopes: []string{"openid", "profile", "email", "offline_access"},
	}
	verifier := oauth2.GenerateVerifier()
	p := newPerson(t)
	code := p.authorize(rp.AuthCodeURL("state-of-the-app", oidc.Nonce("nonce-of-the-app"), oauth2.S256ChallengeOption(verifier)),
		d.grace(), "state-of-the-app", d.Issuer)

	token, err := rp.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := op.Verifier(&oidc.Config{ClientID: rp.ClientID}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != "nonce-of-the-app" || id.VerifyAccessToken(token.AccessToken) != nil {
		t.Errorf("nonce %q, at_hash %v", id.Nonce, id.VerifyAccessToken(token.AccessToken))
	}
	info, err := op.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != id.Subject || info.Email != d.grace().Email || !info.EmailVerified {
		t.Fatalf("userinfo %+v, %v", info, err)
	}

	fresh, err := rp.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || fresh.RefreshToken == token.RefreshToken || fresh.AccessToken == token.AccessToken {
		t.Fatalf("refresh did not rotate: %v", err)
	}
	if _, err := op.UserInfo(ctx, oauth2.StaticTokenSource(token)); err == nil {
		t.Error("the access token before the refresh still works")
	}
	revoke(t, op, rp, fresh.RefreshToken)
	if _, err := op.UserInfo(ctx, oauth2.StaticTokenSource(fresh)); err == nil {
		t.Error("the access token works after its grant was revoked")
	}
	var refused *oauth2.RetrieveError
	if _, err := rp.TokenSource(ctx, &oauth2.Token{RefreshToken: fresh.RefreshToken}).Token(); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		t.Errorf("a revoked refresh token gave %v", err)
	}
}

// authorize signs the person in for an app and returns the code. The app
// itself is not there: the redirect to it is caught.
func (p *person) authorize(address string, who demoPerson, state, issuer string) string {
	p.t.Helper()
	var back *url.URL
	p.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Port() == "9" {
			back = req.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	p.visit(address)
	if back == nil {
		p.signIn(who.Email, who.Password)
	}
	if back == nil {
		p.t.Fatalf("no answer to the app; the page is %s (%d):\n%s", p.page.url, p.page.status, p.page.words())
	}
	q := back.Query()
	if q.Get("state") != state || q.Get("iss") != issuer || q.Get("code") == "" {
		p.t.Fatalf("the app got %s", back)
	}
	return q.Get("code")
}

// revoke ends a token as RFC 7009 says.
func revoke(t *testing.T, op *oidc.Provider, rp oauth2.Config, token string) {
	t.Helper()
	var meta struct {
		Revocation string `json:"revocation_endpoint"`
	}
	if err := op.Claims(&meta); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, meta.Revocation,
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(rp.ClientID), url.QueryEscape(rp.ClientSecret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("revocation: %s", resp.Status)
	}
}

// npm's openid-client v6 walks the same way; testdata/node/signin.mjs is the app.
func TestOpenIDClient(t *testing.T) {
	modules := filepath.Join("testdata", "node", "node_modules", "openid-client")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("%v: run `npm ci` in cmd/idp/testdata/node (.ci/test does)", err)
	}
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			d := startDemo(t, "--store", storetest.New(t, engine).URL)
			job, err := json.Marshal(map[string]any{"issuer": d.Issuer, "client": d.Clients[0].ID,
				"secret": d.Clients[0].Secret, "identifier": d.grace().Username, "password": d.grace().Password,
				"email": d.grace().Email})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "signin.mjs", string(job))
			cmd.Dir = filepath.Join("testdata", "node")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "signed in, refreshed and revoked") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
