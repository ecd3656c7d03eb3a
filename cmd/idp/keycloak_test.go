package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// keycloak is a realm that brokers to us: an identity provider "OpenID Connect
// v1.0" with PKCE and Backchannel logout on, as the recipe says.
type keycloak struct {
	*consumer
	told chan url.Values // forms to its backchannel_logout_uri
}

const (
	keycloakRealm  = "/realms/main"
	keycloakLogout = keycloakRealm + "/protocol/openid-connect/logout/backchannel-logout"
)

func newKeycloak(d *demo, more ...string) keycloak {
	d.t.Helper()
	k := keycloak{told: make(chan url.Values, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+keycloakLogout, func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		k.told <- r.PostForm
	})
	realm := httptest.NewServer(mux)
	d.t.Cleanup(realm.Close)
	k.consumer = d.consumer("keycloak", realm.URL+keycloakRealm, more...)
	return k
}

// keycloakAuth adds a client's authentication to a request and its form.
type keycloakAuth func(*http.Request, url.Values)

// login walks through the broker: createAuthorizationUrl of
// AbstractOAuth2IdentityProvider and OIDCIdentityProvider, then the code, with
// the client authentication that authenticate adds.
func (k keycloak) login(p *person, authenticate keycloakAuth) (*oauth2.Token, map[string]any) {
	k.t.Helper()
	verifier := oauth2.GenerateVerifier()
	back := k.authorize(p, k.grace(), k.request(url.Values{"nonce": {"of-the-realm"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}))
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")},
		"redirect_uri": {k.redirect}, "code_verifier": {verifier}}
	header := http.Request{Header: http.Header{}}
	authenticate(&header, form)
	req := k.post(k.endpoint("token_endpoint"), form)
	for name, value := range header.Header {
		req.Header[name] = value
	}
	token := k.ask(req).tokens(k.t)
	return token, k.valid(p.t, token.Extra("id_token"))
}

// valid is validateToken of OIDCIdentityProvider: the signature by a key of our
// JWKS, exp, aud, no azp but its own, iss.
func (k keycloak) valid(t *testing.T, raw any) map[string]any {
	t.Helper()
	claims := k.claims((&oauth2.Token{}).WithExtra(map[string]any{"id_token": raw}))
	if azp, has := claims["azp"]; has && azp != k.id {
		t.Errorf("azp is %v", azp)
	}
	return claims
}

// bySecret is authenticateTokenRequest for "Client secret sent as post".
func (k keycloak) bySecret(_ *http.Request, form url.Values) {
	form.Set("client_id", k.id)
	form.Set("client_secret", k.secret)
}

// A realm may authenticate in these ways (AbstractOAuth2IdentityProvider,
// authenticateTokenRequest and generateToken), and believes an identity if the
// nonce came back and userinfo, in JSON, has the same sub (OIDCIdentityProvider,
// extractIdentity, getFederatedIdentity and preprocessFederatedIdentity).
func TestKeycloakSignsIn(t *testing.T) {
	d := startDemo(t)
	key, set := keycloakKey(t)
	signs := []string{"--auth-method", "private_key_jwt", "--jwks-file", set}
	for _, tt := range []struct {
		name   string
		client []string
		by     func(keycloak, *http.Request, url.Values)
	}{
		{"Client secret sent as post", nil, keycloak.bySecret},
		{"Client secret sent as basic auth", nil, func(k keycloak, r *http.Request, _ url.Values) {
			r.SetBasicAuth(url.QueryEscape(k.id), url.QueryEscape(k.secret))
		}},
		{"Client secret sent as basic auth without encoding", nil, func(k keycloak, r *http.Request, _ url.Values) {
			r.SetBasicAuth(k.id, k.secret)
		}},
		{"JWT signed with private key", signs, func(k keycloak, _ *http.Request, form url.Values) {
			k.assert(form, key, k.endpoint("token_endpoint"))
		}},
		{"JWT signed with private key, Client assertion audience our issuer", signs,
			func(k keycloak, _ *http.Request, form url.Values) { k.assert(form, key, k.Issuer) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKeycloak(d, tt.client...)
			token, claims := k.login(newPerson(t), func(r *http.Request, form url.Values) { tt.by(k, r, form) })
			if claims["nonce"] != "of-the-realm" {
				t.Errorf("nonce is %v", claims["nonce"])
			}
			req := k.get(k.endpoint("userinfo_endpoint"))
			req.Header.Set("Authorization", "Bearer "+token.AccessToken)
			info := k.ask(req)
			kind, _, _ := strings.Cut(info.header.Get("Content-Type"), ";")
			if info.status != http.StatusOK || kind != "application/json" {
				t.Fatalf("userinfo is %d %s", info.status, kind)
			}
			got := info.object(t)
			for name, want := range map[string]any{"sub": claims["sub"], "given_name": "Grace", "family_name": "Okafor",
				"preferred_username": "grace", "email": d.grace().Email} {
				if got[name] != want || want == nil {
					t.Errorf("%s is %#v, want %#v", name, got[name], want)
				}
			}
			// "Trust email" goes by the ID token.
			if claims["email_verified"] != true {
				t.Errorf("email_verified is %#v", claims["email_verified"])
			}
		})
	}
}

