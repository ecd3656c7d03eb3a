package store

import (
	"context"
	"time"
)

// Mail is one mail to send. Whom it goes to is looked up when it is sent.
type Mail struct {
	ID       string
	Template string // the name of its text in templates
	Subject  string // the account it is about, or a shadow key: then it is dropped
	Locale   string
	Data     map[string]any

	Attempts  int
	CreatedAt time.Time
}

// queueMail queues a mail in the transaction that causes it.
func (s *Store) queueMail(ctx context.Context, t *tx, m Mail) error { return nil }
