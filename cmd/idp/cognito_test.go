package main

import (
	"net/http"
	"net/url"
	"testing"
)

// A user pool of Amazon Cognito authenticates by client_secret_post and by
// nothing else, sends no code_challenge, takes the attributes from userinfo, by
// GET or POST as attributes_request_method says, and leaves it to userinfo to
// refuse a bad access token (Amazon Cognito Developer Guide, "Using OIDC identity
// providers with a user pool" and "How a user pool processes claims from an OIDC
// provider").
func TestCognito(t *testing.T) {
	d := startDemo(t)
	c := d.consumer("cognito", "https://acme.auth.us-east-1.amazoncognito.com")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			back := c.authorize(newPerson(t), d.grace(), c.request(nil))
			form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")},
				"redirect_uri": {c.redirect}, "client_id": {c.id}, "client_secret": {c.secret}}
			token := c.ask(c.post(c.endpoint("token_endpoint"), form)).tokens(t)

			// The pool's checks: the signature, by the key in the JWKS that kid names;
			// iss, aud and exp. Then sub, which becomes the name in the pool, is in both.
			claims := c.claims(token)
			attributes := c.attributes(method, token.AccessToken)
			got := attributes.object(t)
			if attributes.status != http.StatusOK || got["sub"] != claims["sub"] || got["sub"] == "" {
				t.Fatalf("%d: %v; the ID token has %v", attributes.status, got, claims)
			}
			for name, want := range map[string]any{"email": d.grace().Email, "email_verified": true,
				"given_name": "Grace", "family_name": "Okafor", "preferred_username": "grace", "locale": "en-US"} {
				if got[name] != want || claims[name] != want {
					t.Errorf("%s is %#v in userinfo and %#v in the ID token, want %#v", name, got[name], claims[name], want)
				}
			}
			if bad := c.attributes(method, token.AccessToken+"x"); bad.status != http.StatusUnauthorized {
				t.Errorf("userinfo with a bad token: %d %s", bad.status, bad.body)
			}
		})
	}
}

// attributes asks userinfo, with the token in the header either way.
func (c *consumer) attributes(method, access string) answer {
	c.t.Helper()
	req := c.made(http.NewRequest(method, c.endpoint("userinfo_endpoint"), nil))
	req.Header.Set("Authorization", "Bearer "+access)
	return c.ask(req)
}
