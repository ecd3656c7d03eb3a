package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// inbox is a sender of mails under the test's control.
type inbox struct {
	mu    sync.Mutex
	tried []store.Mail
	fail  func(store.Mail) error // nil: none
}

func (i *inbox) send(_ context.Context, m store.Mail) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tried = append(i.tried, m)
	if i.fail == nil {
		return nil
	}
	return i.fail(m)
}

func (i *inbox) tries() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.tried)
}

// work works until the test ends.
func (r *rig) work(w store.Workers) {
	r.Helper()
	stop, err := r.Work(context.Background(), w)
	r.ok(err)
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			r.Error("stop:", err)
		}
	})
}

// until waits for jobs to be done.
func (r *rig) until(what string, done func() bool) {
	r.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-late:
			r.Fatal("never: ", what)
		}
	}
}

// mails counts those in a state; with or without what they said.
func (r *rig) mails(state string, data bool) int {
	r.Helper()
	return r.count("SELECT COUNT(*) FROM mails WHERE state = $1 AND (data IS NOT NULL) = $2", state, data)
}

func notice() store.Mail {
	return store.Mail{Template: "password_changed", Subject: "id-ann", Locale: "ko", Data: map[string]any{"minutes": "30"}}
}

func TestMailIsSentOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		box := new(inbox)
		want := notice()
		r.ok(r.QueueMail(ctx, want))
		if queued, dead, _, err := r.MailStats(ctx); queued != 1 || dead != 0 || err != nil {
			r.Errorf("queued %d, dead %d, %v", queued, dead, err)
		}
		r.work(store.Workers{SendMail: box.send})
		r.until("sent", func() bool { return r.mails("sent", false) == 1 })
		got := box.tried[0]
		if got.ID == "" || got.CreatedAt.IsZero() || got.Attempts != 1 {
			r.Errorf("%+v", got)
		}
		got.ID, got.CreatedAt, got.Attempts = "", time.Time{}, 0
		if diff := cmp.Diff(want, got); diff != "" {
			r.Error(diff)
		}
		// As after a crash before the job's end was noted.
		r.ok(r.QueueJobAgain(ctx, box.tried[0].ID))
		r.until("both jobs done", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE kind = 'mail' AND state = 'completed'") == 2
		})
		if n := box.tries(); n != 1 {
			r.Errorf("sent %d times", n)
		}
	})
}

func TestMailComesAndGoesWithItsTransaction(t *testing.T) {
	onBoth(t, func(r *rig) {
		if err := r.QueueMailAndFail(context.Background(), notice()); err == nil {
			r.Fatal("committed")
		}
		if n := r.count("SELECT COUNT(*) FROM mails") + r.count("SELECT COUNT(*) FROM river_job"); n != 0 {
			r.Errorf("%d rows of a mail that nothing caused", n)
		}
	})
}

func TestMailIsSealed(t *testing.T) {
	onBoth(t, func(r *rig) {
		m := notice()
		m.Data["token"] = "very-secret-link"
		r.ok(r.QueueMail(context.Background(), m))
		n := r.count("SELECT COUNT(*) FROM river_job WHERE CAST(args AS TEXT) LIKE '%very-secret%'")
		if r.Engine() == "postgres" {
			n += r.count("SELECT COUNT(*) FROM mails WHERE position('very-secret'::bytea IN data) > 0")
		} else {
			n += r.count("SELECT COUNT(*) FROM mails WHERE instr(data, CAST('very-secret' AS BLOB)) > 0")
		}
		if n != 0 {
			r.Error("the database can read a link")
		}
	})
}

func TestMailIsTriedAgain(t *testing.T) {
	onBoth(t, func(r *rig) {
		var failed atomic.Bool
		box := &inbox{fail: func(store.Mail) error {
			if failed.Swap(true) {
				return nil
			}
			return errors.New("try later")
		}}
		r.ok(r.QueueMail(context.Background(), notice()))
		r.work(store.Workers{SendMail: box.send})
		r.until("sent", func() bool { return r.mails("sent", false) == 1 })
		if n := box.tries(); n != 2 {
			r.Errorf("tried %d times", n)
		}
	})
	for attempt, want := range map[int]int{1: 1, 2: 5, 3: 15, 4: 30, 5: 60, 60: 60} {
		if got := store.MailRetryAfter(attempt); got != want {
			t.Errorf("after attempt %d a pause of %d s", attempt, got)
		}
	}
}

