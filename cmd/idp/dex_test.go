package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Dex's connector "oidc" takes no claim in another type than it has: name and
// email are texts, and email_verified a boolean, or nobody gets in
// (dexidp/dex, connector/oidc/oidc.go, createIdentity).
func TestDex(t *testing.T) {
	d := startDemo(t)
	for _, tt := range []struct {
		name     string
		client   []string // flags beside the preset
		userinfo bool     // getUserInfo
		style    oauth2.AuthStyle
		fails    string
	}{
		{name: "as the recipe says"},
		{name: "with getUserInfo", userinfo: true},
		{name: "with basicAuthUnsupported", style: oauth2.AuthStyleInParams},
		// What the preset is for.
		{name: "thin ID tokens", client: []string{"--claims-in-id-token=false"}, fails: `missing "name" claim`},
		{name: "thin ID tokens, with getUserInfo", client: []string{"--claims-in-id-token=false"}, userinfo: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newDexConnector(d.consumer("dex", "https://dex.example/dex", tt.client...))
			x.getUserInfo, x.config.Endpoint.AuthStyle = tt.userinfo, tt.style
			who, token, err := x.login(newPerson(t))
			if tt.fails != "" {
				if err == nil || err.Error() != tt.fails {
					t.Errorf("%+v, %v; want %s", who, err, tt.fails)
				}
				return
			}
			want := dexIdentity{who.subject, "Grace Adaeze Okafor", "grace", d.grace().Email, true}
			if err != nil || who != want || who.subject == "" {
				t.Fatalf("%+v, %v; want %+v", who, err, want)
			}
			// Dex refreshes whenever its own clients do, and reads all once more.
			for range 2 {
				old := &oauth2.Token{RefreshToken: token.RefreshToken}
				if token, err = x.config.TokenSource(t.Context(), old).Token(); err != nil {
					t.Fatal(err)
				}
				if again, err := x.identity(t.Context(), token); err != nil || again != want {
					t.Fatalf("refreshed: %+v, %v; want %+v", again, err, want)
				}
			}
		})
	}
}

// dexConnector is a connector of Dex, with the scopes of the recipe.
type dexConnector struct {
	c           *consumer
	config      oauth2.Config
	getUserInfo bool
}

func newDexConnector(c *consumer) *dexConnector {
	return &dexConnector{c: c, config: oauth2.Config{ClientID: c.id, ClientSecret: c.secret,
		Endpoint: c.op.Endpoint(), RedirectURL: c.redirect,
		Scopes: []string{"openid", "profile", "email", "offline_access"}}}
}

type dexIdentity struct {
	subject, name, preferred, email string
	verified                        bool
}

// login is LoginURL and HandleCallback: there is no nonce and no code_challenge,
// and a client of Dex that wants to refresh makes it ask for consent.
func (x *dexConnector) login(p *person) (dexIdentity, *oauth2.Token, error) {
	c := x.c
	c.t.Helper()
	to := x.config.AuthCodeURL("of-dex", oauth2.AccessTypeOffline, oauth2.SetAuthURLParam("prompt", "consent"))
	back := c.authorize(p, c.grace(), to)
	if back.Get("state") != "of-dex" {
		c.t.Fatalf("Dex got %v", back)
	}
	token, err := x.config.Exchange(p.t.Context(), back.Get("code"))
	if err != nil {
		return dexIdentity{}, nil, err
	}
	who, err := x.identity(p.t.Context(), token)
	return who, token, err
}

// identity is createIdentity.
func (x *dexConnector) identity(ctx context.Context, token *oauth2.Token) (dexIdentity, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return dexIdentity{}, errors.New("no id_token")
	}
	id, err := x.c.op.Verifier(&oidc.Config{ClientID: x.c.id}).Verify(ctx, raw)
	if err != nil {
		return dexIdentity{}, err
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return dexIdentity{}, err
	}
	if x.getUserInfo {
		info, err := x.c.op.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err == nil {
			err = info.Claims(&claims)
		}
		if err != nil {
			return dexIdentity{}, err
		}
	}
	var who dexIdentity
	for _, want := range []struct {
		claim string
		to    *string
	}{{"sub", &who.subject}, {"name", &who.name}, {"email", &who.email}} {
		if *want.to, ok = claims[want.claim].(string); !ok {
			return who, fmt.Errorf("missing %q claim", want.claim)
		}
	}
	if who.verified, ok = claims["email_verified"].(bool); !ok {
		return who, errors.New(`missing "email_verified" claim`)
	}
	who.preferred, _ = claims["preferred_username"].(string)
	return who, nil
}
