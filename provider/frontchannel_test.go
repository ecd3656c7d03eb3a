package provider

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/store"
)

var frameSrc = regexp.MustCompile(`<iframe src="([^"]*)"`)

// framesOn are the addresses of a page's frames.
func framesOn(a answer) (all []string) {
	for _, m := range frameSrc.FindAllStringSubmatch(a.text, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

// newFramedRig has apps that are told in frames, one of them and a deaf one
// entered in another browser, too.
func newFramedRig(t *testing.T) (g *logoutRig, want []string) {
	t.Helper()
	g = newLogoutRig(t, "https://id.example/base")
	g.app("app", func(c *store.Client) {
		c.PostLogoutURIs, c.FrontchannelLogoutURI = []string{bye}, "https://app.example/frame?x=1"
	})
	g.app("deaf", func(*store.Client) {})
	g.app("desk", func(c *store.Client) { c.FrontchannelLogoutURI = "https://desk.example/frame" })
	g.app("elsewhere", func(c *store.Client) { c.FrontchannelLogoutURI = "https://elsewhere.example/frame" })
	g.idToken(g.person, "deaf")
	g.idToken(g.person, "desk")
	other := g.browser()
	other.signIn(other.authorize(""), "grace", rightPassword)
	g.idToken(other, "elsewhere")
	said := url.Values{"iss": {g.issuer}, "sid": {partOf(t, g.hint, 1)["sid"].(string)}}.Encode()
	return g, []string{"https://app.example/frame?x=1&" + said, "https://desk.example/frame?" + said}
}

// oidcc-frontchannel-rp-initiated-logout: a frame for each app of the session,
// with iss and sid and nothing else, then on to where the app wants.
func TestFrontChannelLogout(t *testing.T) {
	g, want := newFramedRig(t)
	a := g.end("id_token_hint", g.hint, "post_logout_redirect_uri", bye, "state", "a b")
	if diff := cmp.Diff(want, framesOn(a)); diff != "" || a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, diff)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "; frame-src https://app.example https://desk.example; base-uri") {
		t.Error(csp)
	}
	if to := a.Header.Get("Refresh"); to != "3;url="+bye+"&state=a+b" {
		t.Errorf("refresh to %s", to)
	}
	if !strings.Contains(html.UnescapeString(a.text), `href="`+bye+`&state=a+b">Continue`) {
		t.Error("no way on without it", a.text)
	}
	if g.signedIn() {
		t.Error("signed in yet")
	}
	// Once it is over there is nobody to tell.
	g.leads(g.end("id_token_hint", g.hint, "post_logout_redirect_uri", bye), bye)
}

// Signing out by the person alone tells the apps too, and leads nowhere.
func TestFrontChannelLogoutFromOurPages(t *testing.T) {
	g, want := newFramedRig(t)
	if a := g.get("/logout"); len(framesOn(a)) > 0 || strings.Contains(a.Header.Get("Content-Security-Policy"), "frame-src") {
		t.Error("told before anything was")
	}
	a := g.post("/logout")
	if diff := cmp.Diff(want, framesOn(a)); diff != "" || a.Header.Get("Refresh") != "" || !strings.Contains(a.text, `href="/base/login"`) {
		t.Error(diff, a.Header)
	}
}

// An app may throw its tokens away and keep the person signed in: it needs none
// once it knows who they are. It is told as any other.
func TestFrontChannelLogoutOfAnAppWithoutTokens(t *testing.T) {
	g, want := newFramedRig(t)
	g.app("thrifty", func(c *store.Client) { c.FrontchannelLogoutURI = "https://thrifty.example/frame" })
	_, access := g.enter(g.person, "thrifty")
	if a := g.post("/revoke", "token", access, "client_id", "thrifty", "client_secret", clientSecret); a.StatusCode != http.StatusOK {
		t.Fatal(a.StatusCode, a.text)
	}
	_, said, _ := strings.Cut(want[1], "?")
	a := g.end("id_token_hint", g.hint)
	if diff := cmp.Diff(append(want, "https://thrifty.example/frame?"+said), framesOn(a)); diff != "" {
		t.Error(diff)
	}
}
