package provider

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/store"
)

// own asks for a token of the client "robot" itself.
func (g *rig) own(change ...string) (int, map[string]any) {
	g.tb.Helper()
	form := url.Values{"grant_type": {clientCredentials}}
	return g.post("/token", set(form, change), "robot", "s3cret")
}

func (g *rig) robot(change ...string) string {
	g.tb.Helper()
	status, body := g.own(change...)
	if status != 200 {
		g.tb.Fatal(status, body)
	}
	return body["access_token"].(string)
}

func TestClientCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		g.robot() // fills the client cache
		g.asks("x")
		var status int
		var body map[string]any
		ran := g.statements(func() { status, body = g.own("scope", "charts:read") })
		if diff := cmp.Diff([]string{"AddClientGrant"}, ran); diff != "" {
			t.Error(diff)
		}
		token, _ := body["access_token"].(string)
		delete(body, "access_token")
		want := map[string]any{"token_type": "Bearer", "expires_in": 600.0, "scope": "charts:read"}
		if diff := cmp.Diff(want, body); status != 200 || token == "" || diff != "" {
			t.Fatal(status, diff)
		}

		var about map[string]any
		ran = g.statements(func() { _, about = g.asks(token) })
		if diff := cmp.Diff([]string{"LiveGrant"}, ran); diff != "" {
			t.Error(diff)
		}
		made, _ := about["iat"].(float64)
		want = map[string]any{"active": true, "iss": testIssuer, "aud": testIssuer, "sub": "robot", "client_id": "robot",
			"scope": "charts:read", "token_type": "Bearer", "iat": made, "exp": made + 600}
		if diff := cmp.Diff(want, about); diff != "" {
			t.Error(diff)
		}

		status, body = g.userinfo(token)
		wants(t, status, body, 401, "invalid_token")

		if status, _ = g.post("/revoke", url.Values{"token": {token}}, "robot", "s3cret"); status != 200 {
			t.Error("revoke:", status)
		}
		if _, about = g.asks(token); cmp.Diff(inactive, about) != "" {
			t.Error("revoked:", about)
		}
	})
}

func TestClientCredentialsRefused(t *testing.T) {
	g := newRig(t)
	g.change("spa", func(c *store.Client) { c.GrantTypes = []string{clientCredentials} })
	form := func(change ...string) url.Values { return set(url.Values{"grant_type": {clientCredentials}}, change) }
	tests := []struct {
		name   string
		form   url.Values
		auth   []string
		status int
		want   string
	}{
		{"nobody", form(), nil, 401, "invalid_client"},
		{"wrong secret", form(), []string{"robot", "wrong"}, 401, "invalid_client"},
		{"not registered for it", form(), []string{"web", "s3cret"}, 400, "unauthorized_client"},
		{"public, even if registered", form("client_id", "spa"), nil, 400, "unauthorized_client"},
		{"openid", form("scope", "charts:read openid"), []string{"robot", "s3cret"}, 400, "invalid_scope"},
		{"offline_access", form("scope", "offline_access"), []string{"robot", "s3cret"}, 400, "invalid_scope"},
		{"a scope of others", form("scope", "charts:delete"), []string{"robot", "s3cret"}, 400, "invalid_scope"},
		{"a scope in capitals", form("scope", "CHARTS:READ"), []string{"robot", "s3cret"}, 400, "invalid_scope"},
	}
	for _, test := range tests {
		status, body := g.post("/token", test.form, test.auth...)
		if status != test.status || body["error"] != test.want || body["access_token"] != nil {
			t.Errorf("%s: %d %v", test.name, status, body)
		}
	}
}

// Who acts for itself has nobody signed in, and no token of anybody.
func TestGrantTypesAreKept(t *testing.T) {
	g := newRig(t)
	code, refresh := g.codeOf(), g.tokens()["refresh_token"].(string)
	g.change("web", func(c *store.Client) { c.GrantTypes = []string{clientCredentials} })
	status, body := g.exchange(code)
	wants(t, status, body, 400, "unauthorized_client")
	status, body = g.refresh(refresh)
	wants(t, status, body, 400, "unauthorized_client")
	if q := answered(t, g.get(ask())); q.Get("error") != "unauthorized_client" {
		t.Error(q)
	}
	if w := g.get(ask("client_id", "api")); w.Code != 400 { // it has no redirect URI
		t.Error(w.Code, w.Header())
	}
	g.change("web", func(c *store.Client) { c.GrantTypes = []string{"authorization_code"} })
	if body := g.tokens(); body["refresh_token"] != nil {
		t.Error("a refresh token for who may not refresh")
	}
}

func TestClientTokenExpires(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		token := g.robot()
		g.shift(g.life.Access - time.Second)
		if _, about := g.asks(token); about["active"] != true {
			t.Error(about)
		}
		g.shift(time.Second)
		if _, about := g.asks(token); cmp.Diff(inactive, about) != "" {
			t.Error(about)
		}
	})
}
