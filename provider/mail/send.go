package mail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// supportRequest is the one mail that is not for the person it is about.
const supportRequest = "support_request"

// The mails of a change of address.
const (
	confirmOld   = "email_confirm_old"
	confirmNew   = "email_confirm_new"
	emailChanged = "email_changed"
)

// transferAgreed tells both people of a transfer how to stop it.
const transferAgreed = "transfer_agreed"

// The mails of an invitation: its link, and what whoever has an account already
// gets instead.
const (
	invite       = "invite"
	caseOpened   = "case_opened"
	caseReply    = "case_reply"
	caseNotice   = "case_notice"
	invitedKnown = "invited_known"
)

// Send renders and delivers one mail. store.ErrDrop means that nobody is to
// get it: the account is gone, disabled, without a proven address, or never
// was. An *Error that is Permanent means that trying again is of no use.
func (s *Sender) Send(ctx context.Context, m store.Mail) error {
	to, lang, err := s.recipient(ctx, m)
	if err != nil {
		return err
	}
	text, err := s.config.Templates.Mail(lang, m.Template, s.data(m))
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.Template, err)
	}
	return s.deliver(ctx, s.message(m, to, text))
}

// recipient says who gets a mail, and in which language.
func (s *Sender) recipient(ctx context.Context, m store.Mail) (address, string, error) {
	if m.Template == supportRequest {
		if s.support.addr == "" {
			return address{}, "", errors.New("mail: no support address is configured")
		}
		return s.support, s.config.Templates.Match(), nil
	}
	if m.Template == invite || m.Template == caseOpened || m.Template == caseReply { // they are in no directory, or not by this address
		to, _ := m.Data["to"].(string)
		a, err := recipientOf(to)
		return a, s.config.Templates.Match(m.Locale), err
	}
	e, err := s.config.Directory.Lookup(ctx, directory.ByID, m.Subject)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return address{}, "", store.ErrDrop
	case err != nil:
		return address{}, "", fmt.Errorf("mail: recipient: %w", err)
	case m.Template == invitedKnown: // goes where an invitation would, whoever has it
	case e.Disabled && !saysGoodbye(m) || !e.EmailVerified:
		return address{}, "", store.ErrDrop
	}
	to, err := mailbox(m, e)
	if err != nil {
		return address{}, "", err
	}
	a, err := recipientOf(to)
	return a, s.config.Templates.Match(e.Locale, m.Locale), err
}

func recipientOf(to string) (address, error) {
	addr, err := parseBare(to)
	if err != nil {
		return address{}, &Error{During: "reading the recipient", cause: err, final: true}
	}
	return address{addr: addr}, nil
}

// saysGoodbye reports whether a mail tells that an account is disabled.
func saysGoodbye(m store.Mail) bool { return m.Template == "team" && m.Data["what"] == "deactivated" }

// mailbox returns where a mail goes: to the person's address in the directory,
// whatever was queued (CVE-2017-18908). Only a change of address goes elsewhere
// as well: the link that proves the new one, and the news to the old one.
func mailbox(m store.Mail, e *directory.Entry) (string, error) {
	to, ok := m.Data["to"].(string)
	switch {
	case m.Template == confirmNew && !ok: // the old address must not confirm both
		return "", &Error{During: "reading the recipient", cause: errAddress, final: true}
	case ok && (m.Template == confirmNew || m.Template == emailChanged):
		return to, nil
	}
	return e.Email, nil
}

// data is what the template gets: what was queued, and links made of it. The
// secrets in the links are not handed on by themselves.
func (s *Sender) data(m store.Mail) map[string]any {
	d := maps.Clone(m.Data)
	if d == nil {
		d = map[string]any{}
	}
	delete(d, "to")
	path := "/reset-password"
	switch m.Template {
	case confirmOld, confirmNew:
		path = "/confirm-email"
	case transferAgreed:
		path = "/ownership"
	case invite:
		path = "/invite"
	case caseOpened:
		path = "/contact-support/case"
	case caseNotice:
		path = "/contact-support/stop"
	}
	for secret, link := range map[string]struct{ name, path string }{
		"token":  {"link", path},
		"cancel": {"cancel_link", path + "/cancel"},
		"not_me": {"not_me_link", "/not-me"},
	} {
		if v, ok := d[secret].(string); ok {
			d[link.name] = s.link(link.path, url.Values{"token": {v}})
			delete(d, secret)
		}
	}
	d["support_link"] = s.link("/contact-support", nil)
	d["forgot_link"] = s.link("/forgot-password", nil)
	d["security_link"] = s.link("/account/security", nil)
	d["ownership_link"] = s.link("/account/ownership", nil)
	d["login_link"] = s.link("/login", nil)
	return d
}

// link returns a URL of ours. Its origin is the issuer's, whatever host a
// request came by.
func (s *Sender) link(path string, query url.Values) string {
	u := *s.config.Issuer
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawPath = ""
	u.RawQuery = query.Encode()
	return u.String()
}

// message puts a mail together: plain text first, HTML after it (RFC 2046
// section 5.1.4: the best comes last).
func (s *Sender) message(m store.Mail, to address, text templates.Mail) *mail.Msg {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from.header())
	msg.ToMailAddress(to.header())
	if s.replyTo.addr != "" {
		msg.ReplyToMailAddress(s.replyTo.header())
	}
	msg.Subject(oneLine(text.Subject))
	msg.SetDate()
	// One mail has one id however often it is tried, so that a receiver can
	// tell a copy (RFC 5322 section 3.6.4).
	msg.SetMessageIDWithValue(messageID(m.ID, s.from.addr))
	// RFC 3834 section 5: no out-of-office note comes back.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, text.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, text.HTML)
	return msg
}

func messageID(id, from string) string {
	_, domain, _ := strings.Cut(from, "@")
	safe := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, id)
	return safe + "@" + domain
}
