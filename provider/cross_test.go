package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// bound is what a code is bound to: each must be the same when it is redeemed.
type bound struct{ client, redirect, verifier string }

func (b bound) String() string {
	return fmt.Sprintf("%s, %s, verifier %.1s", b.client, b.redirect, b.verifier)
}

// every combination of two clients, two redirect URIs, two verifiers; and of
// what may be left out of them, where that is asked for.
func everyBound(without ...string) (all []bound) {
	for _, client := range []string{"web", "broker"} {
		for _, redirect := range append([]string{testCB, testNative}, without...) {
			for _, verifier := range append([]string{verifier, strings.Repeat("w", 43)}, without...) {
				all = append(all, bound{client, redirect, verifier})
			}
		}
	}
	return all
}

func (b bound) request() url.Values {
	q := ask("client_id", b.client, "redirect_uri", b.redirect)
	if b.verifier != "" {
		q.Set("code_challenge", s256(b.verifier))
		q.Set("code_challenge_method", "S256")
	}
	return q
}

func (g *rig) redeems(code string, as bound) (int, map[string]any) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
	for name, value := range map[string]string{"redirect_uri": as.redirect, "code_verifier": as.verifier} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return g.post("/token", form, as.client, "s3cret")
}

// A code, of a request that was pushed or not, is worth something to the client,
// with the redirect URI and the verifier that it was given for, and with no
// other pair of the three (RFC 6749 section 4.1.3, RFC 7636 section 4.6). What
// was refused leaves it good for who has the right ones.
func TestCrossPairsOfCodes(t *testing.T) {
	g := newRig(t)
	ways := map[string]func(bound) string{
		"plain": func(b bound) string { return answered(t, g.get(b.request())).Get("code") },
		"pushed": func(b bound) string {
			status, body := g.post("/par", b.request(), b.client, "s3cret")
			if status != http.StatusCreated {
				t.Fatal(status, body)
			}
			return answered(t, g.get(url.Values{"client_id": {b.client}, "request_uri": {body["request_uri"].(string)}})).Get("code")
		},
	}
	refused := 0
	for way, codeFor := range ways {
		for _, right := range append(everyBound(), bound{"web", testCB, ""}) { // the last without PKCE
			code := codeFor(right)
			for _, wrong := range everyBound("") {
				if wrong == right {
					continue
				}
				status, body := g.redeems(code, wrong)
				if status != http.StatusBadRequest || body["access_token"] != nil ||
					body["error"] != "invalid_grant" && body["error"] != "invalid_request" {
					t.Errorf("%s, of %v by %v: %d %v", way, right, wrong, status, body)
				}
				refused++
			}
			if status, body := g.redeems(code, right); status != http.StatusOK {
				t.Errorf("%s, of %v by itself: %d %v", way, right, status, body)
			}
		}
	}
	t.Logf("%d pairs refused", refused)
}

// A pushed request is answered for the client that pushed it alone; a refresh
// token is refreshed, revoked and shown to be live by the client it was given
// to alone. A try by another does it no harm.
func TestCrossPairsOfClients(t *testing.T) {
	g := newRig(t)
	clients := []string{"web", "broker", "strict", "spa", "mail"}
	secretOf := func(form url.Values, client string) (url.Values, []string) {
		if client == "spa" {
			form.Set("client_id", client)
			return form, nil
		}
		return form, []string{client, "s3cret"}
	}
	for _, owner := range []string{"web", "broker", "strict", "spa"} {
		b := bound{owner, testCB, verifier}
		form, auth := secretOf(b.request(), owner)
		_, pushed := g.post("/par", form, auth...)
		uri, _ := pushed["request_uri"].(string)
		for _, other := range clients {
			if other == owner {
				continue
			}
			if w := g.get(url.Values{"client_id": {other}, "request_uri": {uri}}); w.Code != http.StatusBadRequest {
				t.Errorf("pushed by %s, brought for %s: %d", owner, other, w.Code)
			}
		}
		code := answered(t, g.get(url.Values{"client_id": {owner}, "request_uri": {uri}})).Get("code")
		form, auth = secretOf(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}, "code_verifier": {verifier}}, owner)
		status, tokens := g.post("/token", form, auth...)
		refresh, _ := tokens["refresh_token"].(string)
		if status != http.StatusOK || refresh == "" {
			t.Fatalf("%s: %d %v", owner, status, tokens)
		}
		for _, other := range clients {
			if other == owner {
				continue
			}
			form, auth := secretOf(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, other)
			if status, body := g.post("/token", form, auth...); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
				t.Errorf("%s's refresh token by %s: %d %v", owner, other, status, body)
			}
			form, auth = secretOf(url.Values{"token": {refresh}}, other)
			if status, body := g.post("/revoke", form, auth...); status != http.StatusBadRequest {
				t.Errorf("%s's refresh token revoked by %s: %d %v", owner, other, status, body)
			}
		}
		form, auth = secretOf(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, owner)
		if status, body := g.post("/token", form, auth...); status != http.StatusOK {
			t.Errorf("%s's own, after those: %d %v", owner, status, body)
		}
	}
}
