package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestExchange(t *testing.T) {
	g := newRig(t)
	r := httptest.NewRequest("POST", "/token", strings.NewReader(url.Values{"grant_type": {"authorization_code"},
		"code": {g.codeOf()}, "redirect_uri": {testCB}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.SetBasicAuth("web", "s3cret")
	var w *httptest.ResponseRecorder
	if diff := cmp.Diff([]string{"RedeemCode"}, g.statements(func() { w = g.do(r) })); diff != "" {
		t.Error(diff)
	}
	body := decode(t, w)
	want := map[string]any{"token_type": "Bearer", "expires_in": 599.0, "scope": "openid profile email offline_access"}
	ignore := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return strings.HasSuffix(k, "_token") })
	near := cmpopts.EquateApprox(0, 1)
	if diff := cmp.Diff(want, body, ignore, near); diff != "" {
		t.Error(diff)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Pragma") != "no-cache" {
		t.Error("may be cached:", w.Header())
	}
	access := body["access_token"].(string)
	c := g.claims(body["id_token"])
	wantID := map[string]any{"iss": testIssuer, "sub": "ann-id", "aud": "web", "nonce": "n",
		"auth_time": float64(g.session.AuthTime.Unix()), "acr": "urn:medximity:acr:1fa", "amr": []any{"pwd"},
		"sid": g.session.SID(), "at_hash": atHash("ES256", access)}
	times := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "iat" || k == "exp" })
	if diff := cmp.Diff(wantID, c, times); diff != "" {
		t.Error(diff)
	}
	if life := c["exp"].(float64) - c["iat"].(float64); life != 600 {
		t.Errorf("an ID token lives %vs", life)
	}
}

func TestExchangeRefuses(t *testing.T) {
	other := strings.Repeat("w", 43)
	withPKCE := []string{"code_challenge", challenge, "code_challenge_method", "S256"}
	tests := []struct {
		name   string
		ask    []string
		change []string
		auth   [2]string
		status int
		want   string
	}{
		{"another client's code", nil, nil, [2]string{"strict", "s3cret"}, 400, "invalid_grant"},
		{"another redirect URI", nil, []string{"redirect_uri", testNative}, [2]string{}, 400, "invalid_grant"},
		{"no redirect URI", nil, []string{"redirect_uri", ""}, [2]string{}, 400, "invalid_grant"},
		{"not a code", nil, []string{"code", "abc"}, [2]string{}, 400, "invalid_grant"},
		{"empty code", nil, []string{"code", ""}, [2]string{}, 400, "invalid_request"},
		{"verifier without challenge", nil, []string{"code_verifier", verifier}, [2]string{}, 400, "invalid_grant"},
		{"no verifier", withPKCE, nil, [2]string{}, 400, "invalid_grant"},
		{"wrong verifier", withPKCE, []string{"code_verifier", other}, [2]string{}, 400, "invalid_grant"},
		{"short verifier", withPKCE, []string{"code_verifier", "v"}, [2]string{}, 400, "invalid_grant"},
		{"the challenge as verifier", withPKCE, []string{"code_verifier", challenge}, [2]string{}, 400, "invalid_grant"},
		{"unknown grant type", nil, []string{"grant_type", "password"}, [2]string{}, 400, "unsupported_grant_type"},
		{"two grant types", nil, []string{"grant_type", "authorization_code refresh_token"}, [2]string{}, 400, "unsupported_grant_type"},
		{"no grant type", nil, []string{"grant_type", ""}, [2]string{}, 400, "invalid_request"},
		{"wrong secret", nil, nil, [2]string{"web", "no"}, 401, "invalid_client"},
	}
	g := newRig(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			form := set(url.Values{"grant_type": {"authorization_code"}, "code": {g.codeOf(test.ask...)},
				"redirect_uri": {testCB}}, test.change)
			auth := test.auth
			if auth[0] == "" {
				auth = [2]string{"web", "s3cret"}
			}
			ran := g.statements(func() {
				status, body := g.post("/token", form, auth[0], auth[1])
				wants(t, status, body, test.status, test.want)
			})
			if slices.Contains(ran, "RedeemCode") {
				t.Error("the code was used up")
			}
		})
	}
}

// A wrong verifier must not disarm the challenge (fosite PR 883).
func TestPKCECannotBeDowngradedByASecondTry(t *testing.T) {
	g := newRig(t)
	code := g.codeOf("client_id", "spa", "code_challenge", challenge, "code_challenge_method", "S256")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}, "client_id": {"spa"}}
	for _, v := range []string{strings.Repeat("w", 43), "", strings.Repeat("x", 43)} {
		form.Set("code_verifier", v)
		status, body := g.post("/token", form)
		wants(t, status, body, 400, "invalid_grant")
	}
	form.Set("code_verifier", verifier)
	if status, body := g.post("/token", form); status != 200 {
		t.Errorf("the right verifier: %d %v", status, body)
	}
}

