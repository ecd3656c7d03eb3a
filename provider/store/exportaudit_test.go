package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// Page by page and in order, each row once; and only what was asked for.
func TestExportAudit(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		for range 1203 { // three pages
			r.ok(r.QueueMail(ctx, store.Mail{}, account.Event{Kind: account.LanguageChanged, Subject: "billing-zenith"}))
		}
		middle := r.Now()
		_, err := r.SetMemberRole(ctx, owner, "billing-acme", account.FrontDesk)
		r.ok(err)
		export := func(q store.AuditQuery) (rows []store.AuditRow) {
			r.Helper()
			r.ok(r.ExportAudit(ctx, q, func(a store.AuditRow) error { rows = append(rows, a); return nil }))
			return rows
		}
		all := export(store.AuditQuery{})
		if want := r.count("SELECT COUNT(*) FROM audit"); len(all) != want || want < 1203 {
			r.Errorf("%d rows of %d", len(all), want)
		}
		for i := 1; i < len(all); i++ {
			if all[i].ID <= all[i-1].ID || all[i].At.Before(all[i-1].At.Add(-time.Millisecond)) {
				r.Fatalf("row %d is out of order", i)
			}
		}
		for name, tc := range map[string]struct {
			q    store.AuditQuery
			want int
		}{
			"a practice":             {store.AuditQuery{Practice: "acme"}, 5},
			"a person":               {store.AuditQuery{Person: "billing-acme"}, 2},
			"one who acted":          {store.AuditQuery{Person: "owner-acme"}, 2},
			"since":                  {store.AuditQuery{Since: middle}, 1},
			"until":                  {store.AuditQuery{Practice: "acme", Until: middle}, 4},
			"until before the start": {store.AuditQuery{Until: time.Unix(1, 0)}, 0},
			"nobody":                 {store.AuditQuery{Person: "nobody"}, 0},
		} {
			if got := export(tc.q); len(got) != tc.want {
				r.Errorf("%s: %d rows, want %d", name, len(got), tc.want)
			}
		}
		broken := errors.New("the disk is full")
		if err := r.ExportAudit(ctx, store.AuditQuery{}, func(store.AuditRow) error { return broken }); !errors.Is(err, broken) {
			r.Errorf("an error of the reader: %v", err)
		}
	})
}
