package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/mail"
	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/registry"
	"github.com/medximity/idp/provider/seal"
)

// check finds values that mean nothing, whatever the command.
func (c *Config) check() error {
	var p problems
	if c.Issuer != "" {
		_, err := parseIssuer(c.Issuer)
		p.add("issuer", err)
	}
	p.add("listen", listenable(c.Listen))
	p.add("operator.listen", listenable(c.OperatorListen))
	if (c.TLSCert == "") != (c.TLSKey == "") {
		p.add("tls", errors.New("cert and key go together"))
	}
	if url := string(c.StoreURL); !strings.HasPrefix(url, "sqlite:") && !postgres(url) {
		p.add("store.url", errors.New("is neither postgres://… nor sqlite:PATH"))
	}
	if c.KeyRing != "" {
		_, err := seal.ParseRing([]byte(c.KeyRing))
		p.add("keys.ring", err)
	}
	_, err := prefixes(c.Proxies)
	p.add("proxies", err)
	_, err = prefixes(c.LimitsExempt)
	p.add("limits.exempt", err)
	_, err = prefixes(c.SupportNetworks)
	p.add("support.networks", err)
	p.add("outgoing.allow", outgoing.Check(c.OutgoingAllow))
	_, err = c.deskZone()
	p.add("support.time_zone", err)
	_, err = c.deskHolidays()
	p.add("support.holidays", err)
	p.add("log.level", new(slog.Level).UnmarshalText([]byte(c.LogLevel)))
	c.checkPasskeys(&p)
	c.checkBounds(&p)
	c.checkClients(&p)
	return p.err()
}

// checkBounds refuses what would break a promise or a standard.
func (c *Config) checkBounds(p *problems) {
	within := func(key string, v, low, high time.Duration, why string) {
		if v < low || v > high {
			p.add(key, fmt.Errorf("%s is not between %s and %s: %s", v, low, high, why))
		}
	}
	within("audit.keep", c.AuditKeep, 365*24*time.Hour, 100*365*24*time.Hour, "HIPAA wants six years (45 CFR 164.316(b)(2)(i)), and people ask after one")
	const session = "NIST SP 800-63B-4 section 2.2.3"
	within("sessions.idle", c.SessionIdle, time.Minute, time.Hour, session)
	within("sessions.absolute", c.SessionAbsolute, c.SessionIdle, 24*time.Hour, session)
	within("keys.overlap", c.KeysOverlap, time.Hour, 30*24*time.Hour, "apps cache keys about that long")
	within("keys.rotate_every", c.KeysRotateEvery, 2*c.KeysOverlap, 3*365*24*time.Hour, "a key is published before it signs")
	within("mail.timeout", c.MailTimeout, time.Second, 2*time.Minute, "a worker waits for it")
	if c.PasswordMin < account.MinPassword || c.PasswordMin > 64 {
		p.add("passwords.min", fmt.Errorf("%d is not between %d and 64: NIST SP 800-63B-4 section 3.1.1.2", c.PasswordMin, account.MinPassword))
	}
	for _, r := range c.SecondFactorRoles {
		if !slices.Contains(account.Roles, account.Role(r)) {
			p.add("second_factor.roles", fmt.Errorf("%q is none of %q", r, account.Roles))
		}
	}
	if c.MailPort < 0 || c.MailPort > 65535 {
		p.add("mail.port", errors.New("is not a port"))
	}
	if c.StoreMaxConns < 0 || c.StoreMaxConns > 1000 {
		p.add("store.max_conns", errors.New("is not between 0 and 1000"))
	}
}

func (c *Config) checkPasskeys(p *problems) {
	if issuer, err := parseIssuer(c.Issuer); err == nil {
		p.add("passkeys.rp_id", provider.CheckRPID(issuer, c.PasskeysRPID))
	}
	for _, o := range c.PasskeysOrigins {
		p.add("passkeys.origins", provider.CheckPasskeyOrigin(o))
	}
}

