package provider

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func TestUserinfoByScope(t *testing.T) {
	tests := []struct {
		scope string
		want  map[string]any
	}{
		{"openid", map[string]any{"sub": "ann-id"}},
		{"openid email", map[string]any{"sub": "ann-id", "email": "ann@example.com", "email_verified": true}},
		{"openid phone", map[string]any{"sub": "ann-id", "phone_number": "+82 2 1234 5678", "phone_number_verified": true}},
		{"openid address", map[string]any{"sub": "ann-id", "address": map[string]any{"country": "KR", "locality": "Seoul"}}},
		{"openid profile", map[string]any{"sub": "ann-id", "name": "Ann Lee", "given_name": "Ann", "family_name": "Lee",
			"preferred_username": "ann", "locale": "ko-KR", "birthdate": "1980-01-02", "updated_at": 1.7e9}},
	}
	g := newRig(t)
	for _, test := range tests {
		body := g.tokens("scope", test.scope)
		status, info := g.userinfo(body["access_token"].(string))
		if diff := cmp.Diff(test.want, info); status != 200 || diff != "" {
			t.Errorf("%s: %d %s", test.scope, status, diff)
		}
		id := g.claims(body["id_token"])
		if id["name"] != nil || id["email"] != nil {
			t.Errorf("%s: the ID token tells: %v", test.scope, id)
		}
	}
}

func TestClaimsParameter(t *testing.T) {
	g := newRig(t)
	asked := `{"userinfo":{"name":{"essential":true},"secret":null,"address":null},"id_token":{"email":null,"acr":{"values":["x"]}}}`
	body := g.tokens("scope", "openid", "claims", asked)
	_, info := g.userinfo(body["access_token"].(string))
	if info["name"] != "Ann Lee" || info["secret"] != nil || info["address"] == nil || info["email"] != nil {
		t.Error(info)
	}
	if id := g.claims(body["id_token"]); id["email"] != "ann@example.com" || id["name"] != nil || id["sub"] != "ann-id" {
		t.Error(id)
	}
	// A client registered for openid and email gets no name by asking for it.
	code := answered(t, g.get(ask("client_id", "mail", "scope", "openid", "claims", asked))).Get("code")
	_, body = g.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}}, "mail", "s3cret")
	if _, info := g.userinfo(body["access_token"].(string)); info["name"] != nil {
		t.Error(info)
	}
}

func TestClaimsInIDToken(t *testing.T) {
	g := newRig(t)
	code := answered(t, g.get(ask("client_id", "broker", "scope", "openid email"))).Get("code")
	_, body := g.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}}, "broker", "s3cret")
	id := g.claims(body["id_token"])
	if id["email"] != "ann@example.com" || id["email_verified"] != true || id["name"] != nil || id["iss"] != testIssuer {
		t.Error(id)
	}
	if id["at_hash"] != atHash("RS256", body["access_token"].(string)) {
		t.Error("at_hash")
	}
}

func TestUserinfoRequests(t *testing.T) {
	g := newRig(t)
	token := g.tokens()["access_token"].(string)
	form := url.Values{"access_token": {token}}.Encode()
	tests := []struct {
		name, method, target, header, body string
		status                             int
		challenge                          string
	}{
		{"GET", "GET", "/userinfo", "Bearer " + token, "", 200, ""},
		{"POST with header", "POST", "/userinfo", "Bearer " + token, "", 200, ""},
		{"POST with body", "POST", "/userinfo", "", form, 200, ""},
		{"scheme in capitals", "GET", "/userinfo", "BEARER " + token, "", 200, ""},
		{"nothing", "GET", "/userinfo", "", "", 401, "Bearer"},
		{"in the query", "GET", "/userinfo?" + form, "", "", 401, "Bearer"},
		{"Basic", "GET", "/userinfo", "Basic abc", "", 401, "Bearer"},
		{"header and body", "POST", "/userinfo", "Bearer " + token, form, 400, ""},
		{"garbage", "GET", "/userinfo", "Bearer abc", "", 401, `Bearer error="invalid_token"`},
		{"cut", "GET", "/userinfo", "Bearer " + token[:len(token)-1], "", 401, `Bearer error="invalid_token"`},
		{"padded", "GET", "/userinfo", "Bearer " + token + "A", "", 401, `Bearer error="invalid_token"`},
		{"case flipped", "GET", "/userinfo", "Bearer " + strings.ToLower(token), "", 401, `Bearer error="invalid_token"`},
		{"DELETE", "DELETE", "/userinfo", "Bearer " + token, "", 405, ""},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
		if test.header != "" {
			r.Header.Set("Authorization", test.header)
		}
		if test.body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := g.do(r)
		got := w.Header().Get("WWW-Authenticate")
		if w.Code != test.status || !strings.HasPrefix(got, test.challenge) || test.challenge == "" && got != "" {
			t.Errorf("%s: %d %q %s", test.name, w.Code, got, w.Body)
		}
	}
}

