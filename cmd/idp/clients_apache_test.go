package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// apacheConf protects /app and lets everybody else in. What it protects is behind
// it, and believes the headers.
var apacheConf = template.Must(template.New("").Parse(`
ServerRoot "{{.Dir}}"
DefaultRuntimeDir "{{.Dir}}"
PidFile "{{.Dir}}/pid"
ErrorLog "{{.Dir}}/error.log"
LogLevel warn auth_openidc:info
ServerName 127.0.0.1
Listen {{.At}} https
StartServers 1
ThreadsPerChild 8
MinSpareThreads 8
MaxRequestWorkers 16
{{range .Modules}}LoadModule {{.}}_module /usr/lib/apache2/modules/mod_{{.}}.so
{{end}}
SSLEngine on
SSLCertificateFile "{{.Dir}}/cert.pem"
SSLCertificateKeyFile "{{.Dir}}/key.pem"

OIDCProviderMetadataURL {{.Issuer}}/.well-known/openid-configuration
OIDCCABundlePath "{{.Dir}}/ca.pem"
OIDCClientID {{.Client.ID}}
OIDCClientSecret {{.Client.Secret}}
OIDCRedirectURI https://{{.At}}/redirect_uri
OIDCPKCEMethod S256
OIDCScope "openid profile email offline_access"
OIDCCryptoPassphrase "the key of the cookies, of this test"
OIDCRemoteUserClaim preferred_username
OIDCAuthNHeader X-Remote-User
OIDCPassRefreshToken On

<LocationMatch "^/(app|redirect_uri)">
	AuthType openid-connect
	Require valid-user
</LocationMatch>
ProxyPass /redirect_uri !
ProxyPass / {{.Behind}}/
`))

var apacheModules = []string{"mpm_event", "authn_core", "authz_core", "authz_user", "socache_shmcb", "ssl", "proxy", "proxy_http", "auth_openidc"}

// apache is a site that Debian's mod_auth_openidc protects.
type apache struct {
	*deployed
	client demoClient
	url    string
	dir    string
	got    chan http.Header // what the app behind it was told
}

// newApache starts the site, registered with the flags.
func newApache(t *testing.T, s *deployed, flags ...string) *apache {
	t.Helper()
	at := freeAddress(t)
	a := &apache{deployed: s, url: "https://" + at, got: make(chan http.Header, 1)}
	behind := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(behind.Close)
	add := append([]string{"client", "add", "intranet", "--json", "--config", s.conf}, flags...)
	for i := range add {
		add[i] = strings.ReplaceAll(add[i], "SITE", a.url)
	}
	out, err := idp(t, add...)
	if err != nil || json.Unmarshal([]byte(out), &a.client) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.run(t, at, map[string]any{"At": at, "Issuer": s.Issuer, "Client": a.client, "Behind": behind.URL, "Modules": apacheModules})
	return a
}

// serve is the app behind it.
func (a *apache) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/app" {
		fmt.Fprint(w, "the front page")
		return
	}
	fmt.Fprintf(w, "%s, %s", r.Header.Get("X-Remote-User"), r.Header.Get("OIDC_CLAIM_email"))
	select {
	case <-a.got: // only what came last is of interest
	default:
	}
	a.got <- r.Header
}

