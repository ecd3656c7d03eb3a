package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/store"
)

const testAPI, otherAPI = "https://charts.example/api", "https://bills.example/api"

// reading has clients get access tokens that resource servers read.
func (g *rig) reading(ids ...string) {
	g.tb.Helper()
	for _, id := range ids {
		g.change(id, func(c *store.Client) { c.AccessTokenFormat, c.Audiences = "jwt", []string{testAPI, otherAPI} })
	}
}

// payloadOf reads a JWT without judging it.
func payloadOf(tb testing.TB, token any) (header, claims map[string]any) {
	tb.Helper()
	parts := strings.Split(token.(string), ".")
	if len(parts) != 3 {
		tb.Fatalf("%v is no JWT", token)
	}
	for i, to := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, to) != nil {
			tb.Fatalf("%v is no JWT", token)
		}
	}
	return header, claims
}

func TestJWTAccessToken(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA", "PS256"} {
		g := newRig(t)
		g.reading("web")
		g.change("web", func(c *store.Client) { c.Algorithm = alg })
		body := g.tokens("scope", "openid email")
		header, got := payloadOf(t, body["access_token"])
		if header["typ"] != "at+jwt" || header["alg"] != alg || header["kid"] == "" {
			t.Error(header)
		}
		id := g.claims(body["id_token"])
		jti, _ := got["jti"].(string)
		want := map[string]any{"iss": testIssuer, "sub": "ann-id", "aud": testAPI, "client_id": "web", "jti": jti,
			"iat": got["iat"], "exp": got["exp"], "scope": "openid email", "auth_time": id["auth_time"],
			"acr": id["acr"], "amr": id["amr"]}
		if diff := cmp.Diff(want, got); diff != "" || len(jti) < 26 {
			t.Errorf("%s: %s", alg, diff)
		}
		if life := got["exp"].(float64) - got["iat"].(float64); life != 600 {
			t.Errorf("%s: good for %v s", alg, life)
		}
		if id["at_hash"] != atHash(alg, body["access_token"].(string)) {
			t.Errorf("%s: at_hash", alg)
		}
		if status, info := g.userinfo(body["access_token"].(string)); status != 200 || info["email"] != "ann@example.com" {
			t.Errorf("%s: %d %v", alg, status, info)
		}
	}
}

// A JWT lives while its grant does, and asking costs what an opaque one costs.
func TestJWTAccessTokenEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		g.reading("web")
		first := g.tokens()
		token := first["access_token"].(string)
		g.asks("x") // fills the client cache
		for statement, ask := range map[string]func(string) (int, map[string]any){"GrantByAccess": g.userinfo, "LiveGrant": g.asks} {
			if diff := cmp.Diff([]string{statement}, g.statements(func() { ask(token) })); diff != "" {
				t.Error(diff)
			}
			if ran := g.statements(func() { ask(token + "A") }); len(ran) > 0 {
				t.Error("garbage costs", ran)
			}
		}
		if _, about := g.asks(token); about["aud"] != testAPI || about["sub"] != "ann-id" || about["token_type"] != "Bearer" {
			t.Error(about)
		}
		_, second := g.refresh(first["refresh_token"].(string), "scope", "openid")
		if status, _ := g.userinfo(token); status != 401 {
			t.Error("refreshed:", status)
		}
		token = second["access_token"].(string)
		if _, about := g.asks(token); about["scope"] != "openid" {
			t.Error(about)
		}
		if status, info := g.userinfo(token); status != 200 || info["email"] != nil {
			t.Error(status, info)
		}
		g.revokes(token)
		if status, _ := g.userinfo(token); status != 401 {
			t.Error("revoked:", status)
		}
		if _, about := g.asks(token); cmp.Diff(inactive, about) != "" {
			t.Error(about)
		}
		if status, _ := g.refresh(second["refresh_token"].(string)); status != 400 {
			t.Error("its family:", status)
		}
	})
}

func TestJWTAccessTokenExpires(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		g.reading("web", "robot")
		person := func() string { return g.tokens()["access_token"].(string) }
		for _, make := range []func() string{person, func() string { return g.robot() }} {
			token := make()
			g.shift(g.life.Access - 2*time.Second)
			if _, about := g.asks(token); about["active"] != true {
				t.Error("too early:", about)
			}
			g.shift(2 * time.Second)
			if _, about := g.asks(token); cmp.Diff(inactive, about) != "" {
				t.Error(about)
			}
		}
	})
}

