package provider

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// asks asks what a token stands for, as the resource server "api".
func (g *rig) asks(token string) (int, map[string]any) {
	g.tb.Helper()
	return g.post("/introspect", url.Values{"token": {token}}, "api", "s3cret")
}

var inactive = map[string]any{"active": false}

func TestIntrospection(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		body := g.tokens("scope", "openid email offline_access")
		access, refresh := body["access_token"].(string), body["refresh_token"].(string)
		id := g.claims(body["id_token"])
		g.asks("x") // fills the client cache
		now := float64(g.Now().Unix())
		for token, life := range map[string]time.Duration{access: g.life.Access, refresh: g.life.Refresh} {
			var status int
			var got map[string]any
			ran := g.statements(func() { status, got = g.asks(token) })
			made := got["iat"].(float64)
			if made < now-1 || made > now+2 || got["exp"] != made+life.Seconds() {
				t.Errorf("iat %v, exp %v", got["iat"], got["exp"])
			}
			delete(got, "iat")
			delete(got, "exp")
			want := map[string]any{"active": true, "iss": testIssuer, "aud": testIssuer, "sub": "ann-id",
				"client_id": "web", "scope": "openid email offline_access", "sid": id["sid"]}
			if token == access {
				want["token_type"] = "Bearer"
			}
			if diff := cmp.Diff(want, got); status != 200 || diff != "" {
				t.Errorf("%d %s", status, diff)
			}
			if token == access {
				if diff := cmp.Diff([]string{"LiveGrant"}, ran); diff != "" {
					t.Error(diff)
				}
			}
		}
	})
}

// A narrowed token has what was left of the scopes.
func TestIntrospectionOfANarrowedToken(t *testing.T) {
	g := newRig(t)
	_, body := g.refresh(g.tokens()["refresh_token"].(string), "scope", "email")
	if _, got := g.asks(body["access_token"].(string)); got["scope"] != "email" {
		t.Error(got)
	}
}

func TestInactiveTokens(t *testing.T) {
	tests := map[string]func(g *rig, access, refresh string) []string{
		"garbage":       func(_ *rig, _, _ string) []string { return []string{"x", "mdx_at_", "mdx_rt_x.y"} },
		"truncated":     func(_ *rig, a, r string) []string { return []string{a[:len(a)-1], r[:len(r)-1]} },
		"padded":        func(_ *rig, a, r string) []string { return []string{a + "=", r + "A"} },
		"case flipped":  func(_ *rig, a, r string) []string { return []string{strings.ToLower(a), strings.ToUpper(r)} },
		"of no grant":   func(g *rig, _, _ string) []string { return []string{g.opaque.make(refreshPrefix, "NOBODYS", all)} },
		"an ID token":   func(g *rig, _, _ string) []string { return []string{g.tokens()["id_token"].(string)} },
		"a code":        func(g *rig, _, _ string) []string { return []string{g.codeOf()} },
		"used":          func(g *rig, a, r string) []string { g.refresh(r); return []string{a, r} },
		"revoked":       func(g *rig, a, r string) []string { g.revokes(r); return []string{a, r} },
		"after a reset": func(g *rig, a, r string) []string { g.void("ext-id"); return []string{a, r} },
		"disabled": func(g *rig, a, r string) []string {
			_ = g.st.SetDisabled(g.tb.Context(), "ext-id", true, "test")
			return []string{a, r}
		},
		"disabled there": func(g *rig, a, r string) []string { g.people.ext.Disabled = true; return []string{a, r} },
		"gone there":     func(g *rig, a, r string) []string { g.people.ext = nil; return []string{a, r} },
	}
	for name, spoil := range tests {
		g := newRig(t)
		g.session = g.signIn("ext-id")
		body := g.tokens()
		for _, token := range spoil(g, body["access_token"].(string), body["refresh_token"].(string)) {
			status, got := g.asks(token)
			if diff := cmp.Diff(inactive, got); status != 200 || diff != "" {
				t.Errorf("%s: %d %s", name, status, diff)
			}
		}
	}
}

// A fault is an error, and never an answer.
func TestIntrospectionWithoutADirectory(t *testing.T) {
	g := newRig(t)
	g.session = g.signIn("ext-id")
	body := g.tokens()
	g.people.away = directory.ErrUnavailable
	for _, kind := range []string{"access_token", "refresh_token"} {
		status, got := g.asks(body[kind].(string))
		wants(t, status, got, 503, "temporarily_unavailable")
	}
}

// To ask about a used refresh token is no reuse of it.
func TestIntrospectionRevokesNothing(t *testing.T) {
	g := newRig(t)
	old := g.tokens()["refresh_token"].(string)
	_, body := g.refresh(old)
	g.asks(old)
	if status, _ := g.refresh(body["refresh_token"].(string)); status != 200 {
		t.Error("the family is gone")
	}
}

func TestIntrospectedTokensExpire(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		body := g.tokens()
		access, refresh := body["access_token"].(string), body["refresh_token"].(string)
		g.shift(g.life.Access - time.Second)
		if _, got := g.asks(access); got["active"] != true {
			t.Error("too early:", got)
		}
		g.shift(time.Second)
		if _, got := g.asks(access); cmp.Diff(inactive, got) != "" {
			t.Error(got)
		}
		if _, got := g.asks(refresh); got["active"] != true {
			t.Error(got)
		}
		g.shift(g.life.Refresh)
		if _, got := g.asks(refresh); cmp.Diff(inactive, got) != "" {
			t.Error(got)
		}
	})
}

func TestIntrospectionIsForResourceServers(t *testing.T) {
	g := newRig(t)
	g.change("spa", func(c *store.Client) { c.Introspect = true })
	token := url.Values{"token": {g.tokens()["access_token"].(string)}}
	public := url.Values{"token": token["token"], "client_id": {"spa"}}
	tests := []struct {
		name   string
		form   url.Values
		auth   []string
		status int
		want   string
	}{
		{"nobody", token, nil, 401, "invalid_client"},
		{"by the token that is asked about", url.Values{"token": token["token"], "access_token": token["token"]}, nil, 401, "invalid_client"},
		{"wrong secret", token, []string{"api", "wrong"}, 401, "invalid_client"},
		{"a public client, even if registered", public, nil, 401, "invalid_client"},
		{"a client that was given the token", token, []string{"web", "s3cret"}, 403, "unauthorized_client"},
		{"no token", url.Values{"token_type_hint": {"access_token"}}, []string{"api", "s3cret"}, 400, "invalid_request"},
	}
	for _, test := range tests {
		status, body := g.post("/introspect", test.form, test.auth...)
		if status != test.status || body["error"] != test.want || body["active"] != nil {
			t.Errorf("%s: %d %v", test.name, status, body)
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		w := g.do(httptest.NewRequest(method, "/introspect?"+token.Encode(), nil))
		if w.Code != 405 || w.Header().Get("Cache-Control") != "no-store" {
			t.Error(method, w.Code, w.Header())
		}
	}
}

func (g *rig) revokes(token string) {
	g.tb.Helper()
	if status, body := g.post("/revoke", url.Values{"token": {token}}, "web", "s3cret"); status != 200 {
		g.tb.Fatal(status, body)
	}
}
