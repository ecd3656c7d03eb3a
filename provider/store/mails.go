package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ErrDrop is what a sender of mails returns when nobody is to get one.
var ErrDrop = errors.New("store: nobody is to get this mail")

// Mail is one mail to send. Whom it goes to is looked up when it is sent.
type Mail struct {
	ID       string // "" when queued
	Template string // the name of its text in templates
	Subject  string // the account it is about, or a shadow key: then it is dropped
	Locale   string
	Data     map[string]any // sealed while it waits, gone once it is sent

	Attempts  int // this one included
	CreatedAt time.Time
}

// The template of the mail with a reset link: worth nothing without it.
const resetMail = "reset"

// leads reports whether the mail is there for a link that lives for an hour.
func (m *Mail) leads() bool {
	return m.Template == resetMail || m.Template == confirmOldMail || m.Template == confirmNewMail
}

// QueueMail queues a mail that no other change causes, with the events that
// tell of it.
func (s *Store) QueueMail(ctx context.Context, m Mail, why ...account.Event) error {
	return s.update(ctx, func(t *tx) error {
		for _, e := range why {
			t.tell(e)
		}
		return s.queueMail(ctx, t, m)
	})
}

// queueMail queues a mail in the transaction that causes it: both happen, or
// neither. The job only names the mail; what it says is sealed in its row.
func (s *Store) queueMail(ctx context.Context, t *tx, m Mail) error {
	data, err := json.Marshal(m.Data)
	if err != nil {
		return fmt.Errorf("store: mail: %w", err)
	}
	m.ID = rand.Text()
	err = t.AddMail(ctx, db.AddMailParams{ID: m.ID, Template: m.Template, Subject: m.Subject,
		Locale: m.Locale, Data: s.Ring.Seal(data, "mails", "data", m.ID), Now: t.now()})
	if err != nil {
		return fmt.Errorf("store: mail: %w", err)
	}
	return s.queueJob(ctx, t, mailJob{m.ID})
}

// tryMail counts an attempt at a mail and returns it, or nil if there is
// nothing to do: it was sent, dropped or given up before.
func (s *Store) tryMail(ctx context.Context, id string) (*Mail, error) {
	r, err := s.w.TryMail(ctx, id)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: mail: %w", err)
	}
	data, err := s.Ring.Open(r.Data, "mails", "data", id)
	if err != nil {
		return nil, err
	}
	m := &Mail{ID: id, Template: r.Template, Subject: r.Subject, Locale: r.Locale,
		Attempts: int(r.Attempts), CreatedAt: at(r.CreatedAt)}
	return m, json.Unmarshal(data, &m.Data)
}

// newest returns ErrDrop for a mail whose link a newer one has replaced: after
// an outage of the mail server only the one that works arrives.
func (s *Store) newest(ctx context.Context, m *Mail) error {
	if m.Template == inviteMail {
		return s.stillInvited(ctx, m)
	}
	if m.Template != resetMail {
		return nil
	}
	n, err := s.q.NewerReset(ctx, db.NewerResetParams{Subject: m.Subject, Than: micros(m.CreatedAt)})
	if err != nil {
		return fmt.Errorf("store: mail: %w", err)
	}
	if n > 0 {
		return ErrDrop
	}
	return nil
}

// stillInvited is newest for an invitation: also one that was withdrawn, or is
// over after an operator had it tried again, does not arrive.
func (s *Store) stillInvited(ctx context.Context, m *Mail) error {
	token, _ := m.Data["token"].(string)
	n, err := s.q.LiveInvitation(ctx, db.LiveInvitationParams{TokenHash: account.HashSecret(token), Now: micros(s.Now())})
	if err != nil {
		return fmt.Errorf("store: mail: %w", err)
	}
	if n == 0 {
		return ErrDrop
	}
	return nil
}

// endMail notes that a mail was "sent" or "dropped", and forgets what it said.
// It outlasts the job's own time and short faults of the database, since a
// mail sent but not noted would be sent again.
func (s *Store) endMail(ctx context.Context, id, state string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for {
		_, err := s.w.EndMail(ctx, db.EndMailParams{ID: id, State: state, Now: micros(s.Now())})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("store: mail: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// killMail gives a mail up. What it said stays, sealed, so that an operator
// may have it tried again (RetryMails); a link of one hour does not, for it is
// over.
func (s *Store) killMail(ctx context.Context, m *Mail) error {
	return s.update(context.WithoutCancel(ctx), func(t *tx) error {
		n, err := t.KillMail(ctx, db.KillMailParams{ID: m.ID, Now: t.now()})
		if err != nil {
			return fmt.Errorf("store: mail: %w", err)
		}
		switch e := (account.Event{Subject: m.Subject, Reason: account.MailError}); {
		case n == 1 && m.Template == resetMail:
			e.Kind = account.ResetRequested
			t.tell(e)
		case n == 1 && m.Template == inviteMail:
			e.Kind = account.Invited
			t.tell(e)
		}
		return nil
	})
}

// RetryMails queues the mails that were given up once more, but for those with
// a link that is over, and returns how many. They are kept for 30 days.
func (s *Store) RetryMails(ctx context.Context) (n int, err error) {
	err = s.update(ctx, func(t *tx) error {
		ids, err := t.Queries.RetryMails(ctx, t.now())
		if err != nil {
			return fmt.Errorf("store: mails: %w", err)
		}
		for _, id := range ids {
			if err := s.queueJob(ctx, t, mailJob{id}); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	return n, err
}

// MailStats counts the mails that wait and those given up, and says how long
// the oldest has waited.
func (s *Store) MailStats(ctx context.Context) (queued, dead int, oldest time.Duration, err error) {
	r, err := s.q.MailStats(ctx)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("store: mails: %w", err)
	}
	if r.Queued > 0 {
		oldest = max(0, s.Now().Sub(at(r.Oldest)))
	}
	return int(r.Queued), int(r.Dead), oldest, nil
}
