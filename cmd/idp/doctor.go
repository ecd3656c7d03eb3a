package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	cmd.AddCommand(configurable(&cobra.Command{
		Use:   "check",
		Short: "Say all that keeps `idp serve` from starting",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured(cmd)
			if err != nil {
				return err
			}
			if err := c.checkServe(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
			if note := c.checkpointsLogged(); note != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
			}
			return err
		},
	}, "store", "issuer", "listen", "operator-listen", "log-level"))
	return cmd
}

// checkpointsLogged reports a log that leaves the audit trail's checkpoints out,
// by which a rewritten trail is told from the true one. It is no reason not to
// start.
func (c *Config) checkpointsLogged() error {
	var level slog.Level
	if level.UnmarshalText([]byte(c.LogLevel)) == nil && level > slog.LevelInfo {
		return fmt.Errorf("log.level %s leaves out the audit trail's checkpoints; use info", c.LogLevel)
	}
	return nil
}

func doctorCommand() *cobra.Command {
	return configurable(&cobra.Command{
		Use:   "doctor",
		Short: "Look at all that a server needs, and say what is ill",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured(cmd)
			if err != nil {
				return err
			}
			d := doctor{cmd: cmd, config: c}
			d.examine(cmd.Context())
			if d.ill > 0 {
				return fmt.Errorf("%d of the above needs help", d.ill)
			}
			return nil
		},
	}, "store", "issuer")
}

// doctor examines one thing after the other and prints a line for each.
type doctor struct {
	cmd    *cobra.Command
	config *Config
	ill    int
}

func (d *doctor) examine(ctx context.Context) {
	d.say("settings", "", d.config.checkServe())
	sc, err := d.config.store()
	if err == nil && sc.Ring == nil {
		err = errors.New("keys.ring is missing")
	}
	if err != nil {
		d.say("key ring", "", err)
		return
	}
	d.mail(ctx)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	st, err := store.Open(ctx, sc)
	d.say("store", "schema up to date", err)
	if err != nil {
		return
	}
	defer func() { _ = st.Close() }()
	d.say("clock", fmt.Sprintf("%s from the store's", st.Skew().Round(time.Millisecond)), within(st.Skew(), 2*time.Second))
	d.keys(ctx, st)
	d.mails(ctx, st)
	d.trail(ctx, st)
}

func within(d, most time.Duration) error {
	if d > most || d < -most {
		return fmt.Errorf("%s from the store's: locks and links are measured by it", d)
	}
	return nil
}

// mail connects to the mail server and sends nothing.
func (d *doctor) mail(ctx context.Context) {
	issuer, err := url.Parse(d.config.Issuer)
	if err != nil {
		return
	}
	m, err := d.config.mailer(issuer, nil, nil) // no texts: nothing is sent
	if err == nil {
		err = m.Check(ctx)
	}
	d.say("mail server", "reachable by "+d.config.MailSecurity, err)
}

// keys wants a key that signs now, and a ring that opens it.
func (d *doctor) keys(ctx context.Context, st *store.Store) {
	all, err := st.SigningKeys(ctx)
	signing := 0
	for _, k := range all {
		if keyState(k, st.Now()) == "signs" {
			signing++
		}
	}
	if err == nil && signing == 0 {
		err = errors.New("none signs: start a server, or run `idp keys rotate`")
	}
	d.say("signing keys", fmt.Sprintf("%d sign, %d in all", signing, len(all)), err)
}

// mails wants none dead and none late: links are good for an hour.
func (d *doctor) mails(ctx context.Context, st *store.Store) {
	queued, dead, oldest, err := st.MailStats(ctx)
	switch {
	case err != nil:
	case dead > 0:
		err = fmt.Errorf("%d could not be delivered", dead)
	case oldest > 5*time.Minute:
		err = fmt.Errorf("the oldest of %d waits since %s", queued, oldest.Round(time.Second))
	}
	d.say("mails", fmt.Sprintf("%d waiting", queued), err)
}

// trail wants each row of the audit trail linked, and its checkpoints logged.
func (d *doctor) trail(ctx context.Context, st *store.Store) {
	overdue, err := st.LinksOverdue(ctx)
	switch {
	case err != nil:
	case overdue:
		err = errors.New("rows have waited for more than a minute to be chained: is a server running?")
	default:
		err = d.config.checkpointsLogged()
	}
	d.say("audit trail", "chained", err)
}

func (d *doctor) say(what, well string, err error) {
	verdict, detail := "ok", well
	if err != nil {
		d.ill++
		verdict, detail = "ILL", err.Error()
	}
	fmt.Fprintf(d.cmd.OutOrStdout(), "%-4s %-13s %s\n", verdict, what, detail)
}
