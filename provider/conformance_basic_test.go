package provider

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// basicModules are those of the plan Basic that static clients can run, by
// their names.
var basicModules = []struct {
	name string
	run  func(*suite)
}{
	{"oidcc-server", func(s *suite) {
		code := s.code()
		if len(code)*6 < 128 || entropy(code) < 96 {
			s.t.Errorf("a code of %d characters and %.0f bits", len(code), entropy(code))
		}
		tokens, _ := s.tokens(code, "nonce01234")
		if e := entropy(tokens["access_token"].(string)); e < 96 {
			s.t.Errorf("an access token of %.0f bits", e)
		}
		s.info(tokens)
	}},
	{"oidcc-response-type-missing", func(s *suite) {
		if got := s.response(s.asks("response_type", "-"), "abcdef0123"); got.Get("error") != "invalid_request" {
			s.t.Error(got)
		}
	}},
	{"oidcc-idtoken-signature", func(s *suite) { s.signedIn() }}, // idClaims wants RS256, and a kid
	{"oidcc-idtoken-unsigned", func(s *suite) {
		if algs := fmt.Sprint(s.discovered()["id_token_signing_alg_values_supported"]); strings.Contains(algs, "none") {
			s.t.Error(algs)
		}
	}},
	{"oidcc-userinfo-get", func(s *suite) { tokens, _ := s.signedIn(); s.info(tokens) }},
	{"oidcc-userinfo-post-header", func(s *suite) {
		tokens, _ := s.signedIn()
		r, err := http.NewRequest(http.MethodPost, s.issuer+"/userinfo", nil)
		s.ok(err)
		r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
		s.infoOf(s.do(r, nil), tokens)
	}},
	{"oidcc-userinfo-post-body", func(s *suite) {
		tokens, _ := s.signedIn()
		s.infoOf(s.post("/userinfo", "access_token", tokens["access_token"].(string)), tokens)
	}},
	{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(s *suite) { s.signedIn("nonce", "-") }},
	{"oidcc-scope-profile", func(s *suite) { s.scoped("profile") }},
	{"oidcc-scope-email", func(s *suite) { s.scoped("email") }},
	{"oidcc-scope-address", func(s *suite) { s.scoped("address") }},
	{"oidcc-scope-phone", func(s *suite) { s.scoped("phone") }},
	{"oidcc-scope-all", func(s *suite) { s.scoped("profile", "email", "address", "phone") }},
	{"oidcc-alternate-happy-flow", func(s *suite) {
		q := s.query()
		s.through(s.get("/authorize?scope=email+openid&state=" + q.Get("state") + "&response_mode=" + s.mode + "&nonce=n2345678" +
			"&response_type=code&redirect_uri=" + url.QueryEscape(suiteQueryCB) + "&client_id=" + s.client))
		got := s.response(s.asks("redirect_uri", suiteQueryCB, "scope", "email openid"), "abcdef0123")
		if s.mode == "" && (got.Get("dummy1") != "lorem" || got.Get("dummy2") != "ipsum") {
			s.t.Errorf("the query of the redirect URI is not kept: %v", got)
		}
		status, tokens := s.token("grant_type", "authorization_code", "code", got.Get("code"), "redirect_uri", suiteQueryCB)
		if status != http.StatusOK || s.info(tokens)["email"] == nil {
			s.t.Errorf("%d %v", status, tokens)
		}
	}},
	{"oidcc-display-page", func(s *suite) { s.signedIn("display", "page") }},
	{"oidcc-display-popup", func(s *suite) { s.signedIn("display", "popup") }},
	{"oidcc-ui-locales", func(s *suite) { s.signedIn("ui_locales", "se") }},
	{"oidcc-claims-locales", func(s *suite) { s.signedIn("claims_locales", "se") }},
	{"oidcc-login-hint", func(s *suite) {
		page := s.asks("login_hint", "buffy@id.example")
		if !strings.Contains(page.text, "buffy@id.example") {
			s.t.Error("the hint is not shown")
		}
		s.response(s.signIn(page, "suite", rightPassword), "abcdef0123") // cleared, and typed anew
	}},
	{"oidcc-ensure-request-with-unknown-parameter-succeeds", func(s *suite) { s.signedIn("extra", "foobar") }},
	{"oidcc-prompt-login", func(s *suite) {
		_, first := s.signedIn()
		time.Sleep(1100 * time.Millisecond)
		page := s.asks("prompt", "login")
		if !s.asked(page) {
			s.t.Fatalf("the page does not ask again: %d", page.StatusCode)
		}
		s.later(first, s.response(s.through(page), "abcdef0123").Get("code"))
	}},
	{"oidcc-prompt-none-not-logged-in", func(s *suite) {
		state := strings.Repeat(longText, 2)[:128]
		if got := s.response(s.asks("prompt", "none", "state", state), state); got.Get("error") != "login_required" {
			s.t.Error(got)
		}
	}},
	{"oidcc-prompt-none-logged-in", func(s *suite) {
		_, first := s.signedIn()
		s.same(first, s.response(s.asks("prompt", "none"), "abcdef0123").Get("code"))
	}},
	{"oidcc-max-age-1", func(s *suite) {
		_, first := s.signedIn()
		time.Sleep(2100 * time.Millisecond)
		page := s.asks("max_age", "1")
		if !s.asked(page) {
			s.t.Fatalf("the page does not ask again: %d", page.StatusCode)
		}
		s.later(first, s.response(s.through(page), "abcdef0123").Get("code"))
	}},
	{"oidcc-max-age-10000", func(s *suite) {
		_, first := s.signedIn("max_age", "15000")
		s.same(first, s.response(s.asks("max_age", "10000"), "abcdef0123").Get("code"))
	}},
	{"oidcc-id-token-hint", func(s *suite) {
		tokens, first := s.signedIn()
		s.same(first, s.response(s.asks("prompt", "none", "id_token_hint", tokens["id_token"].(string)), "abcdef0123").Get("code"))
	}},
	{"oidcc-ensure-request-with-acr-values-succeeds", func(s *suite) {
		var all []string
		for _, acr := range s.discovered()["acr_values_supported"].([]any) {
			all = append(all, acr.(string))
		}
		_, claims := s.signedIn("acr_values", strings.Join(all, " "))
		if !strings.Contains(strings.Join(all, " "), claims["acr"].(string)) {
			s.t.Errorf("acr is %v, of %v", claims["acr"], all)
		}
	}},
	{"oidcc-codereuse", func(s *suite) {
		code := s.code()
		s.tokens(code, "nonce01234")
		if status, body := s.redeem(code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
			s.t.Errorf("%d %v", status, body)
		}
	}},
	{"oidcc-codereuse-30seconds", func(s *suite) {
		code := s.code()
		tokens, _ := s.tokens(code, "nonce01234")
		now := s.oidc.Now
		defer func() { s.oidc.Now = now }()
		for _, later := range []time.Duration{30 * time.Second, 30 * time.Minute} { // longer than the code was good, too
			s.oidc.Now = func() time.Time { return now().Add(later) }
			if status, body := s.redeem(code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
				s.t.Errorf("after %v: %d %v", later, status, body)
			}
		}
		s.oidc.Now = now
		if a := s.post("/userinfo", "access_token", tokens["access_token"].(string)); a.StatusCode != http.StatusUnauthorized {
			s.t.Errorf("the first access token lives on: %d", a.StatusCode)
		}
	}},
	{"oidcc-ensure-registered-redirect-uri", func(s *suite) {
		s.isPage(s.asks("redirect_uri", suiteCB+"/Xq3f"))
	}},
	{"oidcc-ensure-post-request-succeeds", func(s *suite) {
		r, err := http.NewRequest(http.MethodPost, s.issuer+"/authorize", strings.NewReader(s.query().Encode()))
		s.ok(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		s.tokens(s.response(s.through(s.do(r, nil)), "abcdef0123").Get("code"), "nonce01234")
	}},
	{"oidcc-server-client-secret-post", func(s *suite) { s.client = "suite2"; s.signedIn() }},
	{"oidcc-server-client-secret-basic", func(s *suite) {
		r, err := http.NewRequest(http.MethodPost, s.issuer+"/token", strings.NewReader(url.Values{"grant_type": {"authorization_code"},
			"code": {s.code()}, "redirect_uri": {suiteCB}}.Encode()))
		s.ok(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(s.client, clientSecret)
		if a := s.do(r, nil); a.StatusCode != http.StatusOK {
			s.t.Errorf("%d %s", a.StatusCode, a.text)
		}
	}},
	{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(s *suite) {
		if got := s.response(s.asks("request_uri", "https://suite.example/request.jwt"), "abcdef0123"); got.Get("error") != "request_uri_not_supported" {
			s.t.Error(got)
		}
	}},
	{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(s *suite) {
		if got := s.response(s.asks("request", unsigned(`{"redirect_uri":"`+suiteCB+`","state":"inside"}`)), "abcdef0123"); got.Get("error") != "request_not_supported" {
			s.t.Error(got)
		}
	}},
	{"oidcc-claims-essential", func(s *suite) {
		tokens, claims := s.signedIn("claims", `{"userinfo":{"name":{"essential":true}}}`)
		if info := s.info(tokens); info["name"] != "Su Ite" || claims["name"] != nil {
			s.t.Errorf("userinfo %v, ID token %v", info, claims)
		}
	}},
	{"oidcc-ensure-request-object-with-redirect-uri", func(s *suite) {
		s.isPage(s.asks("redirect_uri", suiteCB+"/bad", "request", unsigned(`{"redirect_uri":"`+suiteCB+`"}`)))
	}},
	{"oidcc-refresh-token", refreshModule},
	{"oidcc-ensure-request-with-valid-pkce-succeeds", func(s *suite) {
		code := s.code("code_challenge", challenge, "code_challenge_method", "S256")
		status, body := s.token("grant_type", "authorization_code", "code", code, "redirect_uri", suiteCB, "code_verifier", verifier)
		if status != http.StatusOK {
			s.t.Errorf("%d %v", status, body)
		}
	}},
}

// Two clients refresh: a new ID token of the same sign-in, and never the other
// one's token.
func refreshModule(s *suite) {
	if grants := fmt.Sprint(s.discovered()["grant_types_supported"]); !strings.Contains(grants, "refresh_token") {
		s.t.Error(grants)
	}
	var first [2]map[string]any
	for i, client := range []string{"suite1", "suite2"} {
		s.client = client
		var claims map[string]any
		first[i], claims = s.signedIn("scope", "openid offline_access", "prompt", "consent")
		refresh := first[i]["refresh_token"].(string)
		if entropy(refresh) < 96 {
			s.t.Errorf("a refresh token of %.0f bits", entropy(refresh))
		}
		time.Sleep(1100 * time.Millisecond)
		status, fresh := s.token("grant_type", "refresh_token", "refresh_token", refresh)
		if status != http.StatusOK || fresh["token_type"] != "Bearer" {
			s.t.Fatalf("refresh: %d %v", status, fresh)
		}
		again := s.idClaims(fresh)
		for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time"} {
			if fmt.Sprint(again[name]) != fmt.Sprint(claims[name]) {
				s.t.Errorf("%s was %v and is %v", name, claims[name], again[name])
			}
		}
		if again["iat"].(float64) <= claims["iat"].(float64) {
			s.t.Error("iat is not new")
		}
		first[i] = fresh
	}
	s.client = "suite1"
	if status, body := s.token("grant_type", "refresh_token", "refresh_token", first[1]["refresh_token"].(string)); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		s.t.Errorf("the other client's: %d %v", status, body)
	}
}

