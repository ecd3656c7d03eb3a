package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// listener is a relying party that waits for logout tokens.
type listener struct {
	*httptest.Server
	forms chan url.Values
}

func newListener(t testing.TB, answer http.HandlerFunc) *listener {
	l := &listener{forms: make(chan url.Values, 10)}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.RawQuery != "x=1" || len(r.Cookies()) > 0 {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		l.forms <- r.PostForm
		answer(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) uri() string { return l.URL + "/backchannel?x=1" }

// partOf decodes a part of a JWT.
func partOf(t testing.TB, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// oidcc-backchannel-rp-initiated-logout: what arrives is a logout token as the
// specification has it, which a relying party verifies by our JWKS.
func TestBackChannelLogout(t *testing.T) {
	for _, engine := range storetest.Engines {
		for alg, subject := range map[string]string{"": "", "ES256": "pairwise"} {
			t.Run(engine+alg+subject, func(t *testing.T) {
				h := newHouseOn(t, "https://id.example/base", engine)
				l := newListener(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
				h.app("app", func(c *store.Client) {
					c.Algorithm, c.PostLogoutURIs, c.BackchannelLogoutURI, c.SubjectType = alg, []string{bye}, l.uri(), subject
				})
				stop, err := h.Work(t.Context())
				h.ok(err)
				defer func() { h.ok(stop(context.WithoutCancel(t.Context()))) }()
				g := &logoutRig{house: h, person: h.browser()}
				g.signIn(g.authorize(""), "grace", rightPassword)
				g.hint = g.idToken(g.person, "app")
				g.leads(g.end("id_token_hint", g.hint, "post_logout_redirect_uri", bye), bye)
				var form url.Values
				select {
				case form = <-l.forms:
				case <-time.After(20 * time.Second):
					t.Fatal("nothing came")
				}
				token := form.Get("logout_token")
				if len(form) != 1 || len(form["logout_token"]) != 1 {
					t.Errorf("%v", form)
				}
				ctx := gooidc.ClientContext(t.Context(), g.Client)
				op, err := gooidc.NewProvider(ctx, h.issuer)
				h.ok(err)
				told, err := op.Verifier(&gooidc.Config{ClientID: "app"}).VerifyLogout(ctx, token)
				h.ok(err)
				id, got := partOf(t, g.hint, 1), partOf(t, token, 1)
				if told.Subject != id["sub"] || got["sid"] != id["sid"] || got["iss"] != id["iss"] || got["aud"] != "app" {
					t.Errorf("%v of %v", got, id)
				}
				if header, want := partOf(t, token, 0), partOf(t, g.hint, 0); header["typ"] != "logout+jwt" || header["alg"] != want["alg"] || header["kid"] != want["kid"] {
					t.Errorf("header %v, of the ID token %v", header, want)
				}
				if diff := cmp.Diff(map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, got["events"]); diff != "" {
					t.Error(diff)
				}
				if got["nonce"] != nil || got["jti"] == "" || got["exp"].(float64)-got["iat"].(float64) != 120 || len(got) != 8 {
					t.Errorf("%v", got)
				}
				if a := g.end("id_token_hint", token, "post_logout_redirect_uri", bye); a.StatusCode != 400 {
					t.Error("a logout token passes for a hint")
				}
			})
		}
	}
}

// How an app answers decides whether it is told again; it is never followed
// anywhere, and what is logged of it does not say where it lives.
func TestAnswersToLogoutTokens(t *testing.T) {
	h := newHouse(t, "https://id.example")
	type outcome struct{ failed, final bool }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   outcome
	}{
		"200":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, outcome{}},
		"204":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, outcome{}},
		"endless": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, outcome{}},
		"400":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, outcome{true, true}},
		"429":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, outcome{true, false}},
		"503":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, outcome{true, false}},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/backchannel?x=1", http.StatusTemporaryRedirect)
		}, outcome{true, true}},
		"hanging up":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outcome{true, false}},
		"saying naught": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, outcome{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newListener(t, tt.answer)
			h.app("app", func(c *store.Client) { c.BackchannelLogoutURI = l.uri() })
			quick := *h.oidc
			client, err := outgoing.Client([]string{"127.0.0.1"}, time.Second)
			h.ok(err)
			quick.Outgoing = client
			err = quick.tellApp(t.Context(), store.Logout{Client: "app", Account: "id-grace", SID: "s"})
			e, _ := errors.AsType[*notTold](err)
			if got := (outcome{err != nil, e != nil && e.Permanent()}); got != tt.want {
				t.Errorf("%+v: %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "backchannel") || strings.Contains(err.Error(), "grace")) {
				t.Error(err)
			}
			if n := len(l.forms); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// An app cannot have us reach what only we can reach.
func TestLogoutTokensStayOutside(t *testing.T) {
	h := newHouse(t, "https://id.example")
	client, err := outgoing.Client(nil, time.Second)
	h.ok(err)
	h.oidc.Outgoing = client
	l := newListener(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	h.app("app", func(c *store.Client) { c.BackchannelLogoutURI = l.uri() })
	err = h.oidc.tellApp(t.Context(), store.Logout{Client: "app", Account: "id-grace", SID: "s"})
	if e, ok := errors.AsType[*notTold](err); !ok || !e.Permanent() || !errors.Is(err, outgoing.ErrRefused) {
		t.Error(err)
	}
	h.app("app", func(*store.Client) {})
	for _, app := range []string{"app", "gone"} {
		h.ok(h.oidc.tellApp(t.Context(), store.Logout{Client: app, Account: account.ID("id-grace"), SID: "s"}))
	}
}