// Two links asked for while no mail could be sent: the older one opens
// nothing any more, so only the newer one is mailed.
func TestOnlyTheNewestLinkIsMailed(t *testing.T) {
	onBoth(t, func(r *rig) {
		box := new(inbox)
		for range 2 {
			r.ok(r.AskReset(context.Background(), flows.ResetAsk{Subject: "id-ann", By: account.BySelf}))
			r.Move(time.Second)
		}
		r.work(store.Workers{SendMail: box.send})
		r.until("one sent", func() bool { return r.mails("sent", false) == 1 })
		r.until("one dropped", func() bool { return r.mails("dropped", false) == 1 })
		if n := r.count("SELECT COUNT(*) FROM resets r JOIN mails m ON m.created_at = r.sent_at AND m.state = 'sent'"); n != 1 {
			r.Error("it was the older one that was sent")
		}
	})
}

// refusal is an error that will not go away.
type refusal struct{}

func (refusal) Error() string   { return "no such mailbox" }
func (refusal) Permanent() bool { return true }

func TestMailIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		mail   store.Mail
		late   time.Duration
		fail   error
		tried  int
		kept   bool
		mourns int // events that a reset mail could not be sent
	}{
		{"after an hour", notice(), time.Hour, errors.New("down"), 1, true, 0},
		{"when trying is of no use", notice(), 0, refusal{}, 1, true, 0},
		{"its link is over", store.Mail{Template: "reset", Subject: "id-ann"}, time.Hour, nil, 0, false, 1},
		{"a link to nowhere", store.Mail{Template: "reset", Subject: "id-ann"}, 0, refusal{}, 1, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				ctx := context.Background()
				box := &inbox{fail: func(store.Mail) error { return c.fail }}
				r.ok(r.QueueMail(ctx, c.mail))
				r.Move(c.late)
				r.work(store.Workers{SendMail: box.send})
				r.until("dead", func() bool { return r.mails("dead", c.kept) == 1 })
				if n := box.tries(); n != c.tried {
					r.Errorf("tried %d times", n)
				}
				if n := len(r.told(account.ResetRequested)); n != c.mourns {
					r.Errorf("%d events", n)
				}
				if _, dead, _, err := r.MailStats(ctx); dead != 1 || err != nil {
					r.Errorf("dead %d, %v", dead, err)
				}
			})
		})
	}
}

func TestLateMailIsStillSent(t *testing.T) {
	onBoth(t, func(r *rig) {
		box := new(inbox)
		r.ok(r.QueueMail(context.Background(), notice()))
		r.Move(48 * time.Hour)
		r.work(store.Workers{SendMail: box.send})
		r.until("sent", func() bool { return r.mails("sent", false) == 1 })
	})
}

func TestRetryMails(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		var up atomic.Bool
		box := &inbox{fail: func(store.Mail) error {
			if up.Load() {
				return nil
			}
			return refusal{}
		}}
		r.ok(r.QueueMail(ctx, notice()))
		r.ok(r.QueueMail(ctx, store.Mail{Template: "reset", Subject: "id-ann"}))
		r.work(store.Workers{SendMail: box.send})
		r.until("both dead", func() bool { _, dead, _, _ := r.MailStats(ctx); return dead == 2 })
		up.Store(true)
		if n, err := r.RetryMails(ctx); n != 1 || err != nil {
			r.Fatalf("retried %d, %v", n, err)
		}
		r.until("sent", func() bool { return r.mails("sent", false) == 1 })
		if m := box.tried[len(box.tried)-1]; m.Data["minutes"] != "30" {
			r.Errorf("it says %v", m.Data)
		}
	})
}

