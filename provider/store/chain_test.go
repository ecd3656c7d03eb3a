package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// trail writes n rows of the audit trail, in transactions of some, each a
// while after the other.
func (r *rig) trail(n int, apart time.Duration) {
	r.Helper()
	for i := 0; i < n; {
		var some []account.Event
		for ; i < n && len(some) <= i%4; i++ {
			some = append(some, account.Event{Kind: account.SignInFailed, Subject: fmt.Sprint("id-", i%7),
				Practice: "acme", Step: "password", Factor: account.Password, Reason: account.BadCredentials,
				Source: account.Source(fmt.Sprintf("192.0.2.%d", i%250))})
		}
		r.ok(r.Tell(context.Background(), some...))
		r.Move(apart)
	}
}

// late writes a row that is dated a while ago.
func (r *rig) late(ago time.Duration) (id string) {
	r.Helper()
	at := r.Now().Add(-ago)
	id = store.AuditIDAt(at)
	r.ok(r.Do("INSERT INTO audit (id, at, kind) VALUES ($1, $2, 'signed_in')", id, at.UnixMicro()))
	return id
}

// verified is the report of a trail, which must be sound.
func (r *rig) verified(marks ...store.Checkpoint) store.Report {
	r.Helper()
	rep, err := r.Verify(context.Background(), marks)
	r.ok(err)
	if rep.Fault != nil || rep.Bad > 0 {
		r.Fatalf("%+v %+v", rep, rep.Fault)
	}
	return rep
}

func TestChain(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		if rep := r.verified(); rep.Rows != 0 || rep.Unchained != 0 {
			r.Errorf("%+v", rep)
		}
		const n = 2*store.ChainBatch + 7
		r.trail(n, time.Millisecond)
		if rep := r.verified(); rep.Unchained != n {
			r.Errorf("%+v", rep)
		}
		r.asked()
		r.ok(r.Chain(ctx, false))
		statements := strings.Count(strings.Join(r.asked(), " "), "AddLinks")
		if rep := r.verified(); rep.Rows != n || rep.Last != n || rep.Unchained != 0 || statements > 8 {
			r.Errorf("%+v in %d statements", rep, statements)
		}
		mark, err := r.Checkpoint(ctx)
		r.ok(err)
		r.ok(r.Chain(ctx, false)) // again: nothing
		r.trail(3, time.Second)
		r.ok(r.Chain(ctx, false))
		if rep := r.verified(mark); rep.Rows != n+3 || rep.Checkpoints != 1 {
			r.Errorf("%+v", rep)
		}
	})
}

// Replicas that link at once make one chain.
func TestChainTogether(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		other := open(r.T, r.Config)
		var writers, chainers sync.WaitGroup
		for _, s := range []*rig{r, other} {
			writers.Go(func() { s.trail(150, 0) })
		}
		done := make(chan struct{})
		for _, s := range []*rig{r, other, r} {
			chainers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if err := s.Chain(ctx, true); err != nil {
						s.Error(err)
						return
					}
				}
			})
		}
		writers.Wait()
		close(done)
		chainers.Wait()
		r.ok(r.Chain(ctx, false))
		if rep := r.verified(); rep.Rows != 300 || rep.Last != 300 || rep.Unchained != 0 {
			r.Errorf("%+v", rep)
		}
	})
}

// A replica that dies between two batches leaves a chain to go on with.
func TestChainCrash(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			c := storetest.New(t, engine)
			ctx, die := context.WithCancel(context.Background())
			r := open(t, c)
			r.trail(store.ChainBatch+20, 0)
			statements := 0
			c.Queries = func(name string, _ time.Duration, _ error) {
				if name == "AddLinks" {
					statements++
				}
				if statements == 3 { // the first of the second batch
					die()
				}
			}
			if err := storetest.Open(t, c).Chain(ctx, false); err == nil {
				t.Fatal("it did not die")
			}
			if rep := r.verified(); rep.Rows != store.ChainBatch || rep.Unchained != 20 {
				t.Errorf("%+v", rep)
			}
			r.ok(r.Chain(context.Background(), false))
			if rep := r.verified(); rep.Rows != store.ChainBatch+20 {
				t.Errorf("%+v", rep)
			}
		})
	}
}

