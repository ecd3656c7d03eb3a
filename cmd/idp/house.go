package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/mail"
	"github.com/medximity/idp/provider/metrics"
	"github.com/medximity/idp/provider/registry"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// house is a server made of a configuration, with what it listens on.
type house struct {
	store    *store.Store
	provider *provider.Provider
	registry *registry.Registry // of NPIs; nil: none
	log      *slog.Logger

	public, operator net.Listener
	tls              *tls.Config
}

// assemble makes the parts that the configuration describes and gives them to
// the provider.
func (c *Config) assemble(ctx context.Context, issuer *url.URL, log *slog.Logger) (*house, error) {
	h := &house{log: log}
	if err := h.build(ctx, c, issuer); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *house) build(ctx context.Context, c *Config, issuer *url.URL) error {
	known, err := blocklist(c.PasswordBlocklist)
	if err != nil {
		return fmt.Errorf("passwords.blocklist_file: %w", err)
	}
	if h.registry, err = c.deskRegistry(h.log); err != nil {
		return err
	}
	m := metrics.New()
	sc, err := c.store()
	if err != nil {
		return err
	}
	sc.Logger, sc.Observe, sc.Queries = h.log, m.Observe, m.Query
	if h.store, err = store.Open(ctx, sc); err != nil {
		return err
	}
	signing, err := keys.Open(ctx, h.store, c.keys())
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	hasher := &account.Hasher{Slots: hashSlots(), Observe: m.Hashed}
	people := store.People{Store: h.store, Hasher: hasher}
	texts, err := templates.Load()
	if err != nil {
		return err
	}
	sender, err := c.mailer(issuer, people, texts)
	if err != nil {
		return err
	}
	proxies, _ := prefixes(c.Proxies) // checked already
	exempt, _ := prefixes(c.LimitsExempt)
	deskNetworks, _ := prefixes(c.SupportNetworks)
	h.provider, err = provider.New(ctx, provider.Config{
		Issuer: issuer, Store: h.store, Directory: people, Keys: signing, Hasher: hasher,
		Metrics: m, Mail: sender, Templates: texts, Logger: h.log,
		Rules:   account.PasswordRules{Min: c.PasswordMin, Known: known},
		Require: account.Requirement{Everyone: c.SecondFactorEveryone, Roles: c.SecondFactorRoles},
		Proxies: proxies, Exempt: exempt, DeskNetworks: deskNetworks, KnownDevices: c.LockoutKnownDevice,
		Passkeys: provider.Passkeys{RPID: c.PasskeysRPID, Origins: c.PasskeysOrigins, Offer: c.PasskeysOffer},
		AuditFor: c.AuditKeep, Outgoing: c.OutgoingAllow, Desk: c.desk(), Registry: h.registry,
		Idle: c.SessionIdle, Absolute: c.SessionAbsolute, From: c.MailFrom,
	})
	return err
}

// mailer makes what sends mails.
func (c *Config) mailer(issuer *url.URL, people mail.People, texts *templates.Set) (*mail.Sender, error) {
	m := c.mail()
	m.Issuer, m.Directory, m.Templates = issuer, people, texts
	return mail.New(m)
}

// mail is the configuration's part about mails.
func (c *Config) mail() mail.Config {
	return mail.Config{
		Host: c.MailHost, Port: c.MailPort, Security: mail.Security(c.MailSecurity),
		Username: c.MailUsername, Password: string(c.MailPassword), CAFile: c.MailCAFile,
		HELO: c.MailHELO, Timeout: c.MailTimeout,
		From: c.MailFrom, ReplyTo: c.MailReplyTo, Support: c.SupportEmail,
	}
}

// blocklist adds an operator's list to the built-in one.
func blocklist(path string) (func(string) bool, error) {
	if path == "" {
		return account.Known, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for line := range strings.Lines(strings.ToLower(string(b))) {
		if w := strings.TrimSpace(line); w != "" {
			own[w] = true
		}
	}
	return func(lower string) bool { return own[lower] || account.Known(lower) }, nil
}

// listen opens both listeners, so that a taken port is told at once.
func (h *house) listen(c *Config) (err error) {
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		h.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	if h.public == nil {
		if h.public, err = net.Listen("tcp", c.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	if h.operator, err = net.Listen("tcp", c.OperatorListen); err != nil {
		return fmt.Errorf("operator.listen: %w", err)
	}
	return nil
}

// drainFor is how long requests may take to finish once we were told to stop.
const drainFor = 15 * time.Second

// run serves until ctx ends or a listener fails. Then it drains: not ready, no
// new connections, the requests in flight finished, the jobs stopped.
func (h *house) run(ctx context.Context) error {
	tuneMemory()
	stopJobs, err := h.provider.Work(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	public, operator := h.server(h.provider), h.server(h.provider.Operator())
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(h.secured(h.public)) }()
	go func() { failed <- operator.Serve(h.operator) }()
	h.log.Info("serving", "listen", h.public.Addr().String(), "operator", h.operator.Addr().String(), "version", version())
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	h.log.Info("draining")
	h.provider.Drain()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	// The operator's listener goes last: it is how the drain is seen.
	err = errors.Join(err, public.Shutdown(late), stopJobs(late), operator.Shutdown(late))
	h.log.Info("stopped")
	return err
}

func (h *house) secured(l net.Listener) net.Listener {
	if h.tls == nil {
		return l
	}
	return tls.NewListener(l, h.tls)
}

// server has the bounds that keep slow and oversize clients from holding us.
func (h *house) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
}

func (h *house) close() {
	if h.store != nil {
		_ = h.store.Close()
	}
	if h.registry != nil {
		_ = h.registry.Close()
	}
}
