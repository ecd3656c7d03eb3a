package store

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/medximity/idp/flows/account"
)

// mailJob is to send one mail. It only names it.
type mailJob struct {
	Mail string `json:"mail"`
}

// Kind names the job in the queue: stable.
func (mailJob) Kind() string { return "mail" }

// InsertOpts gives more attempts than fit into the hour after which a mail is
// given up, for it is the worker that says when.
func (mailJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mailQueue, MaxAttempts: 100}
}

// mailWorker sends mails: at least once, and only once unless this process
// dies between the mail server's yes and our noting it.
type mailWorker struct {
	river.WorkerDefaults[mailJob]
	store *Store
	send  func(context.Context, Mail) error
}

// Work tries a mail once. A job that comes again after the mail was sent (its
// own completion was lost) finds nothing to do.
func (w *mailWorker) Work(ctx context.Context, job *river.Job[mailJob]) error {
	m, err := w.store.tryMail(ctx, job.Args.Mail)
	if err != nil || m == nil {
		return err
	}
	over := w.store.Now().Sub(m.CreatedAt) >= account.LinkFor
	if over && m.leads() {
		return w.giveUp(ctx, m, errors.New("its link is over"))
	}
	if err = w.store.newest(ctx, m); err == nil {
		err = w.send(ctx, *m)
	}
	switch {
	case err == nil:
		return w.store.endMail(ctx, m.ID, "sent")
	case errors.Is(err, ErrDrop):
		return w.store.endMail(ctx, m.ID, "dropped")
	case over || permanent(err):
		return w.giveUp(ctx, m, err)
	}
	return err
}

// NextRetry comes later each time.
func (w *mailWorker) NextRetry(job *river.Job[mailJob]) time.Time {
	return time.Now().Add(mailWait(job.Attempt))
}

// mailWait is the pause after so many attempts: never more than a minute, for
// a link lives for sixty.
func mailWait(attempts int) time.Duration {
	waits := []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}
	return waits[min(max(attempts, 1), len(waits))-1]
}

func (w *mailWorker) giveUp(ctx context.Context, m *Mail, why error) error {
	w.store.Logger.ErrorContext(ctx, "a mail was given up", "mail", m.ID, "template", m.Template,
		"attempts", m.Attempts, "cause", why.Error())
	return w.store.killMail(ctx, m)
}

// permanent reports whether a sender knows that trying again is of no use.
func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}
