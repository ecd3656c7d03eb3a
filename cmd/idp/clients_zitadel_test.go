package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
)

// zitadelApp is an app on zitadel/oidc's relying party, with the library's own
// handlers: state and PKCE are in its cookies.
type zitadelApp struct {
	*httptest.Server
	rp.RelyingParty
	nonce   string // that the next ID token must have
	arrived chan arrival
}

// arrival is somebody who came to the app.
type arrival struct {
	tokens *zitadel.Tokens[*zitadel.IDTokenClaims]
	info   *zitadel.UserInfo
}

func newZitadelApp(t *testing.T, d *demo) *zitadelApp {
	t.Helper()
	a := &zitadelApp{nonce: "nonce-of-the-app", arrived: make(chan arrival, 1)}
	mux := http.NewServeMux()
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	key := []byte("32 bytes for the app's cookies..")
	cookies := httphelper.NewCookieHandler(key, key, httphelper.WithUnsecure()) // http on loopback
	var err error
	a.RelyingParty, err = rp.NewRelyingPartyOIDC(t.Context(), d.Issuer, d.Clients[0].ID, d.Clients[0].Secret,
		a.URL+"/callback", []string{"openid", "profile", "email", "offline_access"},
		rp.WithCookieHandler(cookies), rp.WithPKCE(cookies), rp.WithSigningAlgsFromDiscovery(),
		rp.WithVerifierOpts(rp.WithNonce(func(context.Context) string { return a.nonce })))
	if err != nil {
		t.Fatal(err)
	}
	state := func() string { return "state-of-the-app" }
	nonce := rp.WithURLParam("nonce", a.nonce)
	mux.Handle("GET /signin", rp.AuthURLHandler(state, a, nonce))
	mux.Handle("GET /quiet", rp.AuthURLHandler(state, a, nonce, rp.WithPromptURLParam("none")))
	mux.Handle("GET /callback", rp.CodeExchangeHandler(rp.UserinfoCallback(a.welcome), a))
	return a
}

func (a *zitadelApp) welcome(w http.ResponseWriter, _ *http.Request, tokens *zitadel.Tokens[*zitadel.IDTokenClaims],
	_ string, _ rp.RelyingParty, info *zitadel.UserInfo) {
	a.arrived <- arrival{tokens, info}
	_, _ = w.Write([]byte("welcome to the app"))
}

// TestZitadelRP signs somebody in, refreshes, and signs them out as this library
// does it: by a request of its own, which the browser is not part of.
func TestZitadelRP(t *testing.T) {
	d := startDemo(t)
	a, p := newZitadelApp(t, d), newPerson(t)
	p.visit(a.URL + "/signin")
	p.signIn(d.grace().Email, d.grace().Password)
	p.sees("welcome to the app")
	who := <-a.arrived
	if who.info.Email != d.grace().Email || !bool(who.info.EmailVerified) {
		t.Errorf("userinfo %+v", who.info)
	}

	ctx := t.Context()
	a.nonce = "" // an ID token that was refreshed should have none (OpenID Connect Core section 12.2)
	fresh, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, a, who.tokens.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if fresh.RefreshToken == who.tokens.RefreshToken || fresh.IDTokenClaims.Subject != who.info.Subject {
		t.Error("refresh did not rotate, or is about somebody else")
	}
	_, err = rp.Userinfo[*zitadel.UserInfo](ctx, who.tokens.AccessToken, "Bearer", who.info.Subject, a)
	if err == nil {
		t.Error("the access token before the refresh still works")
	}

	back, err := rp.EndSession(ctx, a, fresh.IDToken, "http://127.0.0.1:9/", "a b&c", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://127.0.0.1:9/?state=a+b%26c"; back == nil || back.String() != want {
		t.Errorf("signing out leads to %v, not to %s", back, want)
	}
	p.visit(a.URL + "/quiet")
	p.sees("login_required")
	_, err = rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, a, fresh.RefreshToken, "", "")
	if err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("after signing out, the refresh token gave %v", err)
	}
}
