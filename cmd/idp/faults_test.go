package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store/storetest"
)

// Real faults against the real binary. However things break, a request gets an
// answer within two seconds, nothing that was acknowledged is lost, and nobody
// is signed in without a look at the lock.

const answersWithin = 2 * time.Second

func TestFaultTheDatabaseGoesAwayUnderARunningServer(t *testing.T) {
	pg := storetest.NewBreakable(t)
	d := startDemo(t, "--store", pg.URL)
	before, within := newPerson(t), newPerson(t)
	before.visit(d.Issuer + "/login")
	before.signIn(d.grace().Username, d.grace().Password)
	before.sees(d.grace().Username)
	within.visit(d.Issuer + "/login")
	form := within.form("password")
	form.Set("identifier", d.grace().Username)
	form.Set("password", d.grace().Password)
	tokens := codeInHand(t, d)
	refused(t, tokens, http.StatusOK, "")
	judged := d.metric(verified)

	pg.Stop()
	for _, path := range []string{"/login", "/reset-password?token=made-up", tokens.authorize} {
		away(t, newPerson(t), path, nil, d)
	}
	away(t, within, "/login/identify", form, d)
	away(t, within, "/forgot-password", url.Values{"email": {d.grace().Email}}, d)
	away(t, before, "/login", nil, d) // nor is a session believed
	refused(t, tokens, http.StatusServiceUnavailable, "temporarily_unavailable")
	if status := get(t, d.operator()+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d", status)
	}
	if status := get(t, d.operator()+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz says %d: restarting us would mend nothing", status)
	}
	if n := d.metric(verified); n != judged {
		t.Errorf("%v passwords were judged without a charge", n-judged)
	}

	pg.Start()
	back := time.Now()
	eventually(t, "ready", func() bool { return get(t, d.operator()+"/readyz") == http.StatusOK })
	if took := time.Since(back); took > 5*time.Second {
		t.Errorf("ready only %s after the database", took)
	}
	refused(t, tokens, http.StatusOK, "")
	before.visit(d.Issuer + "/login")
	before.sees(d.grace().Username)
	within.send(d.Issuer+"/login/identify", form)
	within.sees(d.grace().Username)
}

// away wants the page that says so, soon, without a word of what is inside.
func away(t *testing.T, p *person, path string, form url.Values, d *demo) {
	t.Helper()
	start := time.Now()
	if form == nil {
		p.visit(d.Issuer + path)
	} else {
		p.send(d.Issuer+path, form)
	}
	took := time.Since(start)
	p.sees("The service is not available right now", "Reference")
	switch {
	case p.page.status != http.StatusServiceUnavailable || p.page.header.Get("Retry-After") == "":
		t.Errorf("%s: status %d, Retry-After %q", path, p.page.status, p.page.header.Get("Retry-After"))
	case took > answersWithin:
		t.Errorf("%s: answered only after %s", path, took)
	}
	body := strings.ToLower(p.page.body)
	for _, inside := range []string{"postgres", "sql", "127.0.0.1:", "connect", "dial", "store:", "disk"} {
		if strings.Contains(body, inside) {
			t.Errorf("%s: the page says %q:\n%s", path, inside, p.page.words())
		}
	}
	for b := range p.page.elements("code") {
		ref := squeeze(text(b))
		eventually(t, "reference "+ref+" in the log", func() bool { return strings.Contains(d.process.log.String(), ref) })
	}
	for _, c := range p.page.header.Values("Set-Cookie") {
		if strings.Contains(c, "session") {
			t.Errorf("%s: somebody was signed in: %s", path, c)
		}
	}
}

// codeInHand signs a person in for an app whose last step, code against tokens
// and then refresh against refresh, is left to refused.
func codeInHand(t *testing.T, d *demo) *appTokens {
	t.Helper()
	c := d.Clients[0]
	p := newPerson(t)
	const back = "http://127.0.0.1:9/callback"
	q := url.Values{"client_id": {c.ID}, "redirect_uri": {back}, "response_type": {"code"},
		"scope": {"openid offline_access"}, "state": {"state-of-the-app"}, "nonce": {"nonce-of-the-app"}}
	path := "/authorize?" + q.Encode()
	code := p.authorize(d.Issuer+path, d.grace(), "state-of-the-app", d.Issuer)
	return &appTokens{client: c, authorize: path, endpoint: d.Issuer + "/token",
		next: url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}}}
}

// appTokens is an app that is about to ask for tokens.
type appTokens struct {
	client    demoClient
	authorize string // path of its authorization request
	endpoint  string
	next      url.Values
}