// Ids come late and out of order: that is no damage. Ids far in the past are.
func TestChainLateRows(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.trail(3, time.Second)
		r.ok(r.Chain(ctx, false))
		for _, c := range []struct {
			name   string
			ago    time.Duration
			far    bool
			linked bool
		}{
			{"a clock two seconds behind", 3 * time.Second, false, true},
			{"a long transaction, at a usual look", time.Minute, false, false},
			{"a long transaction, at a look of each minute", time.Minute, true, true},
			{"a clock two seconds ahead", -2 * time.Second, false, true},
		} {
			before := r.count("SELECT COUNT(*) FROM audit_chain")
			r.late(c.ago)
			r.ok(r.Chain(ctx, c.far))
			if got := r.count("SELECT COUNT(*) FROM audit_chain") > before; got != c.linked {
				r.Errorf("%s: linked is %v", c.name, got)
			}
			r.verified()
		}
		for _, ago := range []time.Duration{time.Hour, 400 * 24 * time.Hour, -time.Hour} {
			id := r.late(ago)
			r.ok(r.Chain(ctx, true))
			rep, err := r.Verify(ctx, nil)
			r.ok(err)
			if f := rep.Fault; f == nil || f.ID != id || f.Damage != store.Inserted {
				r.Errorf("dated %v ago: %+v", ago, f)
			}
			r.ok(r.Do("DELETE FROM audit WHERE id = $1", id))
		}
	})
}

// A clock that was ahead for a while leaves nothing out.
func TestChainClockJumps(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		for _, jump := range []time.Duration{0, 26 * time.Hour, -26 * time.Hour, time.Hour} {
			r.Move(jump)
			r.trail(5, time.Millisecond)
			r.ok(r.Chain(ctx, false))
		}
		if rep := r.verified(); rep.Rows != 20 {
			r.Errorf("%+v", rep)
		}
	})
}

// Rows that are too old leave a rest that verifies, from wherever it begins.
func TestChainSweep(t *testing.T) {
	const year = 365 * 24 * time.Hour
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.trail(700, time.Second)
		r.ok(r.Chain(ctx, false))
		first, err := r.Checkpoint(ctx)
		r.ok(err)
		r.Move(3 * year)
		r.trail(9, time.Second) // and not linked: the sweep does it
		r.Move(4 * year)
		r.ok(r.Sweep(ctx))
		if rep := r.verified(first); rep.Rows != 9 || rep.Last != 709 || rep.Checkpoints != 1 {
			r.Errorf("%+v", rep) // the checkpoint is that of the last one swept
		}
		if n := r.count("SELECT COUNT(*) FROM audit"); n != 9 {
			r.Errorf("%d rows", n)
		}
		r.Move(3 * year)
		r.ok(r.Sweep(ctx))
		if rep := r.verified(first); rep.Rows != 0 {
			r.Errorf("%+v", rep)
		}
		r.trail(2, time.Second)
		r.ok(r.Chain(ctx, false))
		if rep := r.verified(); rep.Rows != 2 || rep.Last != 711 {
			r.Errorf("%+v", rep)
		}
	})
}

// The sweep takes no evidence away, and does not finish a tamperer's work.
func TestChainSweepRefuses(t *testing.T) {
	tables := []string{"audit", "audit_chain", "audit_anchor"}
	onBoth(t, func(r *rig) {
		r.trail(5, time.Second)
		r.ok(r.Chain(r.Context(), false))
		r.Move(7 * 365 * 24 * time.Hour)
		for _, table := range tables {
			r.ok(r.Do("CREATE TABLE kept_" + table + " AS SELECT * FROM " + table))
		}
		for _, c := range []struct{ name, tamper string }{
			{"an altered row", `UPDATE audit SET subject = 'x'
				WHERE id = (SELECT row_id FROM audit_chain WHERE seq = 2)`},
			{"links dated back", "UPDATE audit_chain SET row_id = '0000000000001-AAAAAAAAAAAAA' WHERE seq = 1"},
			{"a forged beginning", `UPDATE audit_anchor
				SET seq = 2, hash = (SELECT hash FROM audit_chain WHERE seq = 2)`},
			{"a deleted row", "DELETE FROM audit WHERE id = (SELECT row_id FROM audit_chain WHERE seq = 1)"},
			{"a deleted beginning", "DELETE FROM audit_chain WHERE seq <= 2"},
		} {
			r.ok(r.Do(c.tamper))
			left := func() [2]int {
				return [2]int{r.count("SELECT COUNT(*) FROM audit"), r.count("SELECT seq FROM audit_anchor")}
			}
			before := left()
			err := r.Sweep(r.Context())
			if err == nil || !strings.Contains(err.Error(), "idp audit verify") {
				r.Errorf("%s: %v", c.name, err)
			}
			if now := left(); now != before {
				r.Errorf("%s: rows and anchor were %d and are %d", c.name, before, now)
			}
			for _, table := range tables {
				r.ok(r.Do("DELETE FROM " + table))
				r.ok(r.Do("INSERT INTO " + table + " SELECT * FROM kept_" + table))
			}
		}
		r.ok(r.Sweep(r.Context()))
		if rep := r.verified(); rep.Rows != 0 || r.count("SELECT COUNT(*) FROM audit") != 0 {
			r.Errorf("%+v", rep)
		}
	})
}

