package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// lemonldap is Debian's LemonLDAP::NG: an identity provider that an organization
// has already. It sends its people to us, and its apps know nothing of that.
type lemonldap struct {
	*consumer
	portal   string // with the / at its end that its configuration has, too
	app      oauth2.Config
	provider *oidc.Provider // what it is to the app
}

// newLemonldap starts a portal on loopback, with all it keeps in a folder of the
// test, and registers it here with its preset. The options are those of the
// provider in its Manager, beside the recipe's. It has a name, as it wants its
// cookie to have a domain.
func newLemonldap(d *demo, options map[string]any, more ...string) *lemonldap {
	d.t.Helper()
	address := freeAddress(d.t)
	_, port, _ := net.SplitHostPort(address)
	l := &lemonldap{portal: "http://localhost:" + port + "/"}
	l.consumer = d.consumer("lemonldap", l.portal, more...)
	l.app = oauth2.Config{ClientID: "ward", ClientSecret: "of-the-ward", RedirectURL: "http://127.0.0.1:9/ward",
		Scopes: []string{"openid", "profile", "email"}}
	l.start(address, l.configuration(options))
	var err error
	if l.provider, err = oidc.NewProvider(d.t.Context(), l.portal); err != nil {
		d.t.Fatal(err)
	}
	l.app.Endpoint = l.provider.Endpoint()
	return l
}

// Somebody signs in to an app of LemonLDAP's, and does so here: with two factors,
// of which LemonLDAP has our word. Who signs out of the app has no session left,
// neither there nor here.
func TestLemonldap(t *testing.T) {
	d := startDemo(t)
	l := newLemonldap(d, map[string]any{"oidcOPMetaDataOptionsAcrValues": "urn:medximity:acr:2fa"}, "--require-mfa")
	nora := d.person("nora")
	p := newPerson(t)
	back := p.catch(l.app.RedirectURL)
	p.visit(l.app.AuthCodeURL("of-the-ward", oidc.Nonce("nonce-of-the-ward")))
	l.asksHere(p)
	p.signIn(nora.Email, nora.Password)
	if *back != nil {
		t.Fatalf("a password was enough: %v", *back)
	}
	p.enterCode(d.phone(nora).next())
	p.saveCodes()
	raw, claims := l.redeem(*back)
	for name, want := range map[string]any{"sub": "demo-nurse", "name": "Nora Jean Bell", "email": nora.Email,
		"preferred_username": "nora", "nonce": "nonce-of-the-ward"} {
		if claims[name] != want {
			t.Errorf("the app was told %s %v, want %v", name, claims[name], want)
		}
	}
	if !l.silently(p) {
		t.Error("there is no session here")
	}

	p.visit(l.logout(raw))
	if got := p.page.url.String(); got != l.portal+"?logout=1" || p.page.status != http.StatusOK {
		t.Errorf("the way out led to %s (%d):\n%s", got, p.page.status, p.page.words())
	}
	if l.silently(p) {
		t.Error("the session here goes on")
	}
	back = p.catch(l.app.RedirectURL)
	p.visit(l.app.AuthCodeURL("once-more"))
	if *back != nil {
		t.Errorf("the session there goes on: %v", *back)
	}
	l.asksHere(p)
}

// A LemonLDAP that does not store our ID token cannot say whose session it ends:
// the person is asked here, and may say yes.
func TestLemonldapWithoutIDToken(t *testing.T) {
	d := startDemo(t)
	l := newLemonldap(d, map[string]any{"oidcOPMetaDataOptionsStoreIDToken": 0})
	p := newPerson(t)
	back := p.catch(l.app.RedirectURL)
	p.visit(l.app.AuthCodeURL("of-the-ward", oidc.Nonce("nonce-of-the-ward")))
	p.signIn(d.grace().Email, d.grace().Password)
	raw, _ := l.redeem(*back)
	p.visit(l.logout(raw))
	p.onPath("/end-session")
	p.sees("post_logout_redirect_uri needs an id_token_hint")
	p.press("Sign Out", nil)
	if l.silently(p) {
		t.Error("the session goes on")
	}
}

// Who signs out here stays signed in at Debian 12's LemonLDAP: it cannot be told,
// and says so, which is why its preset names no address for that.
func TestLemonldapIsNotTold(t *testing.T) {
	l := newLemonldap(startDemo(t), nil)
	told := l.ask(l.post(l.portal+"oauth2/blogout", url.Values{"logout_token": {"a.b.c"}}))
	if told.status != http.StatusNotImplemented {
		t.Errorf("%d: it can be told now; --preset lemonldap could have it told", told.status)
	}
}

// asksHere wants the person to have been sent to our sign-in page.
func (l *lemonldap) asksHere(p *person) {
	l.t.Helper()
	if !strings.HasPrefix(p.page.url.String(), l.Issuer+"/login") {
		l.t.Fatalf("the page is %s (%d):\n%s", p.page.url, p.page.status, p.page.words())
	}
	p.sees("Sign In")
}

// redeem is the app "ward": it redeems its code at LemonLDAP, and believes the ID
// token by LemonLDAP's key.
func (l *lemonldap) redeem(back url.Values) (string, map[string]any) {
	l.t.Helper()
	if back.Get("state") != "of-the-ward" {
		l.t.Fatalf("the app got %v", back)
	}
	token, err := l.app.Exchange(l.t.Context(), back.Get("code"))
	if err != nil {
		l.t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := l.provider.Verifier(&oidc.Config{ClientID: l.app.ClientID}).Verify(l.t.Context(), raw)
	if err != nil {
		l.t.Fatal(err)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		l.t.Fatal(err)
	}
	return raw, claims
}

// logout is where the app sends people to sign out.
func (l *lemonldap) logout(idToken string) string {
	return l.portal + "oauth2/logout?" + url.Values{"id_token_hint": {idToken}}.Encode()
}
