package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// push pushes a request as the client "web" and returns its request_uri.
func (g *rig) pushes(change ...string) string {
	g.tb.Helper()
	status, body := g.post("/par", ask(change...), "web", "s3cret")
	uri, _ := body["request_uri"].(string)
	if status != http.StatusCreated || !strings.HasPrefix(uri, pushedPrefix) {
		g.tb.Fatalf("push: %d %v", status, body)
	}
	return uri
}

// brings is the browser bringing a request_uri.
func (g *rig) brings(uri string, more ...string) *httptest.ResponseRecorder {
	return g.get(set(url.Values{"client_id": {"web"}, "request_uri": {uri}}, more))
}

func TestPushedRequest(t *testing.T) {
	g := newRig(t)
	w := g.do(func() *http.Request {
		r := httptest.NewRequest("POST", "/par", strings.NewReader(ask("code_challenge", challenge, "code_challenge_method", "S256").Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("web", "s3cret")
		return r
	}())
	body := decode(t, w)
	if w.Code != http.StatusCreated || body["expires_in"] != 90.0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %v", w.Code, body, w.Header())
	}
	uri := body["request_uri"].(string)
	if len(uri) < len(pushedPrefix)+26 || len(uri) > 512 {
		t.Errorf("request_uri is %q", uri) // RFC 9126 section 7.1
	}
	q := answered(t, g.brings(uri))
	if q.Get("state") != "st4te" || q.Get("iss") != testIssuer {
		t.Errorf("answered %v", q)
	}
	status, tokens := g.exchange(q.Get("code"), "code_verifier", verifier)
	if status != http.StatusOK || g.claims(tokens["id_token"])["nonce"] != "n" {
		t.Errorf("%d %v", status, tokens)
	}
}

// What the browser brings beside the name of the request is nothing (RFC 9126
// section 4): neither does it change what was pushed, nor add to it.
func TestPushedRequestAlone(t *testing.T) {
	g := newRig(t)
	uri := g.pushes("nonce", "-", "scope", "openid")
	w := g.brings(uri, "nonce", "injected", "state", "other", "scope", "openid email offline_access", "prompt", "login", "max_age", "0",
		"code_challenge", challenge, "code_challenge_method", "S256", "response_mode", "form_post", "redirect_uri", "https://evil.example/",
		"claims", `{"id_token":{"email":null}}`, "login_hint", "eve")
	q := answered(t, w)
	if !strings.HasPrefix(w.Header().Get("Location"), testCB+"?") || q.Get("state") != "st4te" {
		t.Fatalf("answered to %s", w.Header().Get("Location"))
	}
	status, body := g.exchange(q.Get("code")) // with no verifier
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	claims := g.claims(body["id_token"])
	if claims["nonce"] != nil || claims["email"] != nil || body["refresh_token"] != nil || body["scope"] != "openid" {
		t.Errorf("the browser added to it: %v, %v", body, claims)
	}
}

// Nothing by which the app authenticated is kept.
func TestPushedSecretsAreNotKept(t *testing.T) {
	g := newRig(t)
	status, body := g.post("/par", ask("client_secret", "s3cret", "x", "y"))
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, body)
	}
	kept, err := g.st.Pushed(t.Context(), account.HashSecret(body["request_uri"].(string)), "web")
	if err != nil || kept != ask().Encode() {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func TestPushErrors(t *testing.T) {
	g := newRig(t)
	g.signing("ES256")
	for name, c := range map[string]struct {
		form   url.Values
		auth   []string
		status int
		want   string
	}{
		"no client":            {ask("client_id", "-"), nil, 401, "invalid_client"},
		"no secret":            {ask(), nil, 401, "invalid_client"},
		"a wrong secret":       {ask(), []string{"web", "no"}, 401, "invalid_client"},
		"another's name":       {ask("client_id", "strict"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"a request_uri":        {ask("request_uri", pushedPrefix+"x"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"a request object":     {ask("request", "x.y."), []string{"web", "s3cret"}, 400, "request_not_supported"},
		"a foreign redirect":   {ask("redirect_uri", "https://evil.example/"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"no redirect":          {ask("redirect_uri", "-"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"no response_type":     {ask("response_type", "-"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"the implicit flow":    {ask("response_type", "token"), []string{"web", "s3cret"}, 400, "unsupported_response_type"},
		"a foreign scope":      {ask("scope", "openid charts:read"), []string{"web", "s3cret"}, 400, "invalid_scope"},
		"no challenge":         {ask("client_id", "strict"), []string{"strict", "s3cret"}, 400, "invalid_request"},
		"a plain challenge":    {ask("code_challenge", challenge, "code_challenge_method", "plain"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"an unknown prompt":    {ask("prompt", "pay"), []string{"web", "s3cret"}, 400, "invalid_request"},
		"a client of programs": {ask("client_id", "robot"), []string{"robot", "s3cret"}, 400, "unauthorized_client"},
		"too much":             {ask("claims_locales", strings.Repeat("x", 20<<10)), []string{"web", "s3cret"}, 400, "invalid_request"},
		"a foreign assertion": {asserting(ask("client_id", "-"), signed(t, "ES256", theKeys()["ES256"], head{}, g.good("aud", "https://id.example"))),
			nil, 401, "invalid_client"},
	} {
		status, body := g.post("/par", c.form, c.auth...)
		if status != c.status || body["error"] != c.want || body["request_uri"] != nil {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	r := httptest.NewRequest("POST", "/par?client_id=web&client_secret=s3cret", strings.NewReader(ask("client_id", "-").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := g.do(r); w.Code != http.StatusUnauthorized {
		t.Errorf("a secret in the query: %d %s", w.Code, w.Body)
	}
	if w := g.do(httptest.NewRequest("GET", "/par?"+ask().Encode(), nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	status, body := g.post("/par", asserting(ask("client_id", "-", "scope", "openid"), signed(t, "ES256", theKeys()["ES256"], head{}, g.good("aud", testIssuer+"/par"))))
	if status != http.StatusCreated { // RFC 9126 section 2
		t.Errorf("an assertion for /par: %d %v", status, body)
	}
}

// A pushed request is answered once, to the client that pushed it, in time. A
// look does not use it up, nor does somebody who tries with another client.
func TestPushedOnce(t *testing.T) {
	g := newRig(t)
	stale := func(name string, w *httptest.ResponseRecorder) {
		t.Helper()
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "invalid_request_uri") {
			t.Errorf("%s: %d %s %s", name, w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	uri := g.pushes()
	stale("another client", g.brings(uri, "client_id", "broker"))
	stale("made up", g.brings(pushedPrefix+"AAAAAAAAAAAAAAAAAAAAAAAAAA"))
	if w := g.get(url.Values{"client_id": {"web"}, "request_uri": {uri, uri}}); w.Code != http.StatusBadRequest {
		t.Errorf("twice: %d", w.Code)
	}
	if w := g.get(url.Values{"request_uri": {uri}}); w.Code != http.StatusBadRequest {
		t.Errorf("of nobody: %d", w.Code)
	}
	signedIn := g.session
	g.session = nil
	for range 2 { // the page, reloaded
		if w := g.brings(uri); w.Code != http.StatusTeapot {
			t.Errorf("the sign-in page: %d %s", w.Code, w.Body)
		}
	}
	g.session = signedIn
	if q := answered(t, g.brings(uri)); q.Get("code") == "" {
		t.Error(q)
	}
	stale("answered", g.brings(uri))

	if err := g.st.Push(t.Context(), account.HashSecret(pushedPrefix+"late"), "web", ask().Encode(), g.Now()); err != nil {
		t.Fatal(err)
	}
	stale("late", g.brings(pushedPrefix+"late"))
	if q := answered(t, g.get(ask("request_uri", "https://app.example/request.jwt"))); q.Get("error") != "request_uri_not_supported" {
		t.Errorf("another kind of request_uri: %v", q)
	}
}

// A sign-in that a pushed request led to may take longer than the request is
// good; its answer, given twice after a double click, is one visit's.
func TestPushedVisit(t *testing.T) {
	g := newRig(t)
	signedIn := g.session
	g.session = nil
	uri := g.pushes("prompt", "login")
	g.brings(uri)
	g.brings(uri)
	for i := range g.began {
		g.began[i].Arrived = g.began[i].Arrived.Add(-30 * time.Minute)
	}
	resume := func(i int) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		if err := g.resume(w, httptest.NewRequest("GET", "/", nil), g.began[i], signedIn); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		return w
	}
	for range 2 {
		if q := answered(t, resume(0)); q.Get("code") == "" || q.Get("state") != "st4te" {
			t.Errorf("the visit that signed in: %v", q)
		}
	}
	if w := resume(1); !strings.Contains(w.Body.String(), "invalid_request_uri") {
		t.Errorf("another visit: %d %s", w.Code, w.Header().Get("Location"))
	}
	g.brings(g.pushes())
	g.began[2].Arrived = g.began[2].Arrived.Add(-pushedAtMost)
	if w := resume(2); !strings.Contains(w.Body.String(), "invalid_request_uri") {
		t.Errorf("a day later: %d %s", w.Code, w.Header().Get("Location"))
	}
}

// Clients registered so are not answered otherwise (RFC 9126 section 6).
func TestPushedOnly(t *testing.T) {
	g := newRig(t)
	g.change("web", func(c *store.Client) { c.PushedOnly = true })
	if q := answered(t, g.get(ask())); q.Get("error") != "invalid_request" || q.Get("state") != "st4te" {
		t.Errorf("not pushed: %v", q)
	}
	if q := answered(t, g.brings(g.pushes())); q.Get("code") == "" {
		t.Errorf("pushed: %v", q)
	}
}

// Apps without a secret may push, but not fill the store.
func TestPushesOfStrangersAreLimited(t *testing.T) {
	g := newRig(t)
	form := ask("client_id", "spa", "code_challenge", challenge, "code_challenge_method", "S256")
	counts := map[int]int{}
	for range pushesAtMost + 1 {
		status, _ := g.post("/par", form)
		counts[status]++
	}
	if diff := cmp.Diff(map[int]int{http.StatusCreated: pushesAtMost, http.StatusTooManyRequests: 1}, counts); diff != "" {
		t.Error(diff)
	}
	g.pushes() // an app with one is not strangers
}

func TestPushedStatements(t *testing.T) {
	g := newRig(t)
	uri := g.pushes() // and the client is known
	if diff := cmp.Diff([]string{"Push"}, g.statements(func() { uri = g.pushes() })); diff != "" {
		t.Error("push:", diff)
	}
	if diff := cmp.Diff([]string{"Pushed", "UsePushed"}, g.statements(func() { g.brings(uri) })); diff != "" {
		t.Error("answer:", diff)
	}
}

// A person signs in for a pushed request, through the pages: slowly, and with a
// second click on the last button.
func TestSignInForPushedRequest(t *testing.T) {
	h := newHouse(t, "http://127.0.0.1")
	app := h.browser()
	pushed := app.post("/par", "client_id", "app", "client_secret", clientSecret, "redirect_uri", "https://app.example/cb",
		"response_type", "code", "scope", "openid", "state", "s", "code_challenge", challenge, "code_challenge_method", "S256")
	_, uri, _ := strings.Cut(pushed.text, `"request_uri":"`)
	uri, _, _ = strings.Cut(uri, `"`)
	b := h.browser()
	page := b.get("/authorize?client_id=app&request_uri=" + url.QueryEscape(uri))
	flow := hiddenFlow.FindStringSubmatch(page.text)
	if flow == nil {
		t.Fatalf("%d %s", page.StatusCode, page.text)
	}
	if strings.Contains(page.Request.URL.String(), "state") {
		t.Errorf("the browser is sent on with what was pushed: %s", page.Request.URL)
	}
	h.inDB("UPDATE pushed_requests SET expires_at = 1") // the page lay open
	to := b.signIn(page, "grace", rightPassword).Header.Get("Location")
	if !strings.HasPrefix(to, "https://app.example/cb?code=") || !strings.Contains(to, "state=s") {
		t.Fatalf("answered to %q", to)
	}
	second := b.get("/login/continue?flow=" + url.QueryEscape(flow[1])).Header.Get("Location")
	if !strings.HasPrefix(second, "https://app.example/cb?code=") {
		t.Errorf("the second click: %q", second)
	}
	late := b.get("/authorize?client_id=app&request_uri=" + url.QueryEscape(uri))
	if late.StatusCode != http.StatusBadRequest || !strings.Contains(late.text, "Go back to the app") {
		t.Errorf("the address once more: %d %s", late.StatusCode, late.text)
	}
}