// keycloakKey is the realm's key, and its certificates' end as a file.
func keycloakKey(t *testing.T) (jose.JSONWebKey, string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "of-the-realm", Algorithm: "RS256", Use: "sig"}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	path := filepath.Join(t.TempDir(), "certs.json")
	if err == nil {
		err = os.WriteFile(path, set, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, path
}

// assert is generateToken. The realm's "Login timeout" is the assertion's life,
// a minute by default.
func (k keycloak) assert(form url.Values, key jose.JSONWebKey, audience string) {
	k.t.Helper()
	by, typ := jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(by, typ)
	if err != nil {
		k.t.Fatal(err)
	}
	now := k.now()
	claims, err := json.Marshal(map[string]any{"jti": rand.Text(), "typ": "JWT", "iss": k.id, "sub": k.id,
		"aud": audience, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix()})
	if err != nil {
		k.t.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		k.t.Fatal(err)
	}
	signed, err := jws.CompactSerialize()
	if err != nil {
		k.t.Fatal(err)
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", signed)
	form.Set("client_id", k.id)
}

// With Backchannel logout on, a realm ends our session by itself: a GET with
// id_token_hint and its own state, without a browser and its cookies, and any
// status from 200 to 399 is a yes (OIDCIdentityProvider, backchannelLogout).
func TestKeycloakSignsOutWithoutCookies(t *testing.T) {
	d := startDemo(t)
	for _, names := range []string{"public", "pairwise"} {
		t.Run(names, func(t *testing.T) { keycloakSignsOut(t, newKeycloak(d, "--subject-type", names)) })
	}
}

func keycloakSignsOut(t *testing.T, k keycloak) {
	p, other := newPerson(t), newPerson(t)
	token, claims := k.login(p, k.bySecret)
	k.login(other, k.bySecret)

	raw, _ := token.Extra("id_token").(string)
	end := func(hint string) int {
		return k.ask(k.get(k.endpoint("end_session_endpoint") + "?" + url.Values{"state": {"session-of-the-realm"},
			"id_token_hint": {hint}, "client_id": {k.id}}.Encode())).status
	}
	if status := end(forged(raw)); status < 400 {
		t.Errorf("somebody else's ID token: %d", status)
	}
	if !k.silently(p) {
		t.Fatal("it ended the session")
	}
	if status := end(raw); status < 200 || status >= 400 {
		t.Errorf("its own ID token: %d", status)
	}
	if k.silently(p) {
		t.Error("the session goes on")
	}
	if !k.silently(other) {
		t.Error("so ended the session of the other browser")
	}
	k.hears(claims)
	// The realm may say so twice.
	if status := end(raw); status < 200 || status >= 400 {
		t.Errorf("once more: %d", status)
	}
}

// forged is an ID token that says what it said, and is signed by nobody.
func forged(token string) string {
	parts := strings.Split(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
}

// hears waits for a logout token, and judges it as the realm does: as an ID
// token first, then sub or sid, the event, no nonce, jti and iat (TokenManager,
// verifyLogoutToken). The session is looked up by sid, that of the ID token
// (issue 12142 of keycloak/keycloak), or by sub.
func (k keycloak) hears(of map[string]any) {
	k.t.Helper()
	form := arrived(k.t, "the logout token", k.told)
	claims := k.valid(k.t, form.Get("logout_token"))
	events, _ := claims["events"].(map[string]any)
	_, ok := events["http://schemas.openid.net/event/backchannel-logout"]
	if !ok || claims["jti"] == nil || claims["iat"] == nil {
		k.t.Errorf("the logout token has %v", claims)
	}
	if _, has := claims["nonce"]; has {
		k.t.Error("the logout token has a nonce")
	}
	if claims["sid"] != of["sid"] || claims["sub"] != of["sub"] || of["sid"] == nil {
		k.t.Errorf("it is for %v %v, the ID token was for %v %v",
			claims["sub"], claims["sid"], of["sub"], of["sid"])
	}
}

// Whoever signs out on our page is signed out of the realm.
func TestKeycloakHearsOfLogout(t *testing.T) {
	d := startDemo(t)
	k := newKeycloak(d)
	p := newPerson(t)
	_, claims := k.login(p, k.bySecret)
	p.visit(d.Issuer + "/logout")
	p.press("Sign Out", nil)
	k.hears(claims)
}

// With Backchannel logout off, a realm sends the browser, and knows its session
// by the state that comes back (OIDCIdentityProvider, keycloakInitiatedBrowserLogout
// and logoutResponse).
func TestKeycloakSignsOutInTheBrowser(t *testing.T) {
	d := startDemo(t)
	k := newKeycloak(d)
	p := newPerson(t)
	token, _ := k.login(p, k.bySecret)
	raw, _ := token.Extra("id_token").(string)
	at := k.redirect + "/logout_response"
	c := *k.consumer
	c.redirect = at
	back := c.authorize(p, d.grace(), c.endpoint("end_session_endpoint")+"?"+url.Values{"state": {"session-of-the-realm"},
		"id_token_hint": {raw}, "post_logout_redirect_uri": {at}}.Encode())
	if back.Get("state") != "session-of-the-realm" || len(back) != 1 {
		t.Errorf("the realm got %v", back)
	}
	if k.silently(p) {
		t.Error("the session goes on")
	}
}
