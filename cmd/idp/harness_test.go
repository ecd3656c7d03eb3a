package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store/storetest"
)

// The tests of this folder run the real binary, built with -tags testclock so
// that half an hour can pass without waiting for it.
var binary = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	out := filepath.Join(root, ".tmp", "idp-testclock")
	cmd := exec.Command("go", "build", "-tags", "testclock", "-o", out, "./cmd/idp")
	cmd.Dir = root
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, b)
	}
	return out, nil
})

// idpBinary returns the path of the built binary.
func idpBinary(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// demo is a running `idp demo`, as its --json line describes it.
type demo struct {
	Issuer, App, Mail, Metrics string
	People                     []demoPerson
	Clients                    []demoClient

	t       *testing.T
	process *process
}

type demoPerson struct {
	Email, Username, Password, Role, Practice string
	TOTPSecret                                string `json:"totp_secret"`
}

type demoClient struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret"`
	RedirectURIs []string `json:"redirect_uris"`
}

// startDemo runs the demo on a data folder of its own until the test ends.
func startDemo(t *testing.T, args ...string) *demo {
	t.Helper()
	args = append([]string{"demo", "--json", "--addr", "127.0.0.1:0", "--data", t.TempDir()}, args...)
	return announced(t, start(t, args...))
}

// announced reads what a demo says first.
func announced(t *testing.T, p *process) *demo {
	t.Helper()
	d := &demo{t: t, process: p}
	line := p.firstLine(t)
	if err := json.Unmarshal([]byte(line), d); err != nil {
		t.Fatalf("demo --json printed %q: %v", line, err)
	}
	return d
}

// process is a running binary.
type process struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	log    *logBuffer
}

// logBuffer keeps what a process wrote, for a test that fails.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	return launch(t, exec.Command(idpBinary(t), args...))
}

// launch starts a command that is the binary, or becomes it.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: &logBuffer{}}
	p.cmd.Stderr = p.log
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.cmd, tail(p.log.String(), 8000))
		}
	})
	return p
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// firstLine waits for the first line on standard output.
func (p *process) firstLine(t *testing.T) string {
	t.Helper()
	lines := make(chan string, 1)
	go func() {
		line, _ := p.stdout.ReadString('\n')
		lines <- line
		_, _ = io.Copy(p.log, p.stdout)
	}()
	select {
	case line := <-lines:
		if line == "" {
			t.Fatalf("idp printed nothing and ended:\n%s", p.log)
		}
		return line
	case <-time.After(60 * time.Second):
		t.Fatalf("idp printed nothing in a minute:\n%s", p.log)
	}
	return ""
}

// stop ends the process as an orchestrator does, and wants it to drain.
func (p *process) stop(t *testing.T) {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("idp did not shut down cleanly: %v", err)
		}
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		t.Error("idp did not shut down in 30 s")
	}
}

// operator is the base of the operator listener.
func (d *demo) operator() string { return strings.TrimSuffix(d.Metrics, "/metrics") }

// now is the time by the demo's clock.
func (d *demo) now() time.Time {
	d.t.Helper()
	resp, err := http.Get(d.operator() + "/clock")
	return d.clock(resp, err)
}

// set sets the demo's clock.
func (d *demo) set(to time.Time) {
	d.t.Helper()
	resp, err := http.PostForm(d.operator()+"/clock", url.Values{"to": {to.Format(time.RFC3339Nano)}})
	d.clock(resp, err)
}

func (d *demo) clock(resp *http.Response, err error) time.Time {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		d.t.Fatalf("/clock: %s: %v", resp.Status, err)
	}
	return at
}

// metric returns the value of one series, as Prometheus would scrape it.
func (d *demo) metric(series string) float64 {
	d.t.Helper()
	return scrape(d.t, d.Metrics, series)
}

func scrape(t *testing.T, from, series string) float64 {
	t.Helper()
	resp, err := http.Get(from)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("%s has no series %s", from, series)
	return 0
}

// received is a mail in the demo's inbox.
type received struct{ To, Subject, Text, HTML string }

// inbox returns the mails to an address, oldest first.
func (d *demo) inbox(to string) []received {
	d.t.Helper()
	resp, err := http.Get(strings.TrimSuffix(d.Mail, "/") + "/messages")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all, mine []received
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		d.t.Fatal(err)
	}
	for _, m := range all {
		if m.To == to {
			mine = append(mine, m)
		}
	}
	return mine
}

// mails waits until the address has n mails; delivery is a background job.
func (d *demo) mails(to string, n int) []received {
	d.t.Helper()
	var got []received
	eventually(d.t, fmt.Sprintf("%d mails to %s", n, to), func() bool {
		got = d.inbox(to)
		return len(got) >= n
	})
	return got
}

// eventually polls for what another process does in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited half a minute for %s", what)
		}
	}
}

// freeAddress is one that a program may listen on that has to be told. Its port is
// below those that Linux hands out, so that nobody is given it meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free from 20000 to 31999")
	return ""
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
