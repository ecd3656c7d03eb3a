package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

// demoFlags are how a demo is started.
type demoFlags struct {
	addr, data, store string
	json, offer       bool
}

func demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Everything on this machine: a practice, two apps and a mailbox",
		Long: `Start everything on this machine: the server with a practice in it, two apps to
sign in to, and a mailbox that shows what was mailed. Nothing leaves the machine.
The passwords are no secret, so it listens on loopback only, and serve refuses
its store. Starting it again goes on with the same data.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDemo(cmd.Context(), f)
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.announce(cmd, f.json); err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&f.addr, "addr", "127.0.0.1:8080", "where to listen; port 0 takes free ports for everything")
	cmd.Flags().StringVar(&f.data, "data", "", "folder for the data; default medximity-id-demo in the user's cache folder")
	cmd.Flags().StringVar(&f.store, "store", "", "postgres://… instead of SQLite in the data folder")
	cmd.Flags().BoolVar(&f.offer, "offer-passkeys", false, "ask whoever signed in by password and code whether they want a passkey")
	cmd.Flags().BoolVar(&f.json, "json", false, "print first one line of JSON with all that a script needs")
	return cmd
}

// theDemo is all that runs in a demo.
type theDemo struct {
	house   *house
	mailbox *mailbox
	apps    *demoApps
	data    string
	ring    []byte
	issuer  string
	clients []clientDoc
}

// newDemo makes the data folder, the store, the people and the listeners.
func newDemo(ctx context.Context, f demoFlags) (*theDemo, error) {
	d := &theDemo{}
	if err := d.build(ctx, f); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *theDemo) build(ctx context.Context, f demoFlags) (err error) {
	if d.data, err = dataFolder(f.data); err != nil {
		return err
	}
	ring, err := demoRing(filepath.Join(d.data, "ring.json"))
	if err != nil {
		return err
	}
	public, err := listenOnLoopback(f.addr)
	if err != nil {
		return err
	}
	d.issuer = "http://" + byName(public.Addr().(*net.TCPAddr))
	issuer, err := url.Parse(d.issuer)
	if err != nil {
		return err
	}
	if d.mailbox, err = openMailbox(filepath.Join(d.data, "mail"), beside(public, 2)); err != nil {
		return err
	}
	c := demoConfig(f, d, ring, beside(public, 1010))
	sc, err := c.store()
	if err == nil {
		err = store.Migrate(ctx, sc)
	}
	if err != nil {
		return err
	}
	if d.house, err = c.assemble(ctx, issuer, c.logger(os.Stderr)); err != nil {
		return err
	}
	d.house.public = public
	if err := d.house.listen(c); err != nil {
		return err
	}
	d.ring = ring
	d.mailbox.phone(d.house.store.Now, demoStaff(ring))
	if d.clients, err = seedDemo(ctx, d.house.store, ring); err != nil {
		return fmt.Errorf("people of the demo: %w", err)
	}
	d.apps, err = openDemoApps(d.issuer, d.clients, beside(public, 1))
	return err
}

func demoConfig(f demoFlags, d *theDemo, ring []byte, operator string) *Config {
	host, port, _ := net.SplitHostPort(d.mailbox.smtp.Addr().String())
	smtp, _ := strconv.Atoi(port)
	c := &Config{
		Issuer: d.issuer, OperatorListen: operator, KeyRing: Secret(ring),
		StoreURL: Secret("sqlite:" + filepath.Join(d.data, "idp.db")),
		MailHost: host, MailPort: smtp, MailSecurity: "none",
		MailFrom: "Medximity ID <no-reply@medximity.example>", SupportEmail: "support@medximity.example",
		// Everybody is at the same address here; a few wrong passwords in the
		// tour must not stop it.
		LimitsExempt: []string{"127.0.0.0/8", "::1/128"},
		// So are the apps.
		OutgoingAllow: []string{"127.0.0.0/8", "::1/128"},
		PasskeysOffer: f.offer,
		LogLevel:      "warn",
	}
	if f.store != "" {
		c.StoreURL = Secret(f.store)
	}
	c.fill()
	return c
}

func dataFolder(path string) (string, error) {
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir()
		}
		path = filepath.Join(cache, "medximity-id-demo")
	}
	return path, os.MkdirAll(path, 0o700)
}

// demoRing returns the folder's key ring; the first to ask makes it.
func demoRing(path string) ([]byte, error) {
	_, ring, err := seal.NewRing()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "ring-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(ring); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	// A link is made whole or not at all: of two that start, both read the
	// same ring.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// listenOnLoopback refuses other addresses: everybody knows the passwords.
func listenOnLoopback(addr string) (net.Listener, error) {
	if !onLoopback(addr) {
		return nil, fmt.Errorf("--addr %s: the demo's passwords are known to everybody, so it listens on loopback only", addr)
	}
	return net.Listen("tcp", addr)
}

// byName is the address by its name, if it has one: an address is nobody's domain,
// so browsers make no passkeys for it. (The apps stay at theirs: of names, only the
// browser knows that they stay on this machine, RFC 8252 section 8.3.)
func byName(a *net.TCPAddr) string {
	if a.IP.Equal(net.IPv4(127, 0, 0, 1)) || a.IP.Equal(net.IPv6loopback) {
		return net.JoinHostPort("localhost", strconv.Itoa(a.Port))
	}
	return a.String()
}

// beside returns an address some ports above the public one, or any free port
// if that is taken.
func beside(public net.Listener, offset int) string {
	at := public.Addr().(*net.TCPAddr)
	host := at.IP.String()
	addr := net.JoinHostPort(host, strconv.Itoa(at.Port+offset))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close()
	return addr
}

// announce prints where to click; with --json first the line for scripts.
func (d *theDemo) announce(cmd *cobra.Command, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(struct {
			Issuer  string         `json:"issuer"`
			App     string         `json:"app"`
			Mail    string         `json:"mail"`
			Metrics string         `json:"metrics"`
			People  []seededPerson `json:"people"`
			Clients []seededApp    `json:"clients"`
		}{d.issuer, d.apps.url, d.mailbox.url, d.metrics(), demoStaff(d.ring), seededApps(d.clients)})
	}
	_, err := fmt.Fprintf(out, `Medximity ID runs.

  Sign in to an app   %s
  The mailbox         %s   (every mail arrives here)
  A phone             %s/phone   (the codes of Nora's and the agents' authenticators)
  Account pages       %s/login
  The support desk    %s/support   (for the agents)
  Metrics             %s
  Data                %s

`, d.apps.url, d.mailbox.url, d.mailbox.url, d.issuer, d.issuer, d.metrics(), d.data)
	if err != nil {
		return err
	}
	for _, p := range demoPeople() {
		or(&p.Role, "patient")
		if _, err := fmt.Fprintf(out, "  %-12s %-32s %s\n", p.Role, p.Username, p.Password); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out, `
Passwords are as at the first start. To try a passkey, sign in at the account
pages, and add one under Security: the sign-in page then takes it instead.
Ctrl-C stops it; starting again goes on with the same data.`)
	return err
}

func (d *theDemo) metrics() string {
	return "http://" + d.house.operator.Addr().String() + "/metrics"
}

// run serves until ctx ends.
func (d *theDemo) run(ctx context.Context) error {
	go d.mailbox.serve()
	go d.apps.serve()
	return d.house.run(ctx)
}

func (d *theDemo) close() {
	if d.mailbox != nil {
		d.mailbox.close()
	}
	if d.apps != nil {
		d.apps.close()
	}
	if d.house != nil {
		d.house.close()
	}
}
