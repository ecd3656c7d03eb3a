package store

import (
	"context"
	"errors"
)

// Sweep is the job that deletes what is over.
func (s *Store) Sweep(ctx context.Context) error { return s.sweep(ctx, 0) }

// QueueMailAndFail queues a mail in a transaction that comes to nothing.
func (s *Store) QueueMailAndFail(ctx context.Context, m Mail) error {
	return s.update(ctx, func(t *tx) error {
		return errors.Join(s.queueMail(ctx, t, m), errors.New("something else failed"))
	})
}

// QueueJobAgain queues another job for a mail, as a rescue after a crash does.
func (s *Store) QueueJobAgain(ctx context.Context, mail string) error {
	return s.update(ctx, func(t *tx) error { return s.queueJob(ctx, t, mailJob{mail}) })
}

// QueueUpkeep queues what is otherwise queued by the clock.
func (s *Store) QueueUpkeep(ctx context.Context) error {
	return s.update(ctx, func(t *tx) error {
		return errors.Join(s.queueJob(ctx, t, clearJob{}), s.queueJob(ctx, t, sweepJob{}), s.queueJob(ctx, t, rotateJob{}))
	})
}

// MailRetryAfter is how long a mail waits after so many attempts.
func MailRetryAfter(attempt int) int { return int(mailWait(attempt).Seconds()) }
