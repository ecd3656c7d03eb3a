package store_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// again is how often a race is run: each time with a case of its own.
const again = 4

// together starts all at one moment and returns what each of them returned.
func together(fs ...func() error) []error {
	errs := make([]error, len(fs))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// race runs a race on both engines, over and over.
func race(t *testing.T, f func(d *deskRig)) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		for n := range again {
			if n > 0 {
				d.open()
			}
			f(d)
		}
	})
}

// Two agents at once are two approvals, one wait, and one notice to each who may
// stop it.
func TestTwoAgentsApproveAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.member("henry", account.Owner)
		for n := range again {
			if n > 0 {
				d.open()
			}
			d.verified(flows.RestoreSecond)
			for _, err := range together(d.approving(d.one), d.approving(d.two)) {
				d.ok(err)
			}
			d.is(flows.CaseWaiting)
			d.want("approvals", d.now().Approvals, 2)
			d.want("in the log", d.logged(flows.CaseApprove), 2)
			d.want("waits in the trail", d.trail(account.CaseWaiting), 1)
			d.want("links", d.count("SELECT COUNT(*) FROM case_links WHERE case_id = $1", d.id), 2)
			d.want("notices", d.mailed("case_notice"), 2*(n+1))
		}
	})
}

// One agent is one agent, in however many windows.
func TestOneAgentApprovesTwentyTimesAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.verified(flows.RestoreSecond)
		var twenty []func() error
		for range 20 {
			twenty = append(twenty, d.approving(d.one))
		}
		errs := together(twenty...)
		d.want("got through", succeeded(errs), 1)
		for _, err := range errs {
			if err != nil {
				d.refused(err, store.Twice)
			}
		}
		d.is(flows.CaseApproved)
		d.want("approvals", d.count("SELECT COUNT(*) FROM case_approvals"), 1)
		d.want("in the log", d.logged(flows.CaseApprove), 1)
		d.want("in the trail", d.count("SELECT COUNT(*) FROM audit WHERE kind = 'case_changed' AND reason = 'approve'"), 1)
		d.want("refusals counted", len(d.told(account.CaseRefused)), 19)
		d.want("notices", d.mailed("case_notice"), 0)
	})
}

// Whoever withdraws a case while it is approved has withdrawn it.
func TestApprovalAgainstWithdrawal(t *testing.T) {
	race(t, func(d *deskRig) {
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		d.ok(d.approve(d.one))
		notices := d.mailed("case_notice")
		was := false
		errs := together(
			d.approving(d.two),
			func() (err error) { was, err = d.WithdrawCase(ctx, d.link, ""); return err })
		if d.ok(errs[1]); !was {
			d.Error("it was not withdrawn")
		}
		approved := 1
		if errs[0] != nil {
			d.refused(errs[0], store.NotNow)
			approved = 0
		}
		d.want("in the log", d.logged(flows.CaseApprove), 1+approved)
		d.want("waits", d.trail(account.CaseWaiting), approved)
		d.want("notices", d.mailed("case_notice"), notices+approved)
		d.aDayLater()
		d.is(flows.CaseWithdrawn)
		d.want("withdrawals in the trail", d.trail(account.CaseWithdrawn), 1)
		d.want("done in the trail", d.trail(account.CaseDone), 0)
		d.want("links", d.mailed("reset"), 0)
	})
}

// Whoever stops a case in its last moment either stopped it, or came too late and
// is told so.
func TestFreezeAgainstTheTimer(t *testing.T) {
	race(t, func(d *deskRig) {
		ctx := context.Background()
		d.waits(flows.RestoreSecond)
		stop, resets := d.notice(true), d.mailed("reset")
		d.Move(flows.CaseFor)
		was := false
		for _, err := range together(
			func() error { return d.CasesDue(ctx) },
			func() (err error) { was, err = d.FreezeCase(ctx, stop, ""); return err }) {
			d.ok(err)
		}
		d.ok(d.CasesDue(ctx))
		frozen, done, want := 0, 1, flows.CaseDone
		if was {
			frozen, done, want = 1, 0, flows.CaseWaiting
		}
		d.is(want)
		if d.now().Frozen != was {
			d.Errorf("frozen is %v, and whoever stopped it was told %v", d.now().Frozen, was)
		}
		d.want("freezes in the log", d.logged(flows.CaseFreeze), frozen)
		d.want("freezes in the trail", d.trail(account.CaseFrozen), frozen)
		d.want("ends of the wait", d.logged(flows.CaseFinish), done)
		d.want("done in the trail", d.trail(account.CaseDone), done)
		d.want("links", d.mailed("reset"), resets+done)
	})
}

