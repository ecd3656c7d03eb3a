package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
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
	goOIDCLogout(p, op, rp, d)
}

// goOIDCLogout signs the person in again, which asks them nothing, and out.
func goOIDCLogout(p *person, op *oidc.Provider, rp oauth2.Config, d *demo) {
	p.t.Helper()
	ctx := p.t.Context()
	verifier := oauth2.GenerateVerifier()
	nobody := demoPerson{} // is asked
	code := p.authorize(rp.AuthCodeURL("again", oauth2.S256ChallengeOption(verifier)), nobody, "again", d.Issuer)
	token, err := rp.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		p.t.Fatal(err)
	}
	var meta struct {
		End string `json:"end_session_endpoint"`
	}
	if err := op.Claims(&meta); err != nil {
		p.t.Fatal(err)
	}
	idToken, _ := token.Extra("id_token").(string)
	back := p.away(meta.End + "?" + url.Values{"id_token_hint": {idToken}, "state": {"a b&c"},
		"post_logout_redirect_uri": {"http://127.0.0.1:9/"}}.Encode())
	if want := "http://127.0.0.1:9/?state=a+b%26c"; back == nil || back.String() != want {
		p.t.Fatalf("signing out led to %v, not to %s", back, want)
	}
	p.signedOut(rp.AuthCodeURL("quiet", oauth2.SetAuthURLParam("prompt", "none"), oauth2.S256ChallengeOption(verifier)), "quiet")
	var refused *oauth2.RetrieveError
	_, err = rp.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		p.t.Errorf("after signing out, the refresh token gave %v", err)
	}
}

// authorize signs the person in for an app and returns the code.
func (p *person) authorize(address string, who demoPerson, state, issuer string) string {
	p.t.Helper()
	back := p.away(address)
	if back == nil {
		back = p.awayBy(func() { p.signIn(who.Email, who.Password) })
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

// signedOut asks for an answer without a page, and wants to hear that nobody is
// signed in.
func (p *person) signedOut(quiet, state string) {
	p.t.Helper()
	back := p.away(quiet)
	if back == nil || back.Query().Get("error") != "login_required" || back.Query().Get("state") != state {
		p.t.Errorf("after signing out, prompt=none gave %v", back)
	}
}

// away opens an address that may lead to an app, and returns where; nil if it
// led to a page.
func (p *person) away(address string) *url.URL {
	p.t.Helper()
	return p.awayBy(func() { p.visit(address) })
}

// awayBy returns where what the person does leads them. The app itself is not
// there: the redirect to it, at port 9, is caught.
func (p *person) awayBy(do func()) (to *url.URL) {
	p.t.Helper()
	p.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Port() == "9" {
			to = req.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	do()
	return to
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
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			nodeClient(t, startDemo(t, "--store", storetest.New(t, engine).URL), "signin.mjs")
		})
	}
}

// So does npm's oauth4webapi, which is stricter and has us to the letter.
func TestOAuth4WebAPI(t *testing.T) { nodeClient(t, startDemo(t), "oauth4webapi.mjs") }

// nodeClient runs a relying party of testdata/node, which walks by itself, and
// wants it to say that it came to its end.
func nodeClient(t *testing.T, d *demo, app string) {
	t.Helper()
	needNode(t)
	job, err := json.Marshal(map[string]any{"issuer": d.Issuer, "client": d.Clients[0].ID,
		"secret": d.Clients[0].Secret, "identifier": d.grace().Username, "password": d.grace().Password,
		"email": d.grace().Email})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", app, string(job))
	cmd.Dir = filepath.Join("testdata", "node")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "signed in, refreshed, revoked and signed out") {
		t.Errorf("%v\n%s", err, out)
	}
}

// needNode fails if the packages of testdata/node are not those of its lock file.
func needNode(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", "ls", "--silent")
	cmd.Dir = filepath.Join("testdata", "node")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: run `npm ci` in cmd/idp/testdata/node (.ci/test does)\n%s", err, out)
	}
}