func TestCodeIsGoodOnce(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		code := g.codeOf()
		_, first := g.exchange(code)
		g.shift(30 * time.Second)
		status, body := g.exchange(code)
		wants(t, status, body, 400, "invalid_grant")
		if status, _ := g.userinfo(first["access_token"].(string)); status != 401 {
			t.Errorf("after a replay userinfo says %d", status)
		}
		status, body = g.refresh(first["refresh_token"].(string))
		wants(t, status, body, 400, "invalid_grant")
	})
}

func TestExpiredCode(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		code := g.codeOf()
		g.shift(60 * time.Second)
		status, body := g.exchange(code)
		wants(t, status, body, 400, "invalid_grant")

		code = g.codeOf()
		_, first := g.exchange(code)
		g.shift(2 * time.Minute)
		status, body = g.exchange(code)
		wants(t, status, body, 400, "invalid_grant")
		if status, _ := g.userinfo(first["access_token"].(string)); status != 401 {
			t.Error("the replay of an expired code left its family alive")
		}
	})
}

func TestOneCodeInParallel(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		code := g.codeOf()
		var ok atomic.Int32
		parallel(100, func() {
			status, body := g.exchange(code)
			if status == 200 {
				ok.Add(1)
				return
			}
			wants(t, status, body, 400, "invalid_grant")
		})
		if ok.Load() != 1 {
			t.Errorf("%d answers", ok.Load())
		}
	})
}

func TestOneRefreshTokenInParallel(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		token := g.tokens()["refresh_token"].(string)
		var answers []map[string]any
		var mu sync.Mutex
		parallel(100, func() {
			status, body := g.refresh(token)
			if status == 200 {
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, body)
				return
			}
			wants(t, status, body, 400, "invalid_grant")
		})
		if len(answers) > 1 {
			t.Fatalf("%d answers", len(answers))
		}
		for _, a := range answers { // the family is dead
			status, body := g.refresh(a["refresh_token"].(string))
			wants(t, status, body, 400, "invalid_grant")
		}
	})
}

func parallel(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func TestRefresh(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		first := g.tokens()
		g.shift(5 * time.Minute)
		status, second := g.refresh(first["refresh_token"].(string))
		if status != 200 || second["refresh_token"] == first["refresh_token"] {
			t.Fatal(status, second)
		}
		a, b := g.claims(first["id_token"]), g.claims(second["id_token"])
		if a["auth_time"] != b["auth_time"] || a["iat"] == b["iat"] || b["nonce"] != nil || a["sid"] != b["sid"] {
			t.Errorf("first %v\nsecond %v", a, b)
		}
		if status, _ := g.userinfo(first["access_token"].(string)); status != 401 {
			t.Error("the old access token still works")
		}
		if status, _ := g.userinfo(second["access_token"].(string)); status != 200 {
			t.Error("the new access token does not work")
		}
		// The old one again: whoever has the new one is cut off as well.
		status, body := g.refresh(first["refresh_token"].(string))
		wants(t, status, body, 400, "invalid_grant")
		status, body = g.refresh(second["refresh_token"].(string))
		wants(t, status, body, 400, "invalid_grant")
	})
}

func TestStatementsOfARefresh(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		token := g.tokens()["refresh_token"].(string)
		ran := g.statements(func() { g.refresh(token) })
		if diff := cmp.Diff([]string{"Grant", "Person", "RotateGrant"}, ran); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRefreshTokenLifetime(t *testing.T) {
	laterOn(t, func(t *testing.T, g *rig) {
		const day = 24 * time.Hour
		token := g.tokens()["refresh_token"].(string)
		for range 3 { // sliding: 29, 58, 87 days
			g.shift(29 * day)
			status, body := g.refresh(token)
			if status != 200 {
				t.Fatal(status, body)
			}
			token = body["refresh_token"].(string)
		}
		g.shift(3*day + time.Minute) // but for no longer than 90
		status, body := g.refresh(token)
		wants(t, status, body, 400, "invalid_grant")

		token = g.tokens("prompt", "-")["refresh_token"].(string)
		g.shift(30 * day)
		status, body = g.refresh(token)
		wants(t, status, body, 400, "invalid_grant")
	})
}

func TestRefreshRefuses(t *testing.T) {
	tests := map[string]func(g *rig, token string) string{
		"truncated":                 func(_ *rig, s string) string { return s[:len(s)-1] },
		"padded":                    func(_ *rig, s string) string { return s + "=" },
		"case flipped":              func(_ *rig, s string) string { return strings.ToUpper(s[:8]) + s[8:] },
		"another spelling":          func(_ *rig, s string) string { return s[:len(s)-1] + string(s[len(s)-1]+1) },
		"an access token":           func(g *rig, _ string) string { return g.tokens()["access_token"].(string) },
		"made up for a known grant": func(_ *rig, s string) string { return s[:len(s)-8] + "AAAAAAAA" },
		"of a grant that never was": func(g *rig, _ string) string { return g.opaque.make(refreshPrefix, "NOBODYS", all) },
	}
	g := newRig(t)
	for name, spoil := range tests {
		token := g.tokens()["refresh_token"].(string)
		status, body := g.refresh(spoil(g, token))
		if status != 400 || body["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", name, status, body)
		}
		if status, body := g.refresh(token); status != 200 {
			t.Errorf("%s: the right token suffered: %v", name, body)
		}
	}
}