// The trail may be verified while it is written, linked and swept.
func TestVerifyBesideSweep(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.trail(1200, time.Second)
		r.ok(r.Chain(ctx, true))
		r.Move(6*365*24*time.Hour - 10*time.Minute)
		c := r.Config
		swept := false
		c.Queries = func(name string, _ time.Duration, _ error) {
			if name == "Anchor" && !swept { // between the anchor and the first page
				swept = true
				r.Move(6 * time.Minute)
				r.ok(r.Sweep(ctx))
			}
		}
		rep, err := storetest.Open(r.T, c).Verify(ctx, nil)
		r.ok(err)
		if rep.Fault != nil || !swept || rep.Last != 1200 || rep.Rows == 0 || rep.Rows == 1200 {
			r.Errorf("%+v %+v", rep, rep.Fault)
		}
	})
}

// Checkpoints are written while there is something new, and say what Verify
// then takes.
func TestCheckpoints(t *testing.T) {
	onBoth(t, func(r *rig) {
		var log bytes.Buffer
		c := r.Config
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
		note := storetest.Open(r.T, c).Noter()
		ctx := context.Background()
		r.ok(note(ctx)) // of an empty trail: none
		for range 2 {
			r.trail(3, time.Second)
			r.ok(r.Chain(ctx, false))
			r.ok(note(ctx))
			r.ok(note(ctx)) // nothing new
		}
		mark, err := r.Checkpoint(ctx)
		r.ok(err)
		if n := strings.Count(log.String(), "audit checkpoint"); n != 2 ||
			!strings.Contains(log.String(), fmt.Sprintf(`"sequence":6,"hash":"%s","mac":"%s"}`, mark.Hash, mark.MAC)) {
			r.Errorf("%d checkpoints:\n%s", n, log.String())
		}
		r.ok(r.Do("DELETE FROM audit WHERE id = (SELECT row_id FROM audit_chain WHERE seq = 6)"))
		r.ok(r.Do("DELETE FROM audit_chain WHERE seq = 6"))
		r.ok(note(ctx))
		if !strings.Contains(log.String(), "audit trail was cut") {
			r.Error("the cut was not seen at once")
		}
	})
}

// When nothing is new, a look is one statement, and asks for no job.
func TestChainLooks(t *testing.T) {
	onBoth(t, func(r *rig) {
		look := r.Looker()
		for _, step := range []struct {
			name string
			do   func()
			due  bool
		}{
			{"empty", func() {}, false},
			{"a row", func() { r.trail(1, 0) }, true},
			{"still", func() {}, true},
			{"linked", func() { r.ok(r.Chain(r.Context(), false)) }, false},
			{"idle", func() {}, false},
			{"a late row", func() { r.late(3 * time.Second) }, true},
		} {
			step.do()
			r.asked()
			due := look()
			if asked := r.asked(); due != step.due || step.name == "idle" && len(asked) != 1 {
				r.Errorf("%s: due is %v, asked %v", step.name, due, asked)
			}
		}
	})
}

// Whoever works links what is written, without being told.
func TestChainInTheBackground(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.work(store.Workers{})
		for n := 1; n <= 2; n++ {
			r.trail(1, 0)
			r.until("linked", func() bool { return r.count("SELECT COUNT(*) FROM audit_chain") == n })
		}
		r.verified()
	})
}

// doctor asks whether the trail waits for its links.
func TestLinksOverdue(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		overdue := func(want bool, when string) {
			r.Helper()
			if got, err := r.LinksOverdue(ctx); got != want || err != nil {
				r.Errorf("%s: %v, %v", when, got, err)
			}
		}
		overdue(false, "no rows")
		r.trail(3, time.Millisecond)
		overdue(false, "rows of just now")
		r.Move(2 * time.Minute)
		overdue(true, "two minutes later")
		r.ok(r.Chain(ctx, true))
		overdue(false, "chained")
		r.trail(1, 2*time.Minute)
		overdue(true, "one more")
	})
}
