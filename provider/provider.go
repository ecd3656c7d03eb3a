package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/mail"
	"github.com/medximity/idp/provider/metrics"
	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/registry"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Config is all that a provider is made of. Issuer, Store, Directory, Keys,
// Hasher and Metrics are needed; the rest has defaults.
type Config struct {
	// Issuer is the URL by which apps know us, and the origin of every link we
	// mail. It may have a path; it has no query, fragment or trailing slash.
	Issuer    *url.URL
	Store     *store.Store
	Directory directory.Directory
	Keys      *keys.Keys
	Hasher    *account.Hasher
	Metrics   *metrics.Metrics
	Mail      *mail.Sender   // nil: no mail is sent, and none is lost
	Templates *templates.Set // nil: loaded here
	Logger    *slog.Logger   // nil: slog.Default

	Rules    account.PasswordRules       // zero: 15 characters, the built-in blocklist
	Passkeys Passkeys                    // zero: of the issuer's host
	Require  account.Requirement         // whose second factor is required; zero: nobody's, beyond practice and app
	Policy   map[flows.Kind]flows.Policy // nil: DefaultPolicy
	Proxies  []netip.Prefix              // whose forwarded addresses are believed
	Exempt   []netip.Prefix              // networks without source limits
	// KnownDevices have tries of their own: a browser in which somebody completed
	// a sign-in is not stopped by the lock that strangers made.
	KnownDevices bool
	// Desk is when Support works, and DeskNetworks are from where; none: from anywhere.
	Desk         account.Calendar
	DeskNetworks []netip.Prefix
	// Registry is a copy of the public registry of NPIs; nil: there is none, and
	// names are not compared. Whoever opened it closes it.
	Registry *registry.Registry
	// AuditFor is how long audit rows are kept; 0: store.Workers.AuditFor's default.
	AuditFor time.Duration
	// Outgoing names hosts, addresses and networks that apps' URIs may lead us to
	// though they are not public.
	Outgoing []string

	Idle     time.Duration // a session's longest pause; 0: 1 h
	Absolute time.Duration // a session's longest life; 0: 12 h

	From string // the From address of mails, as shown to people
}

// Provider is the server. It is safe for concurrent use, and holds no state
// but caches of public data.
type Provider struct {
	Config
	base   string // the issuer's path: "" or "/id"
	site   *web.Site
	engine *flows.Engine
	oidc   *oidc
	public http.Handler
	door   *door
	ready  readiness
}

// DefaultPolicy is what people are asked unless the host says otherwise.
func DefaultPolicy() map[flows.Kind]flows.Policy {
	code := flows.OneOf(flows.TOTP{}, flows.Passkey{}, flows.BackupCode{}, flows.SetUpTOTP{})
	second := flows.When(flows.NeedsSecond,
		flows.Seq(code, flows.Do(flows.OfferCodes{}), flows.Do(flows.SaveCodes{})))
	who := flows.Seq(
		flows.When(flows.Unproven, flows.OneOf(flows.Password{}, flows.Passkey{})),
		flows.When(flows.OnlyHeld, flows.Do(flows.Password{})))
	return map[flows.Kind]flows.Policy{
		flows.Login: flows.Seq(
			flows.OneOf(flows.Identify{}, flows.Passkey{}),
			who,
			second,
			flows.When(flows.MustChange, flows.Do(flows.NewPassword{})),
		),
		flows.StepUp: flows.Seq(who, second),
		flows.Enroll: flows.Seq(
			flows.When(flows.Changes(flows.ChangePassword), flows.Do(flows.Password{})),
			who,
			flows.OneOf(flows.TOTP{}, flows.Passkey{}, flows.BackupCode{}),
			flows.When(flows.Changes(flows.ChangePassword), flows.Do(flows.NewPassword{})),
			flows.When(flows.Changes(flows.AddAuthenticator), flows.Do(flows.SetUpTOTP{})),
			flows.When(flows.Changes(flows.AddPasskey), flows.Do(flows.SetUpPasskey{})),
			flows.Do(flows.SaveCodes{}),
		),
		flows.Reset:  flows.Seq(flows.Do(flows.NewPassword{})),
		flows.Invite: flows.Seq(flows.Do(flows.Join{})),
	}
}