// run starts Apache in a folder of its own: it refuses to serve as root.
func (a *apache) run(t *testing.T, at string, conf map[string]any) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/apache2/modules/mod_auth_openidc.so"); err != nil {
		t.Fatalf("%v: install apache2-bin and libapache2-mod-auth-openidc (.ci/test does)", err)
	}
	var err error
	// Not t.TempDir: Apache's user could not enter its parent.
	if a.dir, err = os.MkdirTemp("", "apache-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(a.dir) })
	a.ca.issue(t)
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		a.write(t, name, string(mustRead(t, filepath.Join(a.ca.dir, name))))
	}
	var text strings.Builder
	conf["Dir"] = a.dir
	if err := apacheConf.Execute(&text, conf); err != nil {
		t.Fatal(err)
	}
	a.write(t, "apache.conf", text.String())
	cmd := exec.Command("/usr/sbin/apache2", "-DFOREGROUND", "-f", filepath.Join(a.dir, "apache.conf"))
	cmd.SysProcAttr = a.servant(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Apache:\n%s", tail(string(mustRead(t, filepath.Join(a.dir, "error.log"))), 8000))
		}
	})
	launch(t, cmd)
	eventually(t, "Apache", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (a *apache) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// servant gives the folder and the process to nobody, if we are root.
func (a *apache) servant(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	for _, name := range []string{".", "ca.pem", "cert.pem", "key.pem", "apache.conf"} {
		if err := os.Chown(filepath.Join(a.dir, name), uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// signIn goes to the app, by way of the sign-in page, and returns what the app
// was told.
func (a *apache) signIn(p *person) http.Header {
	a.t.Helper()
	p.visit(a.url + "/app")
	p.signIn(a.grace().Email, a.grace().Password)
	return a.inside(p)
}

// inside wants the person to be in the app.
func (a *apache) inside(p *person) http.Header {
	a.t.Helper()
	if words := a.grace().Username + ", " + a.grace().Email; p.page.words() != words {
		a.t.Fatalf("not in the app but at %s (%d): %s", p.page.url, p.page.status, p.page.words())
	}
	return <-a.got
}

// outside wants the app to send the person to the sign-in page.
func (a *apache) outside(p *person) bool {
	a.t.Helper()
	p.visit(a.url + "/app")
	return strings.HasPrefix(p.page.url.String(), a.Issuer+"/login")
}

// A site behind Debian's mod_auth_openidc, registered as deploy/apps.md says:
// sign-in, refresh by its hook, and logout from either end.
func TestModAuthOpenIDC(t *testing.T) {
	a := newApache(t, deploy(t), "--preset", "mod-auth-openidc", "--at", "SITE")
	p := a.person()
	p.visit(a.url + "/")
	p.sees("the front page")
	before := a.signIn(p)

	hook := url.Values{"refresh": {a.url + "/app"}, "access_token": {before.Get("OIDC_access_token")}}
	p.visit(a.url + "/redirect_uri?" + hook.Encode())
	after := a.inside(p)
	if got := a.userinfo(before) + ", " + a.userinfo(after); got != "401 Unauthorized, 200 OK" {
		t.Error("userinfo with the access tokens before and after the refresh:", got)
	}

	p.visit(a.url + "/redirect_uri?" + url.Values{"logout": {a.url + "/"}}.Encode())
	p.sees("You are signed out")
	if to := p.page.header.Get("Refresh"); to != "3;url="+a.url+"/" {
		t.Errorf("the page of whoever signed out leads on to %q", to)
	}
	if !a.outside(p) {
		t.Errorf("signed out, and at %s", p.page.url)
	}
	if got := a.refresh(after); !strings.Contains(got, "invalid_grant") {
		t.Errorf("after signing out, the refresh token gave %s", got)
	}

	// The browser of this person loads no frames: only the server can have told the site.
	a.signIn(p)
	p.visit(a.Issuer + "/logout")
	p.press("Sign Out", nil)
	eventually(t, "the site's session to end", func() bool { return a.outside(p) })
}

// A site that only the browser reaches is told in a frame.
func TestModAuthOpenIDCInAFrame(t *testing.T) {
	a := newApache(t, deploy(t), "--redirect-uri", "SITE/redirect_uri", "--frontchannel-logout-uri", "SITE/redirect_uri?logout=get")
	p := a.person()
	a.signIn(p)
	p.visit(a.Issuer + "/logout")
	p.press("Sign Out", nil)
	signedOut := *p.page
	if p.visit(a.url + "/app"); a.inside(p) == nil {
		t.Fatal("the site ended its session before it was told")
	}
	for frame := range signedOut.elements("iframe") {
		p.visit(attr(frame, "src"))
	}
	if !a.outside(p) {
		t.Errorf("the site was told and lets the person in: %s", p.page.words())
	}
}

// userinfo is the status that the access token in the headers gives.
func (a *apache) userinfo(h http.Header) string {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.Issuer+"/userinfo", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.Get("OIDC_access_token"))
	resp, err := a.person().client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Status
}

// refresh is the answer to the refresh token in the headers.
func (a *apache) refresh(h http.Header) string {
	a.t.Helper()
	p := a.person()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {h.Get("OIDC_refresh_token")},
		"client_id": {a.client.ID}, "client_secret": {a.client.Secret}}
	return p.send(a.Issuer+"/token", form).body
}
