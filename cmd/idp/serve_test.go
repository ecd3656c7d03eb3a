package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

// good is a configuration that serve takes, on a new SQLite store.
func good(t *testing.T) *Config {
	t.Helper()
	_, ring, err := seal.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Issuer: "http://127.0.0.1:1", Listen: "127.0.0.1:0", OperatorListen: "127.0.0.1:0",
		StoreURL: Secret("sqlite:" + filepath.Join(t.TempDir(), "idp.db")), KeyRing: Secret(ring),
		MailHost: "127.0.0.1", MailPort: 9, MailSecurity: "none", MailFrom: "no-reply@id.example", SupportEmail: "desk@id.example"}
	c.fill()
	if err := c.checkServe(); err != nil {
		t.Fatal(err)
	}
	sc, err := c.store()
	if err == nil {
		err = store.Migrate(t.Context(), sc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func assembled(t *testing.T, c *Config) *house {
	t.Helper()
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.assemble(t.Context(), issuer, c.logger(t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// The desk gets the registry that is configured, and none where none is.
func TestConfiguredRegistry(t *testing.T) {
	c := good(t)
	if r := assembled(t, c).provider.Registry; r != nil {
		t.Errorf("%d providers of no file", r.Len())
	}
	c.SupportRegistry = "../../provider/registry/testdata/providers.csv"
	e, found, err := assembled(t, c).provider.Registry.Lookup("1245319599")
	if !found || err != nil || !e.Names("Grace Okafor") {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
}

func TestConfiguredClientsComeAndGo(t *testing.T) {
	h := assembled(t, good(t))
	secret := Secret(strings.Repeat("s", 32))
	one := ClientConfig{ID: "one", Secret: secret, RedirectURIs: []string{"https://one.example/cb"}}
	two := ClientConfig{ID: "two", Public: true, RedirectURIs: []string{"https://two.example/cb"}}
	sync := func(clients ...ClientConfig) []string {
		t.Helper()
		if err := h.syncClients(t.Context(), clients); err != nil {
			t.Fatal(err)
		}
		all, err := h.store.Clients(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range all {
			names = append(names, c.ID+" "+c.Name+" "+strings.Join(c.RedirectURIs, " "))
		}
		return names
	}
	if diff := cmp.Diff([]string{"one one https://one.example/cb", "two two https://two.example/cb"}, sync(one, two)); diff != "" {
		t.Error(diff)
	}
	sync(one, two) // replicas do it again
	one.Name = "The First"
	if diff := cmp.Diff([]string{"one The First https://one.example/cb"}, sync(one)); diff != "" {
		t.Error(diff)
	}
	if err := h.store.PutClient(t.Context(), two.client().Client, "a person"); err != nil {
		t.Fatal(err)
	}
	if err := h.syncClients(t.Context(), []ClientConfig{one, two}); err == nil || !strings.Contains(err.Error(), "registered by command") {
		t.Errorf("got %v", err)
	}
	if got := sync(one); len(got) != 2 {
		t.Errorf("an app registered by command went away: %v", got)
	}
}

func TestServeRefusesTheDemosStore(t *testing.T) {
	c := good(t)
	h := assembled(t, c)
	if err := h.refuseDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := seedDemo(t.Context(), h.store, []byte(c.KeyRing)); err != nil {
		t.Fatal(err)
	}
	h.close()
	if err := serve(t.Context(), c); err == nil || !strings.Contains(err.Error(), "the demo's apps") {
		t.Errorf("got %v", err)
	}
}

// When told to stop, the server says that it is not ready, takes nobody new,
// finishes what runs, and ends without an error.
func TestShutdownDrains(t *testing.T) {
	c := good(t)
	h := assembled(t, c)
	if err := h.listen(c); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx) }()

	conn, err := net.Dial("tcp", h.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = "email=grace%40riverside.example"
	fmt.Fprintf(conn, "POST /forgot-password HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10])
	ready := func() int {
		resp, err := http.Get("http://" + h.operator.Addr().String() + "/readyz")
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	eventually(t, "ready", func() bool { return ready() == http.StatusOK })
	stop()
	eventually(t, "not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	eventually(t, "nobody new", func() bool {
		conn, err := net.Dial("tcp", h.public.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body[10:])
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the request in flight was not finished: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
