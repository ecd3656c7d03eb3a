package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// toldApp is an app that is told of a logout in every way there is.
type toldApp struct {
	*httptest.Server
	frames chan url.Values // queries of /frame
	posts  chan url.Values // forms to /back
}

func newToldApp(t *testing.T) *toldApp {
	a := &toldApp{frames: make(chan url.Values, 10), posts: make(chan url.Values, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cb", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "signed in to the app") })
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the app says goodbye") })
	mux.HandleFunc("GET /frame", func(_ http.ResponseWriter, r *http.Request) { a.frames <- r.URL.Query() })
	mux.HandleFunc("POST /back", func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		a.posts <- r.PostForm
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *toldApp) client() store.Client {
	return store.Client{ID: "told", Name: "Told", SecretHash: account.HashSecret("secret"), PKCEOptional: true,
		RedirectURIs: []string{a.URL + "/cb"}, PostLogoutURIs: []string{a.URL + "/bye"},
		BackchannelLogoutURI: a.URL + "/back", FrontchannelLogoutURI: a.URL + "/frame"}
}

// idToken redeems the code that the browser brought.
func (a *toldApp) idToken(t *testing.T, issuer, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm(issuer+"/token", url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")},
		"redirect_uri": {a.URL + "/cb"}, "client_id": {"told"}, "client_secret": {"secret"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		ID string `json:"id_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.ID == "" {
		t.Fatal(resp.Status, err)
	}
	return got.ID
}

func arrived(t *testing.T, what string, from chan url.Values) url.Values {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("never came: " + what)
		return nil
	}
}

// An app signs somebody out, in a browser with and without JavaScript: it is told
// in its frame and by the server, and the browser comes back to it by itself.
func TestLogoutInABrowser(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d, err := newDemo(ctx, demoFlags{addr: "127.0.0.1:0", data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- d.run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.close()
	}()
	a := newToldApp(t)
	if err := d.house.store.PutClient(ctx, a.client(), "test"); err != nil {
		t.Fatal(err)
	}
	who := demoPeople()[0]
	for name, scripts := range map[string]bool{"with JavaScript": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			c := openChromium(t, 1280, scripts)
			c.open(d.issuer + "/authorize?" + url.Values{"client_id": {"told"}, "redirect_uri": {a.URL + "/cb"},
				"response_type": {"code"}, "scope": {"openid"}}.Encode())
			c.fill("identifier", who.Username)
			c.fill("password", who.Password)
			c.click("#submit")
			c.sees("signed in to the app")
			hint := a.idToken(t, d.issuer, c.url())
			c.open(d.issuer + "/end-session?" + url.Values{"id_token_hint": {hint}, "state": {"a b"},
				"post_logout_redirect_uri": {a.URL + "/bye"}}.Encode())
			c.sees("You are signed out", "We have told your apps")
			frame, post := arrived(t, "the frame", a.frames), arrived(t, "the logout token", a.posts)
			op, err := oidc.NewProvider(ctx, d.issuer)
			if err != nil {
				t.Fatal(err)
			}
			token, err := op.Verifier(&oidc.Config{ClientID: "told"}).VerifyLogout(ctx, post.Get("logout_token"))
			if err != nil {
				t.Fatal(err)
			}
			if frame.Get("iss") != d.issuer || frame.Get("sid") == "" || frame.Get("sid") != token.SessionID || len(frame) != 2 {
				t.Errorf("the frame was told %v, the server %q", frame, token.SessionID)
			}
			eventually(t, "the way back to the app", func() bool { return strings.HasPrefix(c.url(), a.URL) })
			c.sees("the app says goodbye")
			if to := a.URL + "/bye?state=a+b"; c.url() != to {
				t.Errorf("at %s, not %s", c.url(), to)
			}
		})
	}
}
