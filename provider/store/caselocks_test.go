package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// turmoil is an account to which everything happens at once.
type turmoil struct {
	*deskRig                // its case is a light one, about the same person
	heavy    []string       // two cases that wait
	owner    store.Acting   // a fellow owner of the practice
	me       *store.Session // of the person
	notMe    []byte         // a link of the person's
	key      account.NewAuthenticator
}

func newTurmoil(t *testing.T) *turmoil {
	c := storetest.New(t, "postgres")
	c.MaxConns = 40 // one for each, and some
	d := newDesk(open(t, c))
	d.ok(d.AddPractice(context.Background(), "riverside", "Riverside"))
	m := &turmoil{deskRig: d, owner: store.Acting{Account: d.member("henry", account.Owner), Practice: "riverside"},
		me: d.session(d.person), key: account.NewAuthenticator{Name: "Phone", Key: account.NewKey()}}
	d.reset(d.person, "new")
	m.notMe = d.rig.notMe(d.person)
	for _, remedies := range [][]flows.Remedy{flows.Remedies, {flows.RestoreSecond}} {
		d.waits(remedies...)
		m.heavy = append(m.heavy, d.id)
		d.open()
	}
	d.verified(flows.Unlock)
	return m
}

// finish has both heavy cases due, and done. A row at a time is made so, for this is
// not who orders them.
func (m *turmoil) finish(ctx context.Context) error {
	for _, id := range m.heavy {
		err := m.Do("UPDATE cases SET state = 'waiting', closed_at = 0, frozen_at = 0, round = 1, wait_until = 1 WHERE id = $1", id)
		if err != nil {
			return err
		}
	}
	return m.CasesDue(ctx)
}

// light has an agent approve of the light case, which is done then.
func (m *turmoil) light(ctx context.Context) error {
	return errors.Join(orNot(m.ApproveCase(ctx, m.one, m.id, 1)),
		m.Do("UPDATE cases SET state = 'verifying', closed_at = 0, frozen_at = 0 WHERE id = $1", m.id),
		m.Do("DELETE FROM case_approvals WHERE case_id = $1", m.id))
}

// stop is "this was not me", in a session and by a link.
func (m *turmoil) stop(ctx context.Context) error {
	_, err1 := m.FreezeCasesOf(ctx, m.me, "")
	_, err2 := m.Disavow(ctx, m.notMe, "")
	return errors.Join(err1, err2, m.Do("UPDATE disavowals SET used_at = 0 WHERE hash = $1", m.notMe))
}

// redeem is a reset that its person finishes.
func (m *turmoil) redeem(ctx context.Context) error {
	link := account.HashSecret("a link")
	err := m.Do("UPDATE resets SET token_hash = $1, cancel_hash = NULL, expires_at = $2, sent_3 = 0 WHERE subject = $3",
		link, m.Now().Add(time.Hour).UnixMicro(), string(m.person))
	if err != nil {
		return err
	}
	_, err = m.Redeem(ctx, &flows.Flow{Account: m.person, Link: link}, flows.Progress{Hash: "newer"})
	return err
}

// team is what a fellow owner does.
func (m *turmoil) team(ctx context.Context) error {
	_, err := m.BringSecond(ctx, m.person, m.key, "test")
	_, err1 := m.UnlockMember(ctx, m.owner, m.person)
	_, err2 := m.ResetMemberSecond(ctx, m.owner, m.person)
	_, err3 := m.SetMemberRole(ctx, m.owner, m.person, account.Admin)
	_, err4 := m.SendMemberLink(ctx, m.owner, m.person)
	return errors.Join(err, orNot(err1), orNot(err2), orNot(err3), orNot(err4), orNot(m.EndMemberSessions(ctx, m.owner, m.person)),
		m.Do("UPDATE people SET role = 'owner' WHERE id = $1", string(m.owner.Account)))
}

// transfer is a practice that changes hands.
func (m *turmoil) transfer(ctx context.Context) error {
	_, err1 := m.OfferPractice(ctx, m.owner, m.person)
	_, err2 := m.AgreeToOwn(ctx, store.Acting{Account: m.person, Practice: "riverside"})
	return errors.Join(orNot(err1), orNot(err2), m.Do("UPDATE transfers SET due_at = 1 WHERE due_at > 0"), m.TransferDue(ctx))
}

// deactivate stops the account, and lets it go on.
func (m *turmoil) deactivate(ctx context.Context) error {
	_, err1 := m.Deactivate(ctx, m.owner, m.person)
	_, err2 := m.Reactivate(ctx, m.owner, m.person)
	return errors.Join(orNot(err1), orNot(err2), m.SetDisabled(ctx, m.person, false, "test"))
}

// desk stops the agent who approved, and lets them go on.
func (m *turmoil) desk(ctx context.Context) error {
	return errors.Join(m.SetDisabled(ctx, m.two.Account, true, "test"), m.SetDisabled(ctx, m.two.Account, false, "test"))
}

// orNot is nil for what could not be done as things were.
func orNot(err error) error {
	_, refused := errors.AsType[store.Refusal](err)
	if refused || errors.Is(err, store.ErrNoMember) || errors.Is(err, store.ErrNotAllowed) {
		return nil
	}
	return err
}

// enough is when each of the heavy cases was done five times.
func (m *turmoil) enough() bool {
	n, err := m.Count(`SELECT COUNT(*) FROM (SELECT case_id FROM case_log WHERE action = 'finish'
		GROUP BY case_id HAVING COUNT(*) >= 5) AS often`)
	return err == nil && n == len(m.heavy)
}

// Whoever changes an account takes its locks in one order: a case's, a practice's, a
// guard's, and the rest. Everything that can happen to one account happens at once,
// over and over, on the engine that knows deadlocks; it finds none (its 40P01 would be
// an error here, as any other is).
func TestAllThatHappensToAnAccountNeverDeadlocks(t *testing.T) {
	m := newTurmoil(t)
	var over atomic.Bool
	late := time.AfterFunc(time.Minute, func() { over.Store(true) })
	defer late.Stop()
	var wg sync.WaitGroup
	for name, act := range map[string]func(context.Context) error{
		"finish": m.finish, "finish, on another replica": m.finish, "finish, on a third": m.finish,
		"light": m.light, "stop": m.stop, "redeem": m.redeem, "team": m.team, "transfer": m.transfer,
		"deactivate": m.deactivate, "desk": m.desk,
	} {
		wg.Go(func() {
			for !over.Load() && !t.Failed() {
				if err := act(context.Background()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if m.enough() {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if !m.enough() {
		t.Error("the cases were hardly done: little was shown")
	}
	for _, kind := range []account.Kind{account.CaseFrozen, account.Disavowed, account.ResetCompleted,
		account.AccountDisabled, account.OwnershipOffered, account.SecondReset} {
		if len(m.told(kind)) == 0 {
			t.Errorf("%s: never, so little was shown", kind)
		}
	}
}
