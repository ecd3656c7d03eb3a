package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// AuditQuery says which rows of the trail are wanted. Zero fields want all.
type AuditQuery struct {
	Practice     account.PracticeID
	Person       account.ID // as the one it happened to, or the one who acted
	Since, Until time.Time  // from the first on, and before the second
}

// AuditRow is one row of the trail. It names nobody but by ID.
type AuditRow struct {
	ID       string    `json:"id"`
	Sequence int64     `json:"sequence,omitempty"` // in the chain; 0: not chained yet
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Actor    string    `json:"actor,omitempty"` // "": the subject, or nobody
	Subject  string    `json:"subject,omitempty"`
	Practice string    `json:"practice,omitempty"`
	Step     string    `json:"step,omitempty"`
	Factor   string    `json:"factor,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"initiator,omitempty"`
	Source   string    `json:"source,omitempty"`
}

// ExportAudit hands over the rows that are wanted, the oldest first, page by
// page: the trail may be larger than memory. Rows written meanwhile may be
// missing. It ends with the first error of each.
func (s *Store) ExportAudit(ctx context.Context, q AuditQuery, each func(AuditRow) error) error {
	arg := db.ExportAuditParams{Practice: string(q.Practice), Person: string(q.Person),
		Since: micros(q.Since), Until: math.MaxInt64, Most: batch}
	if !q.Until.IsZero() {
		arg.Until = micros(q.Until)
	}
	for {
		rows, err := s.q.ExportAudit(ctx, arg)
		if err != nil {
			return fmt.Errorf("store: audit: %w", err)
		}
		for _, r := range rows {
			row := AuditRow{ID: r.ID, Sequence: r.Seq, At: at(r.At), Kind: r.Kind, Actor: r.Actor, Subject: r.Subject,
				Practice: r.Practice, Step: r.Step, Reason: r.Reason, By: r.Initiator, Source: r.Source}
			if r.Factor != "none" {
				row.Factor = r.Factor
			}
			if err := each(row); err != nil {
				return err
			}
			arg.After = r.ID
		}
		if len(rows) < batch {
			return nil
		}
	}
}
