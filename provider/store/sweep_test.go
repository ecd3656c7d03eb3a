package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// rows counts what the sweep is about.
func (r *rig) rows() map[string]int {
	r.Helper()
	n := map[string]int{}
	for _, table := range []string{"flows", "sessions", "grants", "reset_links", "resets", "mails", "sources", "audit"} {
		n[table] = r.count("SELECT COUNT(*) FROM " + table)
	}
	return n
}

// What is over goes in its time, and nothing before.
func TestSweep(t *testing.T) {
	const day = 24 * time.Hour
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, _ := r.redeemed("ann") // with its flow and session
		a := attempt(g.Account)
		a.Source = "192.0.2.1"
		r.wrong(a, 1)
		r.ok(r.AskReset(ctx, flows.ResetAsk{Subject: string(g.Account), By: account.BySelf}))
		r.ok(r.QueueMail(ctx, notice()))
		r.ok(r.Do("UPDATE mails SET state = 'sent', data = NULL WHERE template = 'reset'"))
		r.ok(r.Do("UPDATE mails SET state = 'dead' WHERE template <> 'reset'"))
		var at time.Duration
		for _, step := range []struct {
			at   time.Duration
			gone map[string]int // rows left of each table that lost some
		}{
			{59 * time.Minute, nil},
			{61 * time.Minute, nil}, // the flow is over; its app is not forgotten
			{2 * time.Hour, map[string]int{"sources": 0}},
			{13*time.Hour - time.Minute, nil}, // the session is over
			{13*time.Hour + time.Minute, map[string]int{"flows": 0}},
			{15 * time.Hour, map[string]int{"sessions": 0}},
			{7*day - time.Hour, nil},
			{7*day + time.Hour, map[string]int{"resets": 0, "reset_links": 0, "mails": 1}},
			{31 * day, map[string]int{"mails": 0}},
			{90*day + time.Hour, nil}, // the family is over; replays are recognised
			{92 * day, map[string]int{"grants": 0}},
			{6*365*day - time.Hour, nil},
			{6*365*day + time.Hour, map[string]int{"audit": 0}},
		} {
			r.Move(step.at - at)
			at = step.at
			before := r.rows()
			r.ok(r.Sweep(ctx))
			for table, n := range r.rows() {
				want, gone := step.gone[table]
				if !gone {
					want = before[table]
				}
				if n != want {
					r.Errorf("after %v %d rows of %s, want %d", step.at, n, table, want)
				}
			}
		}
	})
}

// A heap of rows goes in batches, each a statement of its own.
func TestSweepInBatches(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.ok(r.Do(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)
			INSERT INTO flows (id, kind, browser, started_at, expires_at)
			SELECT 'f' || CAST(i AS TEXT), 'login', $1, 1, i FROM n`, []byte("b")))
		r.asked()
		r.ok(r.Sweep(context.Background()))
		batches := 0
		for _, q := range r.asked() {
			if q == "SweepFlows" {
				batches++
			}
		}
		if left := r.count("SELECT COUNT(*) FROM flows"); left != 0 || batches != 4 {
			r.Errorf("%d rows left after %d batches", left, batches)
		}
	})
}

// A lock that nobody comes to see end is ended by a job, with its event.
func TestUpkeepEndsLocks(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.wrong(attempt(r.person("ann")), 5)
		r.Move(account.LockFor)
		rotated := make(chan struct{}, 1)
		r.ok(r.QueueUpkeep(context.Background()))
		r.work(store.Workers{RotateKeys: func(context.Context) error { rotated <- struct{}{}; return nil }})
		<-rotated
		r.until("cleared", func() bool { return len(r.told(account.LockCleared)) == 1 })
		if e := r.told(account.LockCleared)[0]; e.By != account.ByTimeout {
			r.Errorf("%+v", e)
		}
	})
}

// A fault of one job is neither its end nor anyone else's.
func TestUpkeepFails(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.ok(r.QueueUpkeep(context.Background()))
		r.work(store.Workers{RotateKeys: func(context.Context) error { panic("a fault") }})
		r.until("discarded", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE kind = 'rotate_keys' AND state = 'discarded'") == 1
		})
		r.until("the others done", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE state = 'completed'") == 2
		})
		r.ok(r.QueueUpkeep(context.Background()))
		r.until("tried anew", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE kind = 'rotate_keys' AND state = 'discarded'") == 2
		})
	})
}
