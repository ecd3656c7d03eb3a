package mail

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/wneessen/go-mail"
)

// deliver sends one message on a connection of its own. It returns within the
// timeout, whatever the server does.
func (s *Sender) deliver(ctx context.Context, m *mail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return fault(err)
	}
	err = c.Send(m)
	_ = c.Close() // once the server has the mail, how it says good-bye is all the same
	if m.IsDelivered() {
		return nil
	}
	return fault(err)
}

// Check connects to the mail server, by STARTTLS or TLS and with our password
// as configured, and sends nothing.
func (s *Sender) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return fault(err)
	}
	_ = c.Close()
	return nil
}

func (s *Sender) connect(ctx context.Context) (*mail.Client, error) {
	c, err := mail.NewClient(s.config.Host, s.options(ctx)...)
	if err != nil {
		return nil, err
	}
	return c, c.DialWithContext(ctx)
}

func (s *Sender) options(ctx context.Context) []mail.Option {
	c := s.config
	o := []mail.Option{
		mail.WithPort(c.Port), mail.WithTimeout(c.Timeout), mail.WithTLSConfig(s.tls),
		mail.WithDialContextFunc(s.dialer(ctx)),
		// A server that took the mail and then fails a RSET has it all the
		// same; to try again would send it twice.
		mail.WithoutNoop(), mail.WithoutRset(),
	}
	switch c.Security {
	case TLS:
		o = append(o, mail.WithSSL())
	case None:
		o = append(o, mail.WithTLSPolicy(mail.NoTLS))
	default:
		o = append(o, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.HELO != "" {
		o = append(o, mail.WithHELO(c.HELO))
	}
	if c.Username != "" {
		o = append(o, mail.WithUsername(c.Username), mail.WithPassword(c.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return o
}

// dialer connects, and cuts the connection when the delivery is over: go-mail
// renews its own deadline with each command, so a server that answers one byte
// a minute would hold a worker for ever.
func (s *Sender) dialer(delivery context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(delivery, func() { _ = conn.Close() })
		if s.config.Security != TLS {
			return conn, nil
		}
		secure := tls.Client(conn, s.tls)
		return secure, secure.HandshakeContext(ctx)
	}
}