// A client's own JWT is in no table, and ends with its registration.
func TestJWTOfAClient(t *testing.T) {
	g := newRig(t)
	g.reading("robot")
	g.robot() // fills the client cache
	g.asks("x")
	var token string
	if ran := g.statements(func() { token = g.robot("scope", "charts:read", "resource", otherAPI) }); len(ran) > 0 {
		t.Error("it costs", ran)
	}
	_, got := payloadOf(t, token)
	want := map[string]any{"iss": testIssuer, "sub": "robot", "client_id": "robot", "aud": otherAPI, "scope": "charts:read",
		"jti": got["jti"], "iat": got["iat"], "exp": got["exp"]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, about := g.asks(token)
	delete(want, "jti")
	want["active"], want["token_type"] = true, "Bearer"
	if diff := cmp.Diff(want, about); diff != "" {
		t.Error(diff)
	}
	status, body := g.userinfo(token)
	wants(t, status, body, 401, "invalid_token")
	status, body = g.post("/revoke", url.Values{"token": {token}}, "robot", "s3cret")
	wants(t, status, body, 400, "unsupported_token_type")
	g.change("robot", func(c *store.Client) { c.GrantTypes = nil })
	if _, about := g.asks(token); cmp.Diff(inactive, about) != "" {
		t.Error("no longer registered for it:", about)
	}
	if err := g.st.RemoveClient(t.Context(), "robot", "test"); err != nil {
		t.Fatal(err)
	}
	if _, about := g.asks(token); cmp.Diff(inactive, about) != "" {
		t.Error("removed:", about)
	}
}

// RFC 8725 section 3.11: neither is taken for the other.
func TestKindsOfTokensAreKeptApart(t *testing.T) {
	g := newRig(t)
	g.reading("web")
	body := g.tokens()
	id, access := body["id_token"].(string), body["access_token"].(string)
	status, answer := g.userinfo(id)
	wants(t, status, answer, 401, "invalid_token")
	if _, about := g.asks(id); cmp.Diff(inactive, about) != "" {
		t.Error(about)
	}
	if q := answered(t, g.get(ask("id_token_hint", id))); q.Get("code") == "" {
		t.Error("an ID token is no hint:", q)
	}
	if q := answered(t, g.get(ask("id_token_hint", access))); q.Get("error") != "invalid_request" {
		t.Error("an access token is a hint:", q)
	}
	// Not even one for the client itself, with its name as the audience.
	forged, err := g.Keys.SignAs(typeAccess, "ES256", []byte(`{"iss":"`+testIssuer+`","sub":"ann-id","aud":"web"}`))
	if err != nil {
		t.Fatal(err)
	}
	if q := answered(t, g.get(ask("id_token_hint", forged))); q.Get("error") != "invalid_request" {
		t.Error("an access token is a hint:", q)
	}
	// One that we signed and the store does not know.
	for _, iss := range []string{testIssuer, "https://evil.example"} {
		_, claims := payloadOf(t, access)
		claims["iss"], claims["jti"] = iss, "other"
		payload, _ := json.Marshal(claims)
		forged, _ = g.Keys.SignAs(typeAccess, "ES256", payload)
		status, answer = g.userinfo(forged)
		wants(t, status, answer, 401, "invalid_token")
	}
}

func TestResource(t *testing.T) {
	tests := []struct {
		name             string
		audiences        []string
		authorize, token string
		want             string // aud, or an error code
	}{
		{"none registered", nil, "-", "", testIssuer},
		{"the first is the default", []string{testAPI, otherAPI}, "-", "", testAPI},
		{"named for the code", []string{testAPI, otherAPI}, otherAPI, "", otherAPI},
		{"named for the code and again", []string{testAPI, otherAPI}, otherAPI, otherAPI, otherAPI},
		{"named for the token", []string{testAPI, otherAPI}, "-", otherAPI, otherAPI},
		{"another than for the code", []string{testAPI, otherAPI}, testAPI, otherAPI, "invalid_target"},
		{"not registered", []string{testAPI}, "-", otherAPI, "invalid_target"},
		{"none registered, one named", nil, "-", testAPI, "invalid_target"},
		{"more of a path", []string{testAPI}, "-", testAPI + "/x", "invalid_target"},
		{"a claims parameter does not name it", []string{testAPI}, "claims", "", testAPI},
	}
	for _, format := range []string{"", "jwt"} {
		g := newRig(t)
		for _, test := range tests {
			g.change("web", func(c *store.Client) { c.AccessTokenFormat, c.Audiences = format, test.audiences })
			change := []string{"resource", test.authorize}
			if test.authorize == "claims" {
				change = []string{"claims", `{"userinfo":{"name":null},"resource":"` + otherAPI + `"}`}
			}
			code := g.codeOf(change...)
			change = nil
			if test.token != "" {
				change = []string{"resource", test.token}
			}
			status, body := g.exchange(code, change...)
			if strings.HasPrefix(test.want, "invalid") {
				wants(t, status, body, 400, test.want)
				continue
			}
			if status != 200 {
				t.Fatalf("%s: %d %v", test.name, status, body)
			}
			for range 2 { // refreshing does not change it
				_, about := g.asks(body["access_token"].(string))
				if about["aud"] != test.want {
					t.Errorf("%s: for %v", test.name, about["aud"])
				}
				if format == "jwt" {
					if _, claims := payloadOf(t, body["access_token"]); claims["aud"] != test.want {
						t.Errorf("%s: for %v", test.name, claims["aud"])
					}
				}
				if status, body = g.refresh(body["refresh_token"].(string)); status != 200 {
					t.Fatalf("%s: %d %v", test.name, status, body)
				}
			}
		}
	}
}

func TestResourceRefused(t *testing.T) {
	g := newRig(t)
	g.reading("web", "robot")
	if q := answered(t, g.get(ask("resource", "https://evil.example"))); q.Get("error") != "invalid_target" {
		t.Error(q)
	}
	two := ask("resource", testAPI)
	two.Add("resource", otherAPI)
	if q := answered(t, g.get(two)); q.Get("error") != "invalid_request" {
		t.Error(q)
	}
	status, body := g.own("resource", "https://evil.example")
	wants(t, status, body, 400, "invalid_target")
	refresh := g.tokens()["refresh_token"].(string)
	status, body = g.refresh(refresh, "resource", otherAPI)
	wants(t, status, body, 400, "invalid_target")
	g.change("web", func(c *store.Client) { c.Audiences = []string{otherAPI} })
	status, body = g.refresh(refresh)
	wants(t, status, body, 400, "invalid_target")
	g.change("web", func(c *store.Client) { c.Audiences = []string{testAPI} })
	if status, body = g.refresh(refresh); status != 200 {
		t.Error("a refusal used the token up:", status, body)
	}
}
