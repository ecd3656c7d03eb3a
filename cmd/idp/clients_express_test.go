package main

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"testing"
)

// Apps on Express, as most of its users write them, and a person who uses them:
// each has /login, /refresh, /logout, and /stale, which tries the refresh token
// that it held last.

func TestExpressOpenIDConnect(t *testing.T) {
	s, app := expressApp(t, "express-openid-connect.mjs", map[string]any{"require_pushed_authorization_requests": true})
	p := s.person()
	useExpressApp(s, p, app)

	// The app was told of that logout, too. It takes a logout token to be about
	// whoever signs in next as well, so they had better wait.
	eventually(t, "the app to be told", func() bool { return p.visit(app+"/told").words() == "told 1" })

	// Signing out at the provider signs out of the app, which is told by the server.
	p.visit(app + "/login")
	p.signIn(s.grace().Email, s.grace().Password)
	p.sees("signed in as " + s.grace().Email)
	p.visit(s.Issuer + "/logout")
	p.press("Sign Out", nil)
	p.sees("You are signed out")
	eventually(t, "the app's session to end", func() bool {
		return p.visit(app+"/").words() == "signed out"
	})
}

func TestPassportOpenIDConnect(t *testing.T) {
	s, app := expressApp(t, "passport-openidconnect.mjs", map[string]any{"pkce": "optional"})
	useExpressApp(s, s.person(), app)
}

// expressApp runs an app of testdata/node, registered at a server of its own as
// all of them are and as this one needs.
func expressApp(t *testing.T, script string, needs map[string]any) (s *deployed, app string) {
	t.Helper()
	needNode(t)
	const secret = "a secret that only this test ever has"
	at := freeAddress(t)
	app = "http://" + at
	client := map[string]any{"id": "express", "secret": secret,
		"redirect_uris": []string{app + "/callback"}, "post_logout_redirect_uris": []string{app},
		"backchannel_logout_uri": app + "/backchannel-logout"}
	maps.Copy(client, needs)
	s = deploy(t, client)
	job, err := json.Marshal(map[string]string{"issuer": s.Issuer, "client": "express", "secret": secret, "at": at})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, string(job))
	cmd.Dir = filepath.Join("testdata", "node")
	cmd.Env = append(environ(), "NODE_EXTRA_CA_CERTS="+s.ca.file)
	launch(t, cmd).firstLine(t)
	return s, app
}

// useExpressApp signs in, refreshes and signs out.
func useExpressApp(s *deployed, p *person, app string) {
	s.t.Helper()
	p.visit(app + "/")
	p.sees("signed out")
	p.visit(app + "/login")
	p.signIn(s.grace().Email, s.grace().Password)
	p.sees("signed in as " + s.grace().Email)
	p.visit(app + "/refresh")
	p.sees("refreshed: userinfo is 401 with the old token, 200 with the new one")
	p.visit(app + "/logout")
	if at := p.page.url.String(); at != app+"/" && at != app {
		s.t.Errorf("signing out led to %s", at)
	}
	p.sees("signed out")
	p.visit(app + "/quiet")
	p.sees("login_required")
	p.visit(app + "/stale")
	p.sees("invalid_grant")
}