// When the day is over three may end a case, and one does.
func TestReleaseAgainstTheTimerAgainstWithdrawal(t *testing.T) {
	race(t, func(d *deskRig) {
		ctx := context.Background()
		d.waits(flows.RestoreSecond)
		yes, resets := d.notice(true), d.mailed("reset")
		d.Move(flows.CaseFor)
		released, withdrawn := false, false
		for _, err := range together(
			func() (err error) { released, err = d.ReleaseCase(ctx, yes, ""); return err },
			func() error { return d.CasesDue(ctx) },
			func() (err error) { withdrawn, err = d.WithdrawCase(ctx, d.link, ""); return err }) {
			d.ok(err)
		}
		release, finish := d.logged(flows.CaseRelease), d.logged(flows.CaseFinish)
		done, over := d.trail(account.CaseDone), d.trail(account.CaseWithdrawn)
		d.want("outcomes", release+finish+over, 1)
		d.want("done", done, release+finish)
		d.want("links", d.mailed("reset"), resets+done)
		if released != (release == 1) || withdrawn != (over == 1) || withdrawn != (d.now().State == flows.CaseWithdrawn) {
			d.Errorf("told %v and %v, and it is %s", released, withdrawn, d.now().State)
		}
	})
}

// Two replicas find the same case due.
func TestTwoReplicasFinishOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d, other := newDesk(r), open(r.T, r.Config)
		for n := range again {
			if n > 0 {
				d.open()
			}
			d.waits(flows.RestoreSecond)
			d.Move(flows.CaseFor)
			other.Move(flows.CaseFor)
			for _, err := range together(
				func() error { return d.CasesDue(context.Background()) },
				func() error { return other.CasesDue(context.Background()) }) {
				d.ok(err)
			}
			d.is(flows.CaseDone)
			d.want("ends of the wait", d.logged(flows.CaseFinish), 1)
			d.want("done in the trail", d.trail(account.CaseDone), 1)
			d.want("links", d.mailed("reset"), n+1)
		}
	})
}

// An agent who is deactivated as they approve has approved before, or has not; and
// either way what they approved of is not done.
func TestApprovalAgainstDeactivation(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		for n := range again {
			if n > 0 {
				d.open()
				d.ok(d.SetDisabled(ctx, d.two.Account, false, "test"))
			}
			d.verified(flows.RestoreSecond)
			d.ok(d.approve(d.one))
			errs := together(
				d.approving(d.two),
				func() error { return d.SetDisabled(ctx, d.two.Account, true, "test") })
			d.ok(errs[1])
			approved, want := 1, flows.CaseWaiting
			if errs[0] != nil {
				d.refused(errs[0], store.ErrNotAllowed)
				approved, want = 0, flows.CaseApproved
			}
			d.is(want)
			d.want("approvals that count", d.now().Approvals, 1)
			d.want("in the log", d.logged(flows.CaseApprove), 1+approved)
			d.want("waits", d.trail(account.CaseWaiting), approved)
			d.aDayLater()
			d.want("done", d.trail(account.CaseDone), 0)
			d.want("links", d.mailed("reset"), 0)
			d.want("sent back", d.logged(flows.CaseReturn), approved)
		}
	})
}

// Whoever is deactivated by their team at the moment in which they become its Owner
// does not: the practice would have one who cannot sign in.
func TestNewOwnerAgainstDeactivation(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.ok(d.AddPractice(ctx, "riverside", "Riverside"))
		d.person = d.member("ida", account.Billing)
		d.waits(flows.ReplaceOwner)
		round := d.now().Round
		tx := d.begin()
		tx.do("UPDATE practices SET name = name WHERE id = 'riverside'") // as Deactivate does
		tx.do("UPDATE people SET disabled = true WHERE id = $1", string(d.person))
		released := make(chan error, 1)
		var was bool
		link := d.notice(true)
		go func() {
			var err error
			was, err = d.ReleaseCase(ctx, link, "")
			released <- err
		}()
		tx.commit()
		d.ok(<-released)
		if was {
			d.Error("it was done")
		}
		d.sentBack(round)
		d.want("owners", d.count("SELECT COUNT(*) FROM people WHERE role = 'owner' AND username = 'grace'"), 1)
	})
}

// A case that the timer found due, and that has to wait anew by the time it holds it,
// waits.
func TestTheTimerLooksAgain(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.waits(flows.RestoreSecond)
		d.Move(flows.CaseFor)
		tx := d.begin()
		tx.do("UPDATE cases SET wait_until = $1 WHERE id = $2", d.Now().Add(flows.CaseFor).UnixMicro(), d.id)
		finished := make(chan error, 1)
		go func() { finished <- d.CasesDue(context.Background()) }()
		tx.commit()
		d.ok(<-finished)
		d.is(flows.CaseWaiting)
		d.want("ends of the wait", d.logged(flows.CaseFinish), 0)
		d.want("links", d.mailed("reset"), 0)
	})
}

// underway is a transaction of somebody else's that is not over yet.
type underway struct {
	*deskRig
	conn *sql.Conn
	tx   *sql.Tx
}

func (d *deskRig) begin() *underway {
	d.Helper()
	conn, err := d.Occupy(context.Background())
	d.ok(err)
	tx, err := conn.BeginTx(context.Background(), nil)
	d.ok(err)
	return &underway{d, conn, tx}
}

func (u *underway) do(query string, args ...any) {
	u.Helper()
	_, err := u.tx.Exec(query, args...)
	u.ok(err)
}

// commit ends it once somebody waits for what it holds. On SQLite whoever writes
// waits for it in any case.
func (u *underway) commit() {
	u.Helper()
	if u.Engine() == "postgres" {
		u.until("somebody waits", func() bool {
			return u.count("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
		})
	}
	u.ok(errors.Join(u.tx.Commit(), u.conn.Close()))
}
