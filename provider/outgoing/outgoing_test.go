package outgoing

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPermits(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:4700::1": true, "2a00:1450::1": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false, "127.9.9.9": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.1": false, "192.168.1.1": false, "198.18.0.1": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.1.1.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "::ffff:0:127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::1": false, "2001:0:1::1": false,
		"2001:db8::1": false, "3fff::1": false, "100::1": false,
	} {
		if got := (guard{}).permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestAllow(t *testing.T) {
	g, err := parse([]string{"10.1.0.0/16", "127.0.0.1", "fd00::/8", "::ffff:192.168.0.7", "Logout.Internal", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{"10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": true, "127.0.0.2": false, "fd12::1": true,
		"fc00::1": false, "192.168.0.7": true, "::ffff:127.0.0.1": true, "::1": false} {
		if got := g.permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	for _, bad := range []string{"", "https://app.example", "app.example:443", "10.0.0.0/33", "10.0.0", "127.1", "1.2.3.4.5", "*.example", "a b"} {
		if err := Check([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Whatever a URL calls it, this machine is not reached unless that is allowed.
func TestLoopbackIsRefused(t *testing.T) {
	reached := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		allow []string
		host  string
		ok    bool
	}{
		{nil, "127.0.0.1", false}, {nil, "localhost", false}, {nil, "LOCALHOST", false}, {nil, "[::ffff:127.0.0.1]", false}, {nil, "0.0.0.0", false},
		{[]string{"10.0.0.0/8"}, "127.0.0.1", false}, {[]string{"app.example"}, "localhost", false},
		{[]string{"127.0.0.0/8"}, "127.0.0.1", true}, {[]string{"localhost"}, "localhost", true}, {[]string{"localhost"}, "127.0.0.1", false},
	} {
		c, err := Client(tt.allow, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		before := reached
		resp, err := c.Get("http://" + tt.host + ":" + port)
		if err == nil {
			resp.Body.Close()
		}
		if got := reached > before; got != tt.ok || !tt.ok && !errors.Is(err, ErrRefused) {
			t.Errorf("%s, allowed %v: reached %v, %v", tt.host, tt.allow, got, err)
		}
	}
}

// A redirect is an answer, a slow server a failure, a huge head too.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/slow":
			<-release
		case "/head":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		default:
			t.Errorf("followed to %s", r.URL.Path)
		}
	}))
	defer s.Close()
	defer close(release)
	c, err := Client([]string{"127.0.0.1"}, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Get(s.URL + "/redirect")
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("%v %v", resp, err)
	}
	_, err = c.Get(s.URL + "/slow")
	if e := (*url.Error)(nil); !errors.As(err, &e) || !e.Timeout() {
		t.Errorf("slow: %v", err)
	}
	if _, err := c.Get(s.URL + "/head"); err == nil {
		t.Error("a huge head was read")
	}
}

// A private CA is trusted by SSL_CERT_FILE, and no other unknown one is; TLS is
// 1.3 with whoever speaks it. The roots are read once, so each is a process.
func TestPrivateCA(t *testing.T) {
	if at := os.Getenv("OUTGOING_TEST_URL"); at != "" {
		c, err := Client([]string{"127.0.0.1"}, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		if resp.TLS.Version != tls.VersionTLS13 {
			t.Fatalf("TLS version %x", resp.TLS.Version)
		}
		return
	}
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{ca: true, "": false} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPrivateCA$")
		cmd.Env = append(os.Environ(), "OUTGOING_TEST_URL="+s.URL, "SSL_CERT_FILE="+file)
		if out, err := cmd.CombinedOutput(); want != (err == nil) {
			t.Errorf("SSL_CERT_FILE=%q: %v\n%s", file, err, out)
		}
	}
}