// refused asks, and wants this status and error. What is given is used next.
func refused(t *testing.T, a *appTokens, status int, code string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint, strings.NewReader(a.next.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(a.client.ID), url.QueryEscape(a.client.Secret))
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error   string `json:"error"`
		Refresh string `json:"refresh_token"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	if err != nil || resp.StatusCode != status || answer.Error != code {
		t.Errorf("token endpoint: %s, %q, %v; want %d, %q", resp.Status, answer.Error, err, status, code)
	}
	if took := time.Since(start); took > answersWithin {
		t.Errorf("token endpoint: answered only after %s", took)
	}
	if status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		t.Error("token endpoint: no Retry-After")
	}
	if answer.Refresh != "" {
		a.next = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {answer.Refresh}}
	}
}

func get(t *testing.T, address string) int {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// configFile writes a configuration that serve takes, on a store, and returns
// its path. Mails go to a port of this machine.
func configFile(t *testing.T, storeURL string, mailPort int) string {
	t.Helper()
	_, ring, err := seal.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ring.json"), ring, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`issuer: http://127.0.0.1
listen: 127.0.0.1:0
operator: {listen: "127.0.0.1:0"}
store: {url: %q}
keys: {ring_file: %q}
mail: {host: 127.0.0.1, port: %d, security: none, from: no-reply@id.example, timeout: 1s}
support: {email: desk@id.example}
`, storeURL, filepath.Join(dir, "ring.json"), mailPort)
	path := filepath.Join(dir, "idp.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// storeOf returns the store of a configuration file.
func storeOf(t *testing.T, config string) string {
	t.Helper()
	c, err := load(sources{file: config})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.StoreURL)
}

// idp runs a command to its end.
func idp(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), idpBinary(t), args...).CombinedOutput()
	return string(b), err
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := idp(t, args...); err != nil {
		t.Fatalf("idp %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// startServe runs the server of a configuration file until the test ends, with
// env beside the environment. It is a demo without people, apps and mailbox.
func startServe(t *testing.T, config string, env ...string) *demo {
	t.Helper()
	cmd := exec.Command(idpBinary(t), "serve", "--config", config)
	cmd.Env = append(environ(), env...)
	d := &demo{t: t, process: launch(t, cmd)}
	eventually(t, "serve", func() bool {
		for line := range strings.Lines(d.process.log.String()) {
			var l struct{ Msg, Listen, Operator string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "serving" {
				d.Issuer, d.Metrics = "http://"+l.Listen, "http://"+l.Operator+"/metrics"
			}
		}
		return d.Issuer != ""
	})
	return d
}

// oneLine wants a refusal to start: one line, which names what to do.
func oneLine(t *testing.T, config string, words ...string) {
	t.Helper()
	start := time.Now()
	out, err := idp(t, "serve", "--config", config)
	took := time.Since(start)
	out = strings.TrimSpace(out)
	if err == nil || strings.Contains(out, "\n") || !strings.HasPrefix(out, "idp: ") || took > 10*time.Second {
		t.Errorf("serve ended with %v after %s:\n%s", err, took, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("it does not say %q: %s", w, out)
		}
	}
}

func TestFaultServeRefusesADatabaseThatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	config := configFile(t, "postgres://idp:not-for-logs@"+addr+"/idp?sslmode=disable", 9)
	oneLine(t, config, "database", "does not answer", addr)
	if out, _ := idp(t, "serve", "--config", config); strings.Contains(out, "not-for-logs") {
		t.Errorf("it says the password: %s", out)
	}
}

func TestFaultServeRefusesASchemaThatIsNotItsOwn(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := storetest.Empty(t, engine).URL
			config := configFile(t, url, 9)
			oneLine(t, config, "idp migrate")
			must(t, "migrate", "--config", config)

			change(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
			oneLine(t, config, "newer idp")
			change(t, url, "DELETE FROM goose_db_version WHERE version_id = 9999")
			change(t, url, "DELETE FROM river_migration WHERE version > 3") // as of an older release
			oneLine(t, config, "idp migrate")
		})
	}
}

// A request that came before the end is answered after it; meanwhile the
// balancer is told, and nobody new is let in.
func TestFaultTerminationFinishesWhatWasBegun(t *testing.T) {
	d := startDemo(t)
	u, err := url.Parse(d.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := url.Values{"email": {d.grace().Email}}.Encode()
	fmt.Fprintf(conn, "POST /forgot-password HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Site: same-origin\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", u.Host, len(body), body[:5])
	get(t, d.Issuer+"/login") // the server reads one after the other: it has the first by now
	if err := d.process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not ready", func() bool { return get(t, d.operator()+"/readyz") == http.StatusServiceUnavailable })
	eventually(t, "nobody new", func() bool { return get(t, d.Issuer+"/login") == 0 })

	fmt.Fprint(conn, body[5:])
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "Check your email") {
		t.Errorf("the request in flight: %s", resp.Status)
	}
	if err := d.process.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