func TestUserinfoOfABuiltInPersonIsOneStatement(t *testing.T) {
	g := newRig(t)
	token := g.tokens()["access_token"].(string)
	if diff := cmp.Diff([]string{"GrantByAccess"}, g.statements(func() { g.userinfo(token) })); diff != "" {
		t.Error(diff)
	}
	if ran := g.statements(func() { g.userinfo(token + "x") }); len(ran) > 0 {
		t.Error("garbage costs", ran)
	}
}

func TestUserinfoEnds(t *testing.T) {
	tests := map[string]func(g *rig){
		"reset":            func(g *rig) { g.void("ext-id") },
		"account disabled": func(g *rig) { _ = g.st.SetDisabled(g.tb.Context(), "ext-id", true, "test") },
		"disabled there":   func(g *rig) { g.people.ext.Disabled = true },
		"gone there":       func(g *rig) { g.people.ext = nil },
	}
	for name, end := range tests {
		g := newRig(t)
		g.session = g.signIn("ext-id")
		token := g.tokens()["access_token"].(string)
		if status, body := g.userinfo(token); status != 200 || body["email"] != "ext@example.com" {
			t.Error(status, body)
		}
		end(g)
		status, body := g.userinfo(token)
		if status != 401 || body["error"] != "invalid_token" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	g := newRig(t)
	status, body := g.userinfo(g.tokens("scope", "email")["access_token"].(string))
	wants(t, status, body, 403, "insufficient_scope")
}

func TestAccessTokenLifetime(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		token := g.tokens()["access_token"].(string)
		g.shift(10*time.Minute - time.Second)
		if status, _ := g.userinfo(token); status != 200 {
			t.Error("after 9:59:", status)
		}
		g.shift(time.Second)
		if status, _ := g.userinfo(token); status != 401 {
			t.Error("after 10:00:", status)
		}
	})
}

func TestRevoke(t *testing.T) {
	for _, kind := range []string{"access_token", "refresh_token"} {
		g := newRig(t)
		body := g.tokens()
		status, refusal := g.post("/revoke", url.Values{"token": {body[kind].(string)}}, "strict", "s3cret")
		wants(t, status, refusal, 400, "invalid_grant")
		if status, _ := g.userinfo(body["access_token"].(string)); status != 200 {
			t.Error("another client revoked it")
		}
		for range 2 { // twice is once
			if status, body := g.post("/revoke", url.Values{"token": {body[kind].(string)}, "token_type_hint": {"wrong"}}, "web", "s3cret"); status != 200 {
				t.Error(status, body)
			}
		}
		if status, _ := g.userinfo(body["access_token"].(string)); status != 401 {
			t.Errorf("%s: the access token lives", kind)
		}
		status, refusal = g.refresh(body["refresh_token"].(string))
		wants(t, status, refusal, 400, "invalid_grant")
	}
	g := newRig(t)
	status, body := g.post("/revoke", url.Values{}, "web", "s3cret")
	wants(t, status, body, 400, "invalid_request")
}