// A reset asked for by nobody takes the same way as any other, to nowhere.
func TestShadowMailIsDropped(t *testing.T) {
	onBoth(t, func(r *rig) {
		box := &inbox{fail: func(m store.Mail) error { return store.ErrDrop }}
		r.ok(r.AskReset(context.Background(), flows.ResetAsk{Subject: "?nobody", Shadow: true, By: account.BySelf}))
		r.work(store.Workers{SendMail: box.send})
		r.until("dropped", func() bool { return r.mails("dropped", false) == 1 })
		if n := box.tries(); n != 1 {
			r.Errorf("tried %d times", n)
		}
	})
}

// Without a sender mails wait; nothing is lost.
func TestMailWaits(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.ok(r.QueueMail(ctx, notice()))
		r.ok(r.QueueUpkeep(ctx))
		r.work(store.Workers{})
		r.until("the other jobs done", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE state = 'completed'") >= 3
		})
		if r.mails("queued", true) != 1 {
			r.Error("the mail is gone")
		}
		r.Move(5 * time.Minute)
		if queued, _, oldest, err := r.MailStats(ctx); queued != 1 || oldest < 5*time.Minute || err != nil {
			r.Errorf("queued %d for %v, %v", queued, oldest, err)
		}
	})
}

// A stop lets a mail under way finish, and one that hangs is cancelled.
func TestStopDrains(t *testing.T) {
	onBoth(t, func(r *rig) {
		began, finish := make(chan struct{}), make(chan struct{})
		r.ok(r.QueueMail(context.Background(), notice()))
		stop, err := r.Work(context.Background(), store.Workers{SendMail: func(context.Context, store.Mail) error {
			close(began)
			<-finish
			return nil
		}})
		r.ok(err)
		<-began
		stopped := make(chan error)
		go func() { stopped <- stop(context.Background()) }()
		close(finish)
		r.ok(<-stopped)
		if r.mails("sent", false) != 1 {
			r.Error("a mail was sent and not noted")
		}
	})
}

func TestStopCancelsWhatHangs(t *testing.T) {
	onBoth(t, func(r *rig) {
		began := make(chan struct{})
		r.ok(r.QueueMail(context.Background(), notice()))
		stop, err := r.Work(context.Background(), store.Workers{SendMail: func(ctx context.Context, _ store.Mail) error {
			close(began)
			<-ctx.Done()
			return ctx.Err()
		}})
		r.ok(err)
		<-began
		late, cancel := context.WithCancel(context.Background())
		cancel()
		r.ok(stop(late))
		if r.mails("queued", true) != 1 {
			r.Error("a mail that was not sent is lost")
		}
	})
}

// One mail is sent by one of two replicas.
func TestReplicasShareTheWork(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			c := storetest.New(t, engine)
			a, b := open(t, c), open(t, c)
			box := new(inbox)
			a.work(store.Workers{SendMail: box.send})
			b.work(store.Workers{SendMail: box.send})
			for range 20 {
				a.ok(a.QueueMail(context.Background(), notice()))
			}
			a.until("all sent", func() bool { return a.mails("sent", false) == 20 })
			if n := box.tries(); n != 20 {
				t.Errorf("20 mails sent %d times", n)
			}
		})
	}
}

func TestFaultsAreLoggedWithoutNames(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			var log safe
			c := storetest.New(t, engine)
			c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
			r := open(t, c)
			r.ok(r.QueueMail(context.Background(), store.Mail{Template: "locked", Subject: "id-ann", Data: map[string]any{"name": "Ann"}}))
			r.work(store.Workers{SendMail: func(context.Context, store.Mail) error { return refusal{} }})
			r.until("dead", func() bool { return r.mails("dead", true) == 1 })
			text := log.String()
			if !bytes.Contains([]byte(text), []byte("a mail was given up")) || bytes.Contains([]byte(text), []byte("nn")) {
				t.Error(text)
			}
		})
	}
}

// safe is a buffer that is written from several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
