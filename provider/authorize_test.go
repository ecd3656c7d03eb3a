package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

func TestAuthorizeAnswers(t *testing.T) {
	tests := []struct {
		name   string
		change []string
		keys   []string // of the answer
	}{
		{"good, as an app sends it", nil, []string{"code", "iss", "state"}},
		{"without state", []string{"state", "-"}, []string{"code", "iss"}},
		{"with an empty state", []string{"state", ""}, []string{"code", "iss"}},
		{"with a short state", []string{"state", "1"}, []string{"code", "iss", "state"}},
		{"with a long state", []string{"state", strings.Repeat("s-._~", 76)}, []string{"code", "iss", "state"}},
		{"without nonce", []string{"nonce", "-"}, []string{"code", "iss", "state"}},
		{"with a long nonce", []string{"nonce", strings.Repeat("n", 512)}, []string{"code", "iss", "state"}},
		{"unknown parameter", []string{"extra", "foobar", "audience", "x"}, []string{"code", "iss", "state"}},
		{"display, locales, acr_values", []string{"display", "popup", "ui_locales", "se", "claims_locales", "se", "acr_values", "1 2"}, []string{"code", "iss", "state"}},
		{"login_hint of a stranger", []string{"login_hint", "buffy@id.example"}, []string{"code", "iss", "state"}},
		{"prompt=consent", []string{"prompt", "consent"}, []string{"code", "iss", "state"}},
		{"prompt=none", []string{"prompt", "none"}, []string{"code", "iss", "state"}},
		{"max_age in time", []string{"max_age", "10000"}, []string{"code", "iss", "state"}},
		{"huge max_age", []string{"max_age", "99999999999999"}, []string{"code", "iss", "state"}},
		{"response_mode=query", []string{"response_mode", "query"}, []string{"code", "iss", "state"}},
		{"S256", []string{"code_challenge", challenge, "code_challenge_method", "S256"}, []string{"code", "iss", "state"}},
		{"an essential acr", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["x","urn:medximity:acr:1fa"]}}}`}, []string{"code", "iss", "state"}},
		{"claims", []string{"claims", `{"userinfo":{"name":{"essential":true}}}`}, []string{"code", "iss", "state"}},
	}
	g := newRig(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := ask(test.change...)
			w := g.get(q)
			got := answered(t, w)
			if diff := cmp.Diff(test.keys, slices.Sorted(mapsKeys(got))); diff != "" {
				t.Fatal(diff)
			}
			if got.Get("iss") != testIssuer || got.Get("state") != q.Get("state") {
				t.Error(got)
			}
			if status, body := g.exchange(got.Get("code"), "code_verifier", verifierFor(q)); status != 200 {
				t.Errorf("the code does not work: %v", body)
			}
			if h := w.Header(); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") != "no-store" {
				t.Error(h)
			}
		})
	}
}

func verifierFor(q url.Values) string {
	if q.Has("code_challenge") {
		return verifier
	}
	return ""
}

func mapsKeys(v url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range v {
			if !yield(k) {
				return
			}
		}
	}
}

func TestAuthorizeRefusesByRedirect(t *testing.T) {
	tests := []struct {
		name   string
		change []string
		want   string
	}{
		{"no response_type", []string{"response_type", "-"}, "invalid_request"},
		{"implicit", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"CODE", []string{"response_type", "CODE"}, "unsupported_response_type"},
		{"fragment", []string{"response_mode", "fragment"}, "invalid_request"},
		{"unknown scope", []string{"scope", "openid wat"}, "invalid_scope"},
		{"scope in capitals", []string{"scope", "OpenID"}, "invalid_scope"},
		{"scope of a wildcard", []string{"scope", "openid.*"}, "invalid_scope"},
		{"scope not registered", []string{"client_id", "mail", "scope", "openid profile"}, "invalid_scope"},
		{"no PKCE", []string{"client_id", "strict"}, "invalid_request"},
		{"no PKCE, public", []string{"client_id", "spa"}, "invalid_request"},
		{"plain PKCE", []string{"code_challenge", challenge, "code_challenge_method", "plain"}, "invalid_request"},
		{"PKCE, no method", []string{"code_challenge", challenge}, "invalid_request"},
		{"method, no challenge", []string{"code_challenge_method", "S256"}, "invalid_request"},
		{"short challenge", []string{"code_challenge", challenge[1:], "code_challenge_method", "S256"}, "invalid_request"},
		{"challenge of wrong letters", []string{"code_challenge", challenge[1:] + "+", "code_challenge_method", "S256"}, "invalid_request"},
		{"request", []string{"request", "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"},
		{"request_uri", []string{"request_uri", "https://app.example/r"}, "request_uri_not_supported"},
		{"registration", []string{"registration", "{}"}, "registration_not_supported"},
		{"unknown prompt", []string{"prompt", "dance"}, "invalid_request"},
		{"none and login", []string{"prompt", "none login"}, "invalid_request"},
		{"max_age below zero", []string{"max_age", "-1"}, "invalid_request"},
		{"max_age in letters", []string{"max_age", "abc"}, "invalid_request"},
		{"long nonce", []string{"nonce", strings.Repeat("n", 513)}, "invalid_request"},
		{"control characters", []string{"nonce", "a\r\nb"}, "invalid_request"},
		{"not UTF-8", []string{"nonce", "\xff"}, "invalid_request"},
		{"claims that are no JSON", []string{"claims", "{"}, "invalid_request"},
		{"claims nested deep", []string{"claims", strings.Repeat("[", 4000)}, "invalid_request"},
		{"an acr that we do not have", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["x"]}}}`}, "unmet_authentication_requirements"},
		{"an acr that is no text", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":[[],{}]}}}`}, "unmet_authentication_requirements"},
		{"hint that is no token", []string{"id_token_hint", "abc"}, "invalid_request"},
		{"hint that is no token, none", []string{"id_token_hint", "abc", "prompt", "none"}, "login_required"},
	}
	g := newRig(t)
	for _, mode := range []string{"query", "form_post"} {
		for _, test := range tests {
			t.Run(mode+"/"+test.name, func(t *testing.T) {
				w := g.get(ask(append([]string{"response_mode", mode}, test.change...)...))
				var got url.Values
				if mode == "form_post" && test.name != "fragment" {
					got = posted(t, w)
				} else {
					got = answered(t, w)
				}
				if got.Get("error") != test.want || got.Get("state") != "st4te" || got.Get("iss") != testIssuer || got.Has("code") {
					t.Error(got)
				}
				if d := got.Get("error_description"); d == "" || wire(d) != d {
					t.Errorf("description %q", d)
				}
			})
		}
	}
}