// What a directory says in the wrong shape is not told at all.
func TestClaimTypes(t *testing.T) {
	e := &directory.Entry{Email: "a@b", Claims: map[string]any{"given_name": 7, "nickname": " ", "phone_number": "1",
		"phone_number_verified": "true", "updated_at": "now", "address": "here", "website": "w", "email_verified": 1}}
	got := claimsOf(e, claimNames(standardScopes), time.Now())
	want := map[string]any{"email": "a@b", "email_verified": false, "phone_number": "1", "phone_number_verified": false, "website": "w"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The claims of this field are for clients registered with their scopes.
func TestFieldClaims(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		of   directory.Entry
		want map[string]any
	}{
		{"the owner", directory.Entry{Practice: "p1", PracticeName: "Riverside", Role: "owner",
			Claims: map[string]any{"npi": "1234567893", "locations": []any{"Main Street", "North", 7, ""}}},
			map[string]any{"practice": map[string]string{"id": "p1", "name": "Riverside"}, "roles": []string{"owner"},
				"locations": []string{"Main Street", "North"}, "npi": "1234567893"}},
		{"a patient", directory.Entry{}, map[string]any{}},
		{"given back a week ago, all but a second", directory.Entry{Recovered: now.Add(-7*24*time.Hour + time.Second)}, map[string]any{"recently_recovered": true}},
		{"given back a week ago", directory.Entry{Recovered: now.Add(-7 * 24 * time.Hour)}, map[string]any{}},
		{"an NPI with a wrong check digit", directory.Entry{Practice: "p1", Claims: map[string]any{"npi": "1234567890", "locations": "Main Street"}},
			map[string]any{"practice": map[string]string{"id": "p1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, claimsOf(&tt.of, claimNames(fieldScopes), now)); diff != "" {
				t.Error(diff)
			}
		})
	}

	onBoth(t, func(t *testing.T, g *rig) {
		told := func(scope string) map[string]any {
			_, body := g.userinfo(g.tokens("scope", scope)["access_token"].(string))
			return body
		}
		if got := answered(t, g.get(ask("scope", "openid practice"))); got.Get("error") != "invalid_scope" {
			t.Error("a client got a scope of the field that it is not registered for")
		}
		g.change("web", func(c *store.Client) { c.Scopes = []string{"openid", "practice", "npi"} })
		got := told("openid practice npi")
		want := map[string]any{"sub": "ann-id", "npi": "1234567893", "roles": []any{"owner"},
			"practice": map[string]any{"id": "p1", "name": "Riverside"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got := told("openid"); len(got) != 1 {
			t.Errorf("openid alone brings %v", got)
		}
	})
}

func TestDiscovery(t *testing.T) {
	g := newRig(t)
	w := g.do(httptest.NewRequest("GET", "/discovery", nil))
	doc := decode(t, w)
	want := map[string]any{"issuer": testIssuer, "authorization_endpoint": testIssuer + "/authorize",
		"pushed_authorization_request_endpoint": testIssuer + "/par", "token_endpoint": testIssuer + "/token", "userinfo_endpoint": testIssuer + "/userinfo",
		"revocation_endpoint": testIssuer + "/revoke", "introspection_endpoint": testIssuer + "/introspect",
		"introspection_endpoint_auth_methods_supported":    []any{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"userinfo_signing_alg_values_supported":            []any{"RS256", "ES256", "EdDSA", "PS256"},
		"subject_types_supported":                          []any{"public", "pairwise"},
		"token_endpoint_auth_methods_supported":            []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported": []any{"RS256", "ES256", "EdDSA", "PS256"},
		"end_session_endpoint":                             testIssuer + "/end-session",
		"frontchannel_logout_supported":                    true, "frontchannel_logout_session_supported": true,
		"backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
		"jwks_uri":                 testIssuer + "/jwks.json",
		"grant_types_supported":    []any{"authorization_code", "refresh_token", "client_credentials"},
		"response_types_supported": []any{"code"}, "request_uri_parameter_supported": false,
		"code_challenge_methods_supported":               []any{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"id_token_signing_alg_values_supported":          []any{"RS256", "ES256", "EdDSA", "PS256"}}
	for k, v := range want {
		if diff := cmp.Diff(v, doc[k]); diff != "" {
			t.Error(k, diff)
		}
	}
	for _, absent := range []string{"registration_endpoint", "check_session_iframe"} {
		if doc[absent] != nil {
			t.Error(absent, "is advertised and not wired")
		}
	}
	if w.Header().Get("Content-Length") == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Error(w.Header())
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(g.do(httptest.NewRequest("GET", "/jwks", nil)).Body.Bytes(), &set); err != nil || len(set.Keys) != 4 {
		t.Error(err, set)
	}
}

func TestCORS(t *testing.T) {
	g := newRig(t)
	for _, path := range []string{"/token", "/userinfo", "/revoke", "/discovery", "/jwks"} {
		r := httptest.NewRequest("OPTIONS", path, nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		h := g.do(r).Header()
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: %v", path, h)
		}
	}
	if h := g.get(ask()).Header(); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("/authorize:", h)
	}
}

// OIDC Core section 5.3.2: as a JWT, and only for who is registered so.
func TestSignedUserinfo(t *testing.T) {
	g := newRig(t)
	for _, alg := range g.Algorithms {
		g.change("web", func(c *store.Client) { c.UserinfoAlgorithm = alg })
		r := httptest.NewRequest("GET", "/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+g.tokens("scope", "openid email")["access_token"].(string))
		var w *httptest.ResponseRecorder
		ran := g.statements(func() { w = g.do(r) })
		if diff := cmp.Diff([]string{"GrantByAccess"}, ran); diff != "" {
			t.Error(diff)
		}
		if h := w.Header(); w.Code != 200 || h.Get("Content-Type") != "application/jwt" || h.Get("Cache-Control") != "no-store" {
			t.Fatal(w.Code, h)
		}
		header, _ := payloadOf(t, w.Body.String())
		want := map[string]any{"iss": testIssuer, "aud": "web", "sub": "ann-id", "email": "ann@example.com", "email_verified": true}
		if diff := cmp.Diff(want, g.claims(w.Body.String())); diff != "" || header["alg"] != alg {
			t.Error(header, diff)
		}
		// It is no ID token.
		if q := answered(t, g.get(ask("id_token_hint", w.Body.String()))); q.Get("error") != "invalid_request" {
			t.Error("a hint:", q)
		}
	}
	if status, body := g.userinfo("garbage"); status != 401 || body["error"] != "invalid_token" {
		t.Error("an error is JSON all the same:", status, body)
	}
}
