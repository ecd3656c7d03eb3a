package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// consumer is a product that stands between us and people, as its preset
// registers it. The tests of each do what that product does, by its source or
// its documentation; what they say of it was read there in November 2026.
type consumer struct {
	*demo
	id, secret string
	redirect   string
	op         *oidc.Provider
	meta       map[string]any
}

// consumer registers a product with its preset.
func (d *demo) consumer(product, at string, more ...string) *consumer {
	d.t.Helper()
	doc := d.idp(append([]string{"client", "add", "--preset", product, "--at", at}, more...)...)
	c := &consumer{demo: d}
	c.id, _ = doc["client_id"].(string)
	c.secret, _ = doc["client_secret"].(string)
	if uris, _ := doc["redirect_uris"].([]any); len(uris) > 0 {
		c.redirect, _ = uris[0].(string)
	}
	var err error
	if c.op, err = oidc.NewProvider(d.t.Context(), d.Issuer); err == nil {
		err = c.op.Claims(&c.meta)
	}
	if err != nil || c.id == "" || c.redirect == "" {
		d.t.Fatalf("%v: %v", doc, err)
	}
	return c
}

// endpoint is one of discovery's.
func (c *consumer) endpoint(name string) string {
	c.t.Helper()
	at, ok := c.meta[name].(string)
	if !ok {
		c.t.Fatalf("discovery has no %s", name)
	}
	return at
}

// authorize sends somebody to us with the product's request, who signs in if
// asked to, and returns what comes back to the product. It is not there: the
// redirect to it is caught.
func (c *consumer) authorize(p *person, who demoPerson, address string) url.Values {
	c.t.Helper()
	back := p.catch(c.redirect)
	p.visit(address)
	if *back == nil && strings.Contains(p.page.body, `id="identifier"`) {
		p.signIn(who.Email, who.Password)
	}
	if *back == nil && strings.Contains(p.page.body, `id="consent-accept"`) {
		p.tick("answer", "allow")
	}
	if *back == nil {
		c.t.Fatalf("nothing came back to %s; the page is %s (%d):\n%s", c.redirect,
			p.page.url, p.page.status, p.page.words())
	}
	return *back
}

// catch stops the browser on its way to an address where nobody is, and tells
// what it had with it.
func (p *person) catch(address string) *url.Values {
	var with url.Values
	p.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		rest, ok := strings.CutPrefix(req.URL.String(), address)
		if !ok || !strings.HasPrefix(rest, "?") && !strings.HasPrefix(rest, "&") {
			return nil
		}
		with = req.URL.Query()
		return http.ErrUseLastResponse
	}
	return &with
}

// silently reports whether the person is let in without a page.
func (c *consumer) silently(p *person) bool {
	c.t.Helper()
	back := c.authorize(p, c.grace(), c.request(url.Values{"prompt": {"none"}}))
	if back.Get("code") == "" && back.Get("error") != "login_required" {
		c.t.Errorf("prompt=none gave %v", back)
	}
	return back.Get("code") != ""
}

// request is an authorization request with these parameters beside those that
// every product sends.
func (c *consumer) request(more url.Values) string {
	v := url.Values{"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {c.redirect},
		"scope": {"openid profile email"}, "state": {"state-of-the-product"}}
	for name, value := range more {
		v[name] = value
	}
	return c.endpoint("authorization_endpoint") + "?" + v.Encode()
}

// answer is what an endpoint of ours says to a server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request as a server does: no cookies, no redirects followed.
func (c *consumer) ask(req *http.Request) answer {
	c.t.Helper()
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{CheckRedirect: stay}).Do(req.WithContext(c.t.Context()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// get and post are requests of a server.
func (c *consumer) get(address string) *http.Request {
	c.t.Helper()
	return c.made(http.NewRequest(http.MethodGet, address, nil))
}

func (c *consumer) post(address string, form url.Values) *http.Request {
	c.t.Helper()
	req := c.made(http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode())))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func (c *consumer) made(req *http.Request, err error) *http.Request {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return req
}

// object reads a JSON object.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v
}

// tokens are those of a good answer of the token endpoint.
func (a answer) tokens(t *testing.T) *oauth2.Token {
	t.Helper()
	v := a.object(t)
	if a.status != http.StatusOK {
		t.Fatalf("the token endpoint said %d: %v", a.status, v)
	}
	access, _ := v["access_token"].(string)
	return (&oauth2.Token{AccessToken: access}).WithExtra(v)
}

// claims are those of an ID token that go-oidc finds good for the product: its
// signature by a key of our JWKS, iss, aud and exp.
func (c *consumer) claims(token *oauth2.Token) map[string]any {
	c.t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := c.op.Verifier(&oidc.Config{ClientID: c.id}).Verify(c.t.Context(), raw)
	if err != nil {
		c.t.Fatal(err)
	}
	var all map[string]any
	if err := id.Claims(&all); err != nil {
		c.t.Fatal(err)
	}
	return all
}
