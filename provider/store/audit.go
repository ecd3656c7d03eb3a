package store

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// audit writes an event to the trail, in the transaction that makes it true.
func (t *tx) audit(ctx context.Context, e account.Event) error {
	a := db.AddAuditParams{
		ID:        auditID(micros(e.At)),
		At:        micros(e.At),
		Kind:      string(e.Kind),
		Actor:     e.Actor,
		Subject:   e.Subject,
		Practice:  string(e.Practice),
		Step:      e.Step,
		Reason:    string(e.Reason),
		Initiator: string(e.By),
		Source:    string(e.Source),
	}
	if e.Factor != 0 {
		a.Factor = e.Factor.String()
	}
	return t.AddAudit(ctx, a)
}

// auditID sorts by time and is unique without asking the database.
func auditID(us int64) string { return fmt.Sprintf("%013x-%s", us, rand.Text()[:13]) }
