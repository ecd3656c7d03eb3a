package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Logout is one app to be told that a session is over.
type Logout struct {
	Client  string     `json:"client"`
	Account account.ID `json:"account"`
	SID     string     `json:"sid"`
}

// queueLogouts has the apps told that were signed in to from what the
// transaction ends, by its own events: whatever ends a session says so, and
// nothing that does can forget the apps.
func (s *Store) queueLogouts(ctx context.Context, t *tx) error {
	var told []string
	for _, e := range t.events {
		if !leaves(e) || slices.Contains(told, e.Subject) {
			continue
		}
		told = append(told, e.Subject)
		if err := s.queueLogoutsOf(ctx, t, e.Subject); err != nil {
			return err
		}
	}
	return nil
}

// leaves reports whether somebody is signed out with an event, as far as apps
// can know: a session that makes room for its next goes on, and so do its apps.
func leaves(e account.Event) bool {
	switch e.Kind {
	case account.SessionEnded:
		return e.Reason != account.Replaced
	case account.GrantRevoked: // of a session that was over before
		return e.Reason == account.PersonAsked || e.Reason == account.SignedOut
	}
	return false
}

func (s *Store) queueLogoutsOf(ctx context.Context, t *tx, id string) error {
	apps, err := t.AppsLeft(ctx, db.AppsLeftParams{Account: id, Now: t.now()})
	if err != nil {
		return fmt.Errorf("store: logout: %w", err)
	}
	for _, a := range apps {
		c, err := clientOf(db.ClientRow{ID: a.Client, Document: a.Document})
		if err != nil {
			return err
		}
		if c.BackchannelLogoutURI == "" {
			continue
		}
		if err := s.queueJob(ctx, t, logoutJob{Logout{c.ID, account.ID(id), sidOf(a.Root)}}); err != nil {
			return err
		}
	}
	return nil
}

// logoutJob is to tell one app.
type logoutJob struct{ Logout }

// Kind names the job in the queue: stable.
func (logoutJob) Kind() string { return "logout" }

// InsertOpts bounds the attempts: an app that is away for longer finds out when
// it refreshes.
func (logoutJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: logoutQueue, MaxAttempts: len(logoutWaits) + 1}
}

// logoutWaits are the pauses between attempts.
var logoutWaits = [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}

// logoutWorker tells apps: at least once, and several times if an answer is
// lost, which does an app no harm.
type logoutWorker struct {
	river.WorkerDefaults[logoutJob]
	log  *slog.Logger
	tell func(context.Context, Logout) error
}

// Work tells an app once.
func (w *logoutWorker) Work(ctx context.Context, job *river.Job[logoutJob]) error {
	err := w.tell(ctx, job.Args.Logout)
	if err != nil && (permanent(err) || job.Attempt >= job.MaxAttempts) {
		w.log.ErrorContext(ctx, "an app was not told of a logout", "client", job.Args.Client,
			"attempts", job.Attempt, "cause", err.Error())
		return nil
	}
	return err
}

// NextRetry comes later each time.
func (w *logoutWorker) NextRetry(job *river.Job[logoutJob]) time.Time {
	return time.Now().Add(logoutWaits[min(max(job.Attempt, 1), len(logoutWaits))-1])
}