// New assembles a provider.
func New(ctx context.Context, c Config) (*Provider, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	p := &Provider{Config: c, base: strings.TrimSuffix(c.Issuer.Path, "/"), door: newDoor(c.Hasher)}
	var err error
	if p.site, err = web.New(ctx, web.Config{
		Templates: c.Templates, Issuer: c.Issuer, Store: c.Store, Logger: c.Logger,
		Proxies: c.Proxies, Exempt: c.Exempt,
	}); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	shadow, err := shadowKey(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	draft, err := draftKey(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	passkeys, err := c.Passkeys.at(c.Issuer)
	if err != nil {
		return nil, err
	}
	handle, err := handleKey(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	p.engine = &flows.Engine{
		Policies: c.Policy, Store: c.Store, Directory: c.Directory,
		Guard: account.Guard{Now: c.Store.Now}, Hasher: c.Hasher, Rules: c.Rules,
		Shadow: shadow, Draft: draft, Passkeys: passkeys, Handle: handle, Require: c.Require, Issuer: "Medximity",
		Now: c.Store.Now, Idle: c.Idle, Absolute: c.Absolute,
	}
	client, err := outgoing.Client(c.Outgoing, tellFor)
	if err != nil {
		return nil, fmt.Errorf("outgoing: %w", err)
	}
	if p.oidc, err = (oidcConfig{
		Issuer: c.Issuer, Store: c.Store, Keys: c.Keys, Directory: c.Directory,
		Now: c.Store.Now, Logger: c.Logger, Locales: templates.Languages(), Algorithms: c.Keys.Algorithms(), Outgoing: client,
		Session: p.session, Begin: p.beginFor, StepUp: p.stepUpFor, FormPost: p.formPost, Consent: p.consent, Source: p.site.Source,
		Count: c.Metrics.OIDC, Issued: c.Metrics.TokenIssued,
	}).open(ctx); err != nil {
		return nil, fmt.Errorf("openid: %w", err)
	}
	c.Metrics.Watch(metrics.Sources{
		Locked: c.Store.LockedNow, Sessions: c.Store.SessionsActive, Mails: c.Store.MailStats,
		Cases:   c.Store.CaseStats,
		Hashing: c.Hasher.Waiting, Keys: c.Keys.Until, Connections: c.Store.Connections,
	})
	p.public = p.routes()
	return p, nil
}

// ServeHTTP serves people and apps.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.public.ServeHTTP(w, r) }

// Work runs the background jobs (mail, logouts, sweeps, key rotation) until stop is
// called, which waits for those that run.
func (p *Provider) Work(ctx context.Context) (stop func(context.Context) error, err error) {
	w := store.Workers{RotateKeys: p.Keys.RotateIfDue, TellApp: p.oidc.tellApp, AuditFor: p.AuditFor}
	if p.Mail != nil {
		w.SendMail = p.sendMail
	}
	return p.Store.Work(ctx, w)
}

// sendMail sends one mail and counts it.
func (p *Provider) sendMail(ctx context.Context, m store.Mail) error {
	start := time.Now()
	err := p.Mail.Send(ctx, m)
	p.Metrics.MailSent(m.Template, mailResult(err), time.Since(start))
	return err
}

func mailResult(err error) string {
	switch {
	case err == nil:
		return "sent"
	case errors.Is(err, store.ErrDrop):
		return "dropped"
	}
	return "failed"
}

// complete fills in defaults and refuses what cannot work.
func (c *Config) complete() error {
	switch {
	case c.Issuer == nil || c.Issuer.Host == "" || c.Issuer.RawQuery != "" || c.Issuer.Fragment != "":
		return errors.New("provider: the issuer must be a URL without query or fragment")
	case c.Store == nil, c.Directory == nil, c.Keys == nil, c.Hasher == nil, c.Metrics == nil:
		return errors.New("provider: Store, Directory, Keys, Hasher and Metrics are needed")
	}
	if err := c.Passkeys.check(c.Issuer); err != nil {
		return err
	}
	if c.Templates == nil {
		var err error
		if c.Templates, err = templates.Load(); err != nil {
			return fmt.Errorf("templates: %w", err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Policy == nil {
		c.Policy = DefaultPolicy()
		if c.Passkeys.Offer {
			c.Policy[flows.Login] = flows.Seq(c.Policy[flows.Login], flows.Do(flows.OfferPasskey{}))
		}
	}
	if c.Rules.Known == nil {
		c.Rules.Known = account.Known
	}
	if c.Idle == 0 {
		c.Idle = time.Hour
	}
	if c.Absolute == 0 {
		c.Absolute = 12 * time.Hour
	}
	return nil
}
