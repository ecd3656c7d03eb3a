package main

import (
	"net/url"
	"slices"
	"testing"

	"golang.org/x/oauth2"
)

// Microsoft Entra External ID refuses client_secret_basic, wants these members of
// discovery, reads the ID token and never userinfo, and makes no account without
// an email that email_verified says is verified (Microsoft Learn, "Add OpenID
// Connect as an external identity provider" and "OpenID Connect claims mapping").
func TestEntraExternalID(t *testing.T) {
	d := startDemo(t)
	const (
		tenant = "https://acme.ciamlogin.com/11111111-2222-3333-4444-555555555555"
		byName = "https://acme.ciamlogin.com/acme.onmicrosoft.com/federation/oauth2"
	)
	c := d.consumer("entra-external-id", tenant, "--redirect-uri", byName)
	for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri",
		"token_endpoint_auth_methods_supported", "response_types_supported", "subject_types_supported"} {
		if c.meta[name] == nil {
			t.Errorf("discovery has no %s", name)
		}
	}
	methods, _ := c.meta["token_endpoint_auth_methods_supported"].([]any)
	if !slices.Contains(methods, any("client_secret_post")) {
		t.Errorf("token_endpoint_auth_methods_supported is %v", methods)
	}
	// The tenant has two addresses, by its ID and by its name; PKCE is on.
	for _, redirect := range []string{byName, tenant + "/federation/oauth2"} {
		t.Run(redirect, func(t *testing.T) {
			c := *c
			c.redirect = redirect
			verifier := oauth2.GenerateVerifier()
			back := c.authorize(newPerson(t), d.grace(), c.request(url.Values{"nonce": {"of-the-tenant"},
				"scope":          {"openid profile email phone"},
				"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}))
			form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")},
				"redirect_uri": {redirect}, "code_verifier": {verifier},
				"client_id": {c.id}, "client_secret": {c.secret}}
			claims := c.claims(c.ask(c.post(c.endpoint("token_endpoint"), form)).tokens(t))
			for name, want := range map[string]any{"nonce": "of-the-tenant",
				"email": d.grace().Email, "email_verified": true,
				"name": "Grace Adaeze Okafor", "given_name": "Grace", "family_name": "Okafor",
				"phone_number": "+1 312 555 0142", "phone_number_verified": true} {
				if claims[name] != want {
					t.Errorf("%s is %#v, want %#v", name, claims[name], want)
				}
			}
		})
	}
}
