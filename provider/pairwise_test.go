package provider

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/store"
)

// paired makes clients pairwise, of a sector each.
func (g *rig) paired(sectors map[string]string) {
	g.tb.Helper()
	for id, sector := range sectors {
		g.change(id, func(c *store.Client) { c.SubjectType, c.Sector = "pairwise", sector })
	}
}

// redeemed signs Ann in at a client and returns the token answer.
func (g *rig) redeemed(client string, change ...string) map[string]any {
	g.tb.Helper()
	code := answered(g.tb, g.get(ask(append([]string{"client_id", client}, change...)...))).Get("code")
	status, body := g.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}}, client, "s3cret")
	if status != 200 {
		g.tb.Fatal(status, body)
	}
	return body
}

func TestPairwiseSubjects(t *testing.T) {
	for _, format := range []string{"", "jwt"} {
		g := newRig(t)
		g.paired(map[string]string{"web": "one.example", "broker": "one.example", "mail": "two.example"})
		names := map[string]any{}
		for _, client := range []string{"web", "broker", "mail"} {
			g.change(client, func(c *store.Client) { c.AccessTokenFormat = format })
			body := g.redeemed(client, "scope", "openid")
			sub, access := g.claims(body["id_token"])["sub"], body["access_token"].(string)
			_, info := g.userinfo(access)
			_, about := g.asks(access)
			if sub == "ann-id" || len(sub.(string)) != 43 || info["sub"] != sub || about["sub"] != sub {
				t.Errorf("%s: %v, %v at userinfo, %v by introspection", client, sub, info["sub"], about["sub"])
			}
			if format == "jwt" {
				if _, claims := payloadOf(t, access); claims["sub"] != sub {
					t.Errorf("%s: %v in the access token", client, claims["sub"])
				}
			}
			names[client] = sub
		}
		if names["web"] != names["broker"] || names["web"] == names["mail"] {
			t.Error(names)
		}
	}
}

// A name stays what it is for a grant, and is another for another person.
func TestPairwiseSubjectsLast(t *testing.T) {
	g := newRig(t)
	g.paired(map[string]string{"web": ""})
	g.change("web", func(c *store.Client) { c.RedirectURIs = []string{testCB} })
	body := g.tokens()
	sub := g.claims(body["id_token"])["sub"]
	if again := g.claims(g.tokens()["id_token"])["sub"]; again != sub {
		t.Error("another sign-in:", again)
	}
	g.change("web", func(c *store.Client) { c.Sector = "other.example" })
	_, body = g.refresh(body["refresh_token"].(string)) // OIDC Core section 12.2
	if got := g.claims(body["id_token"])["sub"]; got != sub {
		t.Error("refreshed:", got)
	}
	if got := g.claims(g.tokens()["id_token"])["sub"]; got == sub {
		t.Error("another sector:", got)
	}
	g.change("web", func(c *store.Client) { c.Sector = "" })
	g.session = g.signIn("ext-id")
	if got := g.claims(g.tokens()["id_token"])["sub"]; got == sub {
		t.Error("another person:", got)
	}
	// Nobody names themselves.
	claims := `{"userinfo":{"name":null},"pairwise":"x"}`
	if got := g.claims(g.tokens("claims", claims)["id_token"])["sub"]; got == "x" {
		t.Error("as they wish:", got)
	}
}

// Hints and the claims parameter name people as the client knows them.
func TestPairwiseHints(t *testing.T) {
	g := newRig(t)
	g.paired(map[string]string{"web": "one.example"})
	id := g.tokens()["id_token"].(string)
	sub := g.claims(id)["sub"].(string)
	named := func(s string) string { return `{"id_token":{"sub":{"value":"` + s + `"}}}` }
	good := [][]string{{"id_token_hint", id}, {"claims", named(sub)}}
	for _, change := range good {
		if q := answered(t, g.get(ask(append(change, "prompt", "none")...))); q.Get("code") == "" {
			t.Error(change[0], q)
		}
	}
	if q := answered(t, g.get(ask("claims", named("ann-id"), "prompt", "none"))); q.Get("error") != "login_required" {
		t.Error("by the account's ID:", q)
	}
	g.session = g.signIn("ext-id")
	for _, change := range good {
		if q := answered(t, g.get(ask(append(change, "prompt", "none")...))); q.Get("error") != "login_required" {
			t.Error("somebody else:", change[0], q)
		}
	}
	g.began = nil
	if w := g.get(ask("id_token_hint", id)); len(g.began) != 1 || g.began[0].Subject != "" {
		t.Error("the flow is told a name that is no account's:", w.Code, g.began)
	}
}

func TestCheckSector(t *testing.T) {
	a, b := "https://a.example/cb", "https://b.example/cb"
	tests := []struct {
		sector string
		uris   []string
		good   bool
	}{
		{"", []string{a}, true},
		{"", []string{a, "https://a.example:8443/other"}, true},
		{"", []string{a, b}, false},
		{"", nil, false},
		{"a.example", []string{a, b}, true},
		{"a.example", nil, true},
		{"https://a.example", []string{a}, false},
		{"a.example/x", []string{a}, false},
		{"a.example:8443", []string{a}, false},
		{"u@a.example", []string{a}, false},
	}
	got, want := map[string]bool{}, map[string]bool{}
	for _, test := range tests {
		name := test.sector + " " + url.Values{"": test.uris}.Encode()
		got[name] = CheckSector(&store.Client{Sector: test.sector, RedirectURIs: test.uris}) == nil
		want[name] = test.good
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