func TestRefreshEnds(t *testing.T) {
	tests := map[string]func(g *rig){
		"account disabled": func(g *rig) { _ = g.st.SetDisabled(g.tb.Context(), "ext-id", true, "test") },
		"reset":            func(g *rig) { g.void("ext-id") },
		"disabled there":   func(g *rig) { g.people.ext.Disabled = true },
		"gone there":       func(g *rig) { g.people.ext = nil },
	}
	for name, end := range tests {
		g := newRig(t)
		g.session = g.signIn("ext-id")
		token := g.tokens()["refresh_token"].(string)
		end(g)
		status, body := g.refresh(token)
		if status != 400 || body["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
}

// A session that ended, for whatever reason, gives nothing any more.
func TestCodeDiesWithItsSession(t *testing.T) {
	g := newRig(t)
	code := g.codeOf()
	g.void("ann-id")
	status, body := g.exchange(code)
	wants(t, status, body, 400, "invalid_grant")
}

func TestRefreshByAnotherClientHarmsNobody(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		first := g.tokens()["refresh_token"].(string)
		_, second := g.refresh(first)
		for _, token := range []string{first, second["refresh_token"].(string)} {
			status, body := g.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, "strict", "s3cret")
			wants(t, status, body, 400, "invalid_grant")
		}
		if status, body := g.refresh(second["refresh_token"].(string)); status != 200 {
			t.Error(status, body)
		}
	})
}

func TestRefreshNarrows(t *testing.T) {
	g := newRig(t)
	token := g.tokens()["refresh_token"].(string)
	status, narrow := g.refresh(token, "scope", "openid email")
	if status != 200 || narrow["scope"] != "openid email" {
		t.Fatal(status, narrow)
	}
	_, info := g.userinfo(narrow["access_token"].(string))
	if info["name"] != nil || info["email"] != "ann@example.com" {
		t.Error("userinfo by a narrow token:", info)
	}
	status, wide := g.refresh(narrow["refresh_token"].(string))
	if status != 200 || wide["scope"] != "openid profile email offline_access" {
		t.Error("the refresh token was narrowed, too:", status, wide)
	}
	status, without := g.refresh(wide["refresh_token"].(string), "scope", "email")
	if status != 200 || without["id_token"] != nil {
		t.Error("an ID token without openid:", status, without)
	}
	status, body := g.refresh(without["refresh_token"].(string), "scope", "openid phone")
	wants(t, status, body, 400, "invalid_scope")
	if status, body = g.refresh(without["refresh_token"].(string)); status != 200 {
		t.Error("refusing a scope used the token up:", status, body)
	}
}

func TestNoRefreshTokenWithoutOfflineAccess(t *testing.T) {
	g := newRig(t)
	body := g.tokens("scope", "openid")
	if body["refresh_token"] != nil || body["id_token"] == nil {
		t.Error(body)
	}
	body = g.tokens("scope", "profile") // OAuth without OpenID
	if body["id_token"] != nil || body["access_token"] == nil {
		t.Error(body)
	}
}

func TestStoreFaultsAreErrors(t *testing.T) {
	g := newRig(t)
	code := g.codeOf()
	g.flaky.down = http.ErrServerClosed
	status, body := g.exchange(code)
	wants(t, status, body, 500, "server_error")
	g.flaky.down = nil
	if status, body = g.exchange(code); status != 200 {
		t.Error("the fault used the code up:", status, body)
	}
	g.flaky.down = http.ErrServerClosed
	status, body = g.post("/revoke", url.Values{"token": {body["refresh_token"].(string)}}, "web", "s3cret")
	wants(t, status, body, 500, "server_error")
}