// scoped wants all claims of the scopes from userinfo, no other, and none in the
// ID token.
func (s *suite) scoped(scopes ...string) {
	s.t.Helper()
	tokens, _ := s.signedIn("scope", "openid "+strings.Join(scopes, " "))
	want := map[string]bool{"sub": true}
	for _, scope := range scopes {
		for _, name := range scopeClaims[scope] {
			want[name] = true
		}
	}
	got := map[string]bool{}
	for name := range s.info(tokens) {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Error(diff)
	}
}

func (s *suite) same(first map[string]any, code string) {
	s.t.Helper()
	_, claims := s.tokens(code, "nonce01234")
	if claims["sub"] != first["sub"] || claims["auth_time"] != first["auth_time"] {
		s.t.Errorf("was %v, is %v", first, claims)
	}
}

func (s *suite) later(first map[string]any, code string) {
	s.t.Helper()
	_, claims := s.tokens(code, "nonce01234")
	if claims["sub"] != first["sub"] || claims["auth_time"].(float64) <= first["auth_time"].(float64) {
		s.t.Errorf("was %v, is %v", first, claims)
	}
}

// isPage wants a page that says what is wrong, and no way on to anywhere else.
func (s *suite) isPage(a answer) {
	s.t.Helper()
	if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") ||
		!strings.Contains(a.text, "cannot be answered") {
		s.t.Errorf("%d to %q: %.200s", a.StatusCode, a.Header.Get("Location"), a.text)
	}
}

