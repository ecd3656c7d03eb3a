package store

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// The store is what flows ask for.
var _ flows.Store = (*Store)(nil)

// Begin writes a new flow. One that starts with an account proven gets the
// epoch it was proven in.
func (s *Store) Begin(ctx context.Context, f *flows.Flow) error {
	facts, request, err := documents(f)
	if err != nil {
		return err
	}
	r, err := s.w.BeginFlow(ctx, db.BeginFlowParams{
		ID: f.ID, Kind: string(f.Kind), Browser: f.Browser,
		Account: string(f.Account), Practice: string(f.Practice), Device: f.Device,
		Typed: f.Typed, Link: f.Link, Session: f.Session, Facts: facts, Request: request,
		StartedAt: micros(f.Started), ExpiresAt: micros(f.Expires),
	})
	f.Epoch, f.Locks = r.Epoch, r.Locks
	return err
}

func documents(f *flows.Flow) (facts, request string, err error) {
	a, err := json.Marshal(f.Facts)
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(f.Request)
	return string(a), string(b), err
}

// Flow returns a live flow of the browser.
func (s *Store) Flow(ctx context.Context, id string, browser []byte) (*flows.Flow, error) {
	return flowOf(s.q.Flow(ctx, db.FlowParams{ID: id, Browser: browser, Now: micros(s.Now())}))
}

// Request returns what a sign-in of the browser is or was for: one that is over
// may be begun again for the same app. It is ErrNoFlow once it is forgotten.
func (s *Store) Request(ctx context.Context, id string, browser []byte) (req flows.Request, err error) {
	document, err := s.q.FlowRequest(ctx, db.FlowRequestParams{ID: id, Browser: browser})
	if missing(err) {
		return req, flows.ErrNoFlow
	}
	if err != nil {
		return req, err
	}
	return req, json.Unmarshal([]byte(document), &req)
}

// LastLogin returns the browser's newest sign-in that still waits for an
// answer, or ErrNoFlow.
func (s *Store) LastLogin(ctx context.Context, browser []byte) (*flows.Flow, error) {
	return flowOf(s.q.LastLogin(ctx, db.LastLoginParams{Browser: browser, Now: micros(s.Now())}))
}

// Extend gives a sign-in another hour. A flow that is over, has had its time
// (flows.LoginAtMost) or holds a reset link gets none: ErrNoFlow.
func (s *Store) Extend(ctx context.Context, f *flows.Flow) error {
	now := s.Now()
	until := now.Add(flows.LoginFor)
	n, err := s.w.ExtendFlow(ctx, db.ExtendFlowParams{ID: f.ID, Browser: f.Browser, Now: micros(now),
		ExpiresAt: micros(until), Since: micros(until.Add(-flows.LoginAtMost))})
	if err == nil && n == 0 {
		return flows.ErrNoFlow
	}
	return err
}

func flowOf(r db.Flow, err error) (*flows.Flow, error) {
	if missing(err) {
		return nil, flows.ErrNoFlow
	}
	if err != nil {
		return nil, err
	}
	f := &flows.Flow{
		ID: r.ID, Kind: flows.Kind(r.Kind), Browser: r.Browser,
		Account: account.ID(r.Account), Practice: account.PracticeID(r.Practice),
		Epoch: r.Epoch, Locks: r.Locks, Device: r.Device, Session: r.Session, Typed: r.Typed, Link: r.Link, Revision: r.Revision,
		Started: at(r.StartedAt), Expires: at(r.ExpiresAt),
	}
	return f, errors.Join(json.Unmarshal([]byte(r.Facts), &f.Facts),
		json.Unmarshal([]byte(r.Request), &f.Request))
}

// Advance writes what was proven. If the flow went on elsewhere the right
// answer still settles its lease, and nothing else happens: a double click is
// no failure.
func (s *Store) Advance(ctx context.Context, f *flows.Flow, p flows.Progress) error {
	facts, _, err := documents(f)
	if err != nil {
		return err
	}
	stale := false
	next := *f
	err = s.update(ctx, func(t *tx) error {
		was, err := t.proven(ctx, f, p)
		if err != nil {
			return err
		}
		next.Epoch, next.Locks = epochAfter(was.Epoch, p), was.Locks
		n, err := t.AdvanceFlow(ctx, db.AdvanceFlowParams{
			ID: f.ID, Revision: f.Revision, Now: t.now(),
			Account: string(f.Account), Practice: string(f.Practice),
			Epoch: next.Epoch, WasEpoch: was.Epoch, Locks: was.Locks, Device: f.Device,
			Typed: f.Typed, Facts: facts,
		})
		if stale = n == 0; err != nil || stale {
			return err
		}
		return s.apply(ctx, t, f, p, nil)
	})
	if err == nil && stale {
		return flows.ErrStale
	}
	if err != nil {
		return err
	}
	f.Epoch, f.Locks = next.Epoch, next.Locks
	f.Revision++
	return nil
}

// proven settles the lease as right. What changes the account makes sure that
// all it rests on still holds; an answer that does neither is compared with the
// flow's own row alone.
func (t *tx) proven(ctx context.Context, f *flows.Flow, p flows.Progress) (db.SettleRightRow, error) {
	if p.Lease.Valid() || p.Burn != nil || p.Codes != nil || p.Passkey != nil || raises(p) {
		return t.hold(ctx, f, p.Lease, false)
	}
	return db.SettleRightRow{Epoch: f.Epoch, Locks: f.Locks}, nil
}

// right settles a lease as right. It must be one of the flow's own account, and
// of its device; a device that the lease lost is of an epoch that is over.
func (t *tx) right(ctx context.Context, f *flows.Flow, l account.Lease, last bool) (db.SettleRightRow, error) {
	a := l.Attempt()
	if a.Subject != string(f.Account) {
		return db.SettleRightRow{}, account.ErrNoLease
	}
	if a.Device.Guard != f.Device {
		return db.SettleRightRow{}, account.ErrBusy
	}
	p, c := vector(a.Factor)
	arg := db.SettleRightParams{Subject: a.Row(), Generation: l.Generation(), P: p, C: c, Now: t.now()}
	if last {
		arg.Last = 1
	}
	r, err := t.settleRight(ctx, arg, a)
	if missing(err) {
		err = account.ErrBusy
	}
	return r, err
}

// settleRight clears the counter of the attempt's row. The epoch is always the
// account's, the count of locks the row's, and the lock that this sign-in follows
// is the later of the two.
func (t *tx) settleRight(ctx context.Context, arg db.SettleRightParams, a account.Attempt) (r db.SettleRightRow, err error) {
	if !a.Device.Known() {
		return t.SettleRight(ctx, arg)
	}
	of, err := t.rightForDevice(ctx, arg, a)
	if err != nil {
		return r, err
	}
	r, err = t.SettleRight(ctx, arg)
	r.Epoch, r.LockedAt = of.Epoch, min(r.LockedAt, of.LockedAt) // negative: see SettleRight
	return r, err
}
