package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/medximity/idp/flows/account"
)

// demoApps are three relying parties on one listener: the first at /, the second
// at /second/, and at /records/ one that wants two factors.
type demoApps struct {
	url    string
	http   net.Listener
	server *http.Server
}

func openDemoApps(issuer string, clients []clientDoc, addr string) (*demoApps, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	a := &demoApps{url: "http://" + l.Addr().String(), http: l}
	apps := []*demoApp{newDemoApp(issuer, a.url, "", clients[0]), newDemoApp(issuer, a.url, "/second", clients[1]),
		newDemoApp(issuer, a.url, "/records", clients[2]), newDemoApp(issuer, a.url, "/law", clients[3])}
	mux := http.NewServeMux()
	for _, app := range apps {
		app.others = slices.DeleteFunc(slices.Clone(apps), func(o *demoApp) bool { return o == app })
		mux.HandleFunc("GET "+app.base+"/{$}", app.show)
		mux.HandleFunc("GET "+app.base+"/signin", app.signIn)
		mux.HandleFunc("GET "+app.base+"/callback", app.callback)
		mux.HandleFunc("GET "+app.base+"/signout", app.signOut)
	}
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return a, nil
}

func (a *demoApps) serve() { _ = a.server.Serve(a.http) }

func (a *demoApps) close() { _, _ = a.server.Close(), a.http.Close() }

// demoApp is a relying party as go-oidc's documentation has it: code flow with
// PKCE, state and nonce, the ID token verified, userinfo asked.
type demoApp struct {
	name, base, issuer string
	oauth              oauth2.Config
	others             []*demoApp

	mu     sync.Mutex
	op     *oidc.Provider
	begun  map[string]attempt // sign-ins under way, by state
	people map[string][]told  // who is signed in, by cookie
}

// attempt is what the app must remember until the answer comes.
type attempt struct{ cookie, nonce, verifier string }

// told is one thing the app was told of somebody.
type told struct{ Name, Value string }

func newDemoApp(issuer, origin, base string, c clientDoc) *demoApp {
	scopes := c.Scopes
	if len(scopes) == 0 {
		scopes = []string{oidc.ScopeOpenID, "profile", "email", "address", "phone"}
	}
	return &demoApp{
		name: c.Name, base: base, issuer: issuer,
		oauth: oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: origin + base + "/callback",
			Scopes: scopes},
		begun: map[string]attempt{}, people: map[string][]told{},
	}
}

// cookie names differ: ports do not keep cookies apart.
func (a *demoApp) cookie() string { return a.oauth.ClientID }

func (a *demoApp) show(w http.ResponseWriter, r *http.Request) { a.page(w, r, "") }

func (a *demoApp) page(w http.ResponseWriter, r *http.Request, problem string) {
	var claims []told
	if c, err := r.Cookie(a.cookie()); err == nil {
		a.mu.Lock()
		claims = a.people[c.Value]
		a.mu.Unlock()
	}
	showDemo(w, appPage, struct {
		Name, Base, Issuer, Problem string
		Others                      []told
		Claims                      []told
	}{a.name, a.base, a.issuer, problem, a.links(), claims})
}

// links lead to the other apps.
func (a *demoApp) links() []told {
	var out []told
	for _, o := range a.others {
		out = append(out, told{o.name, o.base + "/"})
	}
	return out
}

// signIn sends the browser to Medximity ID.
func (a *demoApp) signIn(w http.ResponseWriter, r *http.Request) {
	conf, _, err := a.discovered(r.Context())
	if err != nil {
		a.page(w, r, err.Error())
		return
	}
	state := account.NewSecret()
	one := attempt{cookie: account.NewSecret(), nonce: account.NewSecret(), verifier: oauth2.GenerateVerifier()}
	a.mu.Lock()
	if len(a.begun) > 1000 {
		clear(a.begun) // a demo keeps no more than that
	}
	a.begun[state] = one
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: a.cookie(), Value: one.cookie, Path: a.base + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	options := []oauth2.AuthCodeOption{oidc.Nonce(one.nonce), oauth2.S256ChallengeOption(one.verifier)}
	for _, name := range []string{"acr_values", "max_age", "prompt"} { // to try them out
		if v := r.FormValue(name); v != "" {
			options = append(options, oauth2.SetAuthURLParam(name, v))
		}
	}
	http.Redirect(w, r, conf.AuthCodeURL(state, options...), http.StatusSeeOther)
}

// callback takes the answer. Whoever follows somebody else's answer has not
// their cookie (RFC 9700 section 4.7).
func (a *demoApp) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a.mu.Lock()
	one, ok := a.begun[q.Get("state")]
	delete(a.begun, q.Get("state"))
	a.mu.Unlock()
	c, err := r.Cookie(a.cookie())
	switch {
	case !ok || err != nil || c.Value != one.cookie:
		a.page(w, r, "This answer is not for a sign-in of this browser.")
		return
	case q.Get("error") != "":
		a.page(w, r, q.Get("error")+": "+q.Get("error_description"))
		return
	case q.Get("iss") != a.issuer: // RFC 9207 section 2.4
		a.page(w, r, "The answer is from somebody else.")
		return
	}
	claims, err := a.redeem(r.Context(), q.Get("code"), one)
	if err != nil {
		a.page(w, r, err.Error())
		return
	}
	a.mu.Lock()
	if len(a.people) > 1000 {
		clear(a.people)
	}
	a.people[one.cookie] = claims
	a.mu.Unlock()
	http.Redirect(w, r, a.base+"/", http.StatusSeeOther)
}

// redeem changes the code for tokens, verifies them and asks userinfo.
func (a *demoApp) redeem(ctx context.Context, code string, one attempt) ([]told, error) {
	conf, op, err := a.discovered(ctx)
	if err != nil {
		return nil, err
	}
	token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(one.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := op.Verifier(&oidc.Config{ClientID: conf.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != one.nonce {
		return nil, errors.New("the ID token is for another sign-in")
	}
	info, err := op.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	if info.Subject != id.Subject { // OIDC Core section 5.3.2
		return nil, errors.New("userinfo is about somebody else")
	}
	claims := map[string]json.RawMessage{}
	if err := info.Claims(&claims); err != nil {
		return nil, err
	}
	var how struct {
		ACR  string   `json:"acr"`
		AMR  []string `json:"amr"`
		Time int64    `json:"auth_time"`
	}
	if err := id.Claims(&how); err != nil {
		return nil, err
	}
	out := []told{{"acr", how.ACR}, {"amr", strings.Join(how.AMR, " ")}, {"auth_time", time.Unix(how.Time, 0).UTC().Format(time.RFC3339)}}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		text := string(claims[name])
		_ = json.Unmarshal(claims[name], &text) // what is no text stays as it is
		out = append(out, told{name, text})
	}
	return out, nil
}

// discovered reads the provider's metadata, once it answers.
func (a *demoApp) discovered(ctx context.Context) (oauth2.Config, *oidc.Provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.op == nil {
		op, err := oidc.NewProvider(context.WithoutCancel(ctx), a.issuer)
		if err != nil {
			return oauth2.Config{}, nil, err
		}
		a.op, a.oauth.Endpoint = op, op.Endpoint()
	}
	return a.oauth, a.op, nil
}

func (a *demoApp) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(a.cookie()); err == nil {
		a.mu.Lock()
		delete(a.people, c.Value)
		a.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: a.cookie(), Path: a.base + "/", MaxAge: -1})
	http.Redirect(w, r, a.base+"/", http.StatusSeeOther)
}