func unsigned(claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "."
}

// entropy is Shannon's, in bits, over the characters of the text, as the suite
// estimates it.
func entropy(s string) (bits float64) {
	counts := map[rune]float64{}
	for _, c := range s {
		counts[c]++
	}
	for _, n := range counts {
		bits -= n * math.Log2(n/float64(len(s)))
	}
	return bits
}

// oidcc-discovery-endpoint-verification, the plan Config, and what section 7 adds.
func TestConformanceConfig(t *testing.T) {
	s := newSuiteHouse(t, "sqlite").suite(t, "")
	doc := s.discovered()
	if doc["issuer"] != s.issuer {
		t.Errorf("issuer %v", doc["issuer"])
	}
	knownMembers := strings.Fields(`issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri scopes_supported
		response_types_supported response_modes_supported grant_types_supported acr_values_supported subject_types_supported
		id_token_signing_alg_values_supported userinfo_signing_alg_values_supported token_endpoint_auth_methods_supported
		token_endpoint_auth_signing_alg_values_supported claim_types_supported claims_supported ui_locales_supported
		claims_parameter_supported request_parameter_supported request_uri_parameter_supported revocation_endpoint
		revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported introspection_endpoint
		introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported
		code_challenge_methods_supported authorization_response_iss_parameter_supported prompt_values_supported end_session_endpoint
		backchannel_logout_supported backchannel_logout_session_supported frontchannel_logout_supported
		frontchannel_logout_session_supported pushed_authorization_request_endpoint`)
	for name, value := range doc {
		if !strings.Contains(" "+strings.Join(knownMembers, " ")+" ", " "+name+" ") {
			t.Errorf("%s is no member that the suite knows", name)
		}
		if at, _ := value.(string); strings.HasSuffix(name, "_endpoint") && !strings.HasPrefix(at, "https://") {
			t.Errorf("%s is %v", name, value)
		}
	}
	for name, has := range map[string]string{"response_types_supported": "code", "subject_types_supported": "public",
		"id_token_signing_alg_values_supported": "RS256", "userinfo_signing_alg_values_supported": "RS256", "scopes_supported": "openid",
		"claims_supported": "sub", "grant_types_supported": "authorization_code", "ui_locales_supported": "ko",
		"code_challenge_methods_supported": "S256"} {
		list, _ := doc[name].([]any)
		found := false
		for _, v := range list {
			found = found || v == has
		}
		if !found {
			t.Errorf("%s lacks %s: %v", name, has, doc[name])
		}
	}
	methods := fmt.Sprint(doc["token_endpoint_auth_methods_supported"])
	for _, m := range []string{"client_secret_basic", "client_secret_post", "private_key_jwt"} {
		if !strings.Contains(methods, m) {
			t.Errorf("%s is not among %s", m, methods)
		}
	}
	for _, yes := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported",
		"frontchannel_logout_session_supported", "authorization_response_iss_parameter_supported"} {
		if doc[yes] != true {
			t.Errorf("%s: %v", yes, doc[yes])
		}
	}
	kids := map[string]bool{}
	for _, k := range s.keys.Keys {
		if kids[k.KeyID] || k.KeyID == "" || !k.IsPublic() || !k.Valid() {
			t.Errorf("key %q: twice, nameless, private or not valid", k.KeyID)
		}
		kids[k.KeyID] = true
	}
}

func (s *suite) discovered() map[string]any {
	s.t.Helper()
	a := s.get("/.well-known/openid-configuration")
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("discovery: %d %v", a.StatusCode, a.Header)
	}
	doc := map[string]any{}
	s.decode(a, &doc)
	return doc
}