func (c *Config) checkClients(p *problems) {
	var seen []string
	for i, cl := range c.Clients {
		key := func(field string) string { return fmt.Sprintf("clients[%d].%s", i, field) }
		if slices.Contains(seen, cl.ID) {
			p.add(key("id"), fmt.Errorf("%q is there twice", cl.ID))
		}
		seen = append(seen, cl.ID)
		for _, problem := range cl.client().problems() {
			p.add(key(problem.field), problem.err)
		}
		switch {
		case cl.Public && cl.Secret != "":
			p.add(key("secret"), errors.New("a public app has none"))
		case cl.signs() && cl.Secret != "":
			p.add(key("secret"), errors.New("an app with private_key_jwt has none"))
		case !cl.Public && !cl.signs() && len(cl.Secret) < 32:
			p.add(key("secret"), errors.New("needs 32 characters or more: openssl rand -base64 32"))
		}
		if !slices.Contains([]string{"", "required", "optional"}, cl.PKCE) {
			p.add(key("pkce"), errors.New("is neither required nor optional"))
		}
	}
}

// checkServe names every setting with which serving people would be unsafe.
func (c *Config) checkServe() error {
	var p problems
	issuer, err := parseIssuer(c.Issuer)
	if p.add("issuer", err); err == nil && issuer.Scheme != "https" && !onLoopback(issuer.Host) {
		p.add("issuer", errors.New("is http off loopback: passwords and tokens would travel in the clear"))
	}
	if c.TLSCert == "" && !onLoopback(c.Listen) && len(c.Proxies) == 0 {
		p.add("listen", errors.New("is off loopback without TLS: set tls.cert and tls.key, or proxies if one speaks TLS for us"))
	}
	if !onLoopback(c.OperatorListen) && !c.OperatorRemote {
		p.add("operator.listen", errors.New("is off loopback: set operator.allow_remote if its network is closed"))
	}
	if c.KeyRing == "" {
		p.add("keys.ring", errors.New("is missing: make one with `idp keys new-ring`, and keep it apart from the store"))
	}
	if c.SupportEmail == "" {
		p.add("support.email", errors.New("is missing: who cannot reset a password could not reach you"))
	}
	if c.PasswordBlocklist != "" {
		_, err := os.Stat(c.PasswordBlocklist)
		p.add("passwords.blocklist_file", err)
	}
	if c.SupportRegistry != "" {
		p.add("support.registry", registry.Check(c.SupportRegistry))
	}
	for _, key := range []string{c.TLSCert, c.TLSKey} {
		if key != "" {
			_, err := os.Stat(key)
			p.add("tls", err)
		}
	}
	_, err = mail.New(c.mail())
	p.each(err)
	return p.err()
}

// parseIssuer reads an issuer (OpenID Connect Discovery section 3: https, no
// query, no fragment; http is for a machine of one's own).
func parseIssuer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, errors.New("is missing")
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, errors.New("is not an https URL")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(s, "?#"):
		return nil, errors.New("must have no user, query or fragment")
	case strings.HasSuffix(u.Path, "/"):
		return nil, errors.New("must not end in a slash: apps compare it letter for letter")
	case u.Path != "" && (path.Clean(u.Path) != u.Path || strings.Trim(u.EscapedPath(), pathLetters) != ""):
		return nil, errors.New("must have a path of letters, digits, - . _ ~ and single slashes: it is served as it is written")
	}
	return u, nil
}

// pathLetters are those of a path that nobody encodes (RFC 3986 section 2.3).
const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

func listenable(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return errors.New("is not an address such as 127.0.0.1:8080")
	}
	return nil
}

// onLoopback reports whether a host, with or without a port, is this machine.
func onLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func postgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// prefixes reads networks; a single address is a network of one.
func prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			var one netip.Addr
			if one, err = netip.ParseAddr(s); err == nil {
				p, err = one.Prefix(one.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither a network nor an address", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// checkAlgorithm returns nil for what keys can sign with.
func checkAlgorithm(alg string) error {
	all := new(keys.Keys).Algorithms()
	if slices.Contains(all, alg) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", alg, strings.Join(all, ", "))
}
