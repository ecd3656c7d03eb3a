// Package mail sends what Medximity ID has to say to people: reset links and
// notices, by SMTP, in the language of whoever gets them.
//
// It is told whom a mail is about, never where it goes: the address is looked
// up in the directory at the moment of sending, so nothing that anybody typed
// into a page becomes a recipient; but for the link that proves a new address,
// and an invitation, which may only go to whom nobody knows yet. Links carry the configured issuer, never a
// request's Host. It keeps no queue and retries nothing: package store does,
// and calls Send again.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/templates"
)

// Security says how the connection to the mail server is protected.
type Security string

// The ways.
const (
	StartTLS Security = "starttls" // refused if the server does not offer it
	TLS      Security = "tls"      // from the first byte (RFC 8314 section 3.3)
	None     Security = "none"     // to a server on this machine only
)

// Config is all that a Sender is made of. Host, From, Issuer, Directory and
// Templates are needed.
type Config struct {
	Host     string
	Port     int      // 0: 587, 465 or 25, as Security has it
	Security Security // "": StartTLS
	Username string   // "": no authentication
	Password string
	CAFile   string        // PEM certificates to trust instead of the system's
	HELO     string        // "": the machine's name
	Timeout  time.Duration // of a whole delivery, greeting to good-bye; 0: 15 s

	From    string // address, with or without a name
	ReplyTo string // "": none
	Support string // where the contact form goes; "": those mails fail

	Issuer    *url.URL
	Directory People
	Templates *templates.Set
}

// People is what a Sender needs of a directory.
type People interface {
	Lookup(ctx context.Context, by directory.By, value string) (*directory.Entry, error)
}

// Sender sends mails. It is safe for concurrent use; each delivery has a
// connection of its own.
type Sender struct {
	config  Config
	tls     *tls.Config
	from    address
	replyTo address
	support address
}

// New checks the configuration and returns a Sender. It does not connect.
func New(c Config) (*Sender, error) {
	c.fill()
	s := &Sender{config: c}
	var errs []error
	keep := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	var err error
	keep("mail.host", c.checkHost())
	s.from, err = parseNamed(c.From)
	keep("mail.from", err)
	if c.ReplyTo != "" {
		s.replyTo, err = parseNamed(c.ReplyTo)
		keep("mail.reply_to", err)
	}
	if c.Support != "" {
		s.support, err = parseNamed(c.Support)
		keep("support.email", err)
	}
	s.tls, err = c.tlsConfig()
	keep("mail.ca_file", err)
	return s, errors.Join(errs...)
}

func (c *Config) fill() {
	if c.Security == "" {
		c.Security = StartTLS
	}
	if c.Port == 0 {
		c.Port = map[Security]int{StartTLS: 587, TLS: 465, None: 25}[c.Security]
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
}

// checkHost refuses what would send passwords and links in the clear.
func (c *Config) checkHost() error {
	switch c.Security {
	case StartTLS, TLS:
	case None:
		if !loopback(c.Host) {
			return fmt.Errorf("%q needs starttls or tls: only a server on this machine may go without", c.Host)
		}
	default:
		return fmt.Errorf("security %q is none of starttls, tls and none", c.Security)
	}
	if c.Host == "" {
		return errors.New("is missing")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (c *Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("has no PEM certificate")
	}
	return t, nil
}