// posted returns the fields of a form_post answer.
func posted(tb testing.TB, w *httptest.ResponseRecorder) url.Values {
	tb.Helper()
	var p formPost
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Location") != "" {
		tb.Fatalf("no form: %d %s", w.Code, w.Body)
	}
	if p.Action != testCB || p.Target != "https://app.example" {
		tb.Error(p)
	}
	v := url.Values{}
	for _, f := range p.Fields {
		v.Add(f.Name, f.Value)
	}
	return v
}

func TestAuthorizeByFormPost(t *testing.T) {
	g := newRig(t)
	got := posted(t, g.get(ask("response_mode", "form_post")))
	if got.Get("state") != "st4te" || got.Get("iss") != testIssuer {
		t.Error(got)
	}
	if status, body := g.exchange(got.Get("code")); status != 200 {
		t.Error(body)
	}
}

func TestRepeatedParameters(t *testing.T) {
	g := newRig(t)
	for name := range ask("prompt", "none", "max_age", "1", "claims", "{}") {
		w := g.do(httptest.NewRequest("GET", "/authorize?"+ask().Encode()+"&"+url.Values{name: {"x", "y"}}.Encode(), nil))
		if name == "client_id" || name == "redirect_uri" {
			if w.Code != 400 || w.Header().Get("Location") != "" {
				t.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
			continue
		}
		if got := answered(t, w); got.Get("error") != "invalid_request" || got.Has("code") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRefusalsThatAreNotRedirected(t *testing.T) {
	g := newRig(t)
	for name, q := range map[string]string{
		"unknown client":    ask("client_id", "nobody").Encode(),
		"no client":         ask("client_id", "-").Encode(),
		"no redirect URI":   ask("redirect_uri", "-").Encode(),
		"not registered":    ask("redirect_uri", testCB+"/x").Encode(),
		"bad encoding":      ask().Encode() + "&a=%zz",
		"semicolons":        strings.ReplaceAll(ask().Encode(), "&", ";"),
		"inner URI is good": ask("redirect_uri", "https://evil.example", "request", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2FwcC5leGFtcGxlL2NiIn0.").Encode(),
	} {
		w := g.do(httptest.NewRequest("GET", "/authorize?"+q, nil))
		if w.Code != 400 || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestPostedRequestComesBackAsGET(t *testing.T) {
	g := newRig(t)
	r := httptest.NewRequest("POST", "/authorize", strings.NewReader(ask("client_secret", "oops").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := g.do(r)
	want := "/base/authorize?" + ask().Encode()
	if w.Code != 303 || w.Header().Get("Location") != want {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
	r = httptest.NewRequest("POST", "/authorize", strings.NewReader("state="+strings.Repeat("s", 20<<10)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := g.do(r); w.Code != 400 {
		t.Error("a request of 20 KiB:", w.Code)
	}
}

// hint is an ID token of ours for the client "web".
func (g *rig) hint(change ...string) string { return g.tokens(change...)["id_token"].(string) }

func TestSatisfied(t *testing.T) {
	tests := []struct {
		name   string
		change []string
		nobody bool
		want   string // code, sign-in, or an error
	}{
		{"signed in", nil, false, "code"},
		{"not signed in", nil, true, "sign-in"},
		{"not signed in, none", []string{"prompt", "none"}, true, "login_required"},
		{"prompt=login", []string{"prompt", "login"}, false, "anew"},
		{"prompt=select_account", []string{"prompt", "select_account"}, false, "sign-in"},
		{"prompt=login consent", []string{"prompt", "login consent"}, false, "anew"},
		{"max_age=0", []string{"max_age", "0"}, false, "anew"},
		{"max_age=0, none", []string{"max_age", "0", "prompt", "none"}, false, "login_required"},
		{"max_age over", []string{"max_age", "59"}, false, "anew"},
		{"max_age over, none", []string{"max_age", "59", "prompt", "none"}, false, "login_required"},
		{"max_age in time", []string{"max_age", "62"}, false, "code"},
		{"the hinted person", []string{"id_token_hint", "ann"}, false, "code"},
		{"the hinted person, none", []string{"id_token_hint", "ann", "prompt", "none"}, false, "code"},
		{"somebody else hinted", []string{"id_token_hint", "ext"}, false, "sign-in"},
		{"somebody else hinted, none", []string{"id_token_hint", "ext", "prompt", "none"}, false, "login_required"},
		{"somebody else by claims", []string{"claims", `{"id_token":{"sub":{"value":"bob-id"}}}`, "prompt", "none"}, false, "login_required"},
		{"two factors", []string{"acr_values", flows.ACR2FA}, false, "more"},
		{"two factors, best of both", []string{"acr_values", flows.ACR2FA + " " + flows.ACR1FA}, false, "more"},
		{"one factor will do", []string{"acr_values", flows.ACR1FA + " " + flows.ACR2FA}, false, "code"},
		{"a passkey", []string{"acr_values", flows.ACRPhr}, false, "more"},
		{"a passkey, essential, none", []string{"claims", essential(flows.ACRPhr), "prompt", "none"}, false, "interaction_required"},
		{"a class that we do not know", []string{"acr_values", "urn:example:gold"}, false, "code"},
		{"two factors, of nobody", []string{"acr_values", flows.ACR2FA}, true, "sign-in"},
		{"two factors, anew", []string{"acr_values", flows.ACR2FA, "prompt", "login"}, false, "anew"},
		{"two factors, none", []string{"acr_values", flows.ACR2FA, "prompt", "none"}, false, "interaction_required"},
		{"two factors, essential", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["` + flows.ACR2FA + `"]}}}`}, false, "more"},
		{"either, essential", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["` + flows.ACR2FA + `","` + flows.ACR1FA + `"]}}}`}, false, "code"},
		{"a client that wants two", []string{"client_id", "careful"}, false, "more"},
		{"a client that wants two, none", []string{"client_id", "careful", "prompt", "none"}, false, "interaction_required"},
		{"another client's hint", []string{"client_id", "broker", "id_token_hint", "ann"}, false, "invalid_request"},
	}
	g := newRig(t)
	ann, hint := g.session, g.hint()
	g.session = g.signIn("ext-id")
	exts := g.hint()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.session = ann
			q := ask(test.change...)
			switch q.Get("id_token_hint") {
			case "ann":
				q.Set("id_token_hint", hint)
			case "ext":
				q.Set("id_token_hint", exts)
			}
			if test.nobody {
				g.session = nil
			}
			if got := outcome(t, g, g.get(q)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func outcome(t *testing.T, g *rig, w *httptest.ResponseRecorder) string {
	t.Helper()
	switch {
	case w.Code == http.StatusTeapot:
		return "sign-in"
	case w.Code == http.StatusAccepted && w.Header().Get("X-Anew") != "":
		return "anew"
	case w.Code == http.StatusAccepted:
		return "more"
	}
	q := answered(t, w)
	if q.Has("code") {
		return "code"
	}
	return q.Get("error")
}

func TestExpiredHintIsGood(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		hint := g.hint()
		g.shift(24 * time.Hour)
		if got := outcome(t, g, g.get(ask("id_token_hint", hint, "prompt", "none"))); got != "code" {
			t.Error(got)
		}
	})
}

func TestForgedHints(t *testing.T) {
	g := newRig(t)
	hint := g.hint()
	parts := strings.Split(hint, ".")
	foreign, _ := g.Keys.Sign("ES256", []byte(`{"iss":"https://evil.example","sub":"ann-id","aud":"web"}`))
	for name, forged := range map[string]string{
		"other issuer": foreign, "alg none": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "no signature": parts[0] + "." + parts[1] + ".",
		"cut": hint[:len(hint)-4], "nested": strings.Repeat("[", 8000), "an access token": g.tokens()["access_token"].(string),
	} {
		if got := outcome(t, g, g.get(ask("id_token_hint", forged))); got != "invalid_request" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A request that led to a sign-in is answered from it, whatever its prompt.
func TestResume(t *testing.T) {
	tests := []struct {
		name   string
		change []string
		signed func(s *store.Session, arrived time.Time)
		want   string
	}{
		{"signed in", nil, func(s *store.Session, at time.Time) { s.AuthTime = at.Add(time.Second) }, "code"},
		{"prompt=login", []string{"prompt", "login"}, func(s *store.Session, at time.Time) { s.AuthTime = at.Add(time.Second) }, "code"},
		{"max_age=0", []string{"max_age", "0"}, func(s *store.Session, at time.Time) { s.AuthTime = at.Add(time.Second) }, "code"},
		{"max_age=1, an hour to type", []string{"max_age", "1"}, func(s *store.Session, at time.Time) { s.AuthTime = at.Add(time.Hour) }, "code"},
		{"prompt=login, an old session", []string{"prompt", "login"}, func(s *store.Session, at time.Time) { s.AuthTime = at.Add(-time.Hour) }, "login_required"},
		{"somebody else", []string{"claims", `{"id_token":{"sub":{"value":"ann-id"}}}`}, func(s *store.Session, at time.Time) { s.AuthTime, s.Account = at, "bob-id" }, "login_required"},
	}
	g := newRig(t)
	ann := g.session
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := *ann
			g.session, g.began = nil, nil
			g.get(ask(append([]string{"login_hint", "ann", "ui_locales", "ko"}, test.change...)...))
			if len(g.began) != 1 {
				t.Fatal("no flow began")
			}
			fr := g.began[0]
			want := flows.Request{Authorize: fr.Authorize, Arrived: fr.Arrived, Client: "web", ClientName: "App web",
				Target: "https://app.example", Locales: "ko", Hint: "ann", Subject: fr.Subject}
			if diff := cmp.Diff(want, fr); diff != "" {
				t.Error(diff)
			}
			test.signed(&s, fr.Arrived)
			w := httptest.NewRecorder()
			if err := g.resume(w, httptest.NewRequest("POST", "/login/password", nil), fr, &s); err != nil {
				t.Fatal(err)
			}
			if got := outcome(t, g, w); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestAuthorizeAsksTheStoreNothing(t *testing.T) {
	g := newRig(t)
	g.codeOf()
	if ran := g.statements(func() { g.codeOf() }); len(ran) > 0 {
		t.Error(ran)
	}
}

func TestQueryOfTheRedirectURIStays(t *testing.T) {
	g := newRig(t)
	const uri = "https://app.example/cb?a=%7e&b"
	g.change("web", func(c *store.Client) { c.RedirectURIs = []string{uri} })
	to := g.get(ask("redirect_uri", uri)).Header().Get("Location")
	if !strings.HasPrefix(to, "https://app.example/cb?a=%7e&b&code=mdx_ac_") {
		t.Error(to)
	}
}

func TestCodeIsShort(t *testing.T) {
	g := newRig(t)
	if code := g.codeOf("nonce", strings.Repeat("n", 43), "code_challenge", challenge, "code_challenge_method", "S256"); len(code) > 512 {
		t.Errorf("%d characters", len(code))
	}
}
