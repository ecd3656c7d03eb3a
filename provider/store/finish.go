package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Finish ends a login flow in a session, in one transaction: for a plain
// password that is the settle, the session and its audit row. The first
// statement locks the account's guard, which orders it against resets and
// operators; what they made void gives no session.
func (s *Store) Finish(ctx context.Context, f *flows.Flow, p flows.Progress, n flows.NewSession) error {
	if f.Account == "" {
		return fmt.Errorf("store: finish: no account was proven")
	}
	methods, err := json.Marshal(n.Methods)
	if err != nil {
		return err
	}
	stale := false
	var made db.AddSessionParams
	err = s.update(ctx, func(t *tx) error {
		g, err := t.hold(ctx, f, p.Lease, true)
		if err != nil {
			return err
		}
		if n.AuthTime.IsZero() {
			n.AuthTime = t.at
		}
		made = db.AddSessionParams{
			ID: account.HashSecret(n.Token), Account: string(f.Account), Practice: string(f.Practice),
			Epoch: epochAfter(g.Epoch, p), Now: t.now(), AuthTime: micros(n.AuthTime), Methods: string(methods),
			Acr: n.ACR, Second: flows.TwoFactors(n.ACR), Device: n.Device, Address: addressOf(n.Address),
			Idle: n.Idle.Microseconds(), ExpiresAt: micros(t.at.Add(n.Absolute)),
			Flow: f.ID, Revision: f.Revision, FlowEpoch: g.Epoch, Locks: g.Locks, KnownDevice: f.Device,
		}
		added, err := t.AddSession(ctx, made)
		if err != nil {
			return err
		}
		if stale = added == 0; stale {
			return t.onlySettle(p)
		}
		if err := s.apply(ctx, t, f, p, made.ID); err != nil {
			return err
		}
		return t.seat(ctx, f, n, made.ID, g.LockedAt)
	})
	if err == nil && stale {
		return flows.ErrStale
	}
	if err == nil {
		f.Epoch, f.Finished = made.Epoch, at(made.AuthTime)
	}
	return err
}

// seat ends the session that a new one takes the place of, and tells of it.
func (t *tx) seat(ctx context.Context, f *flows.Flow, n flows.NewSession, id []byte, lockedAt int64) error {
	e := account.Event{Kind: account.SteppedUp, Subject: string(f.Account), Practice: f.Practice,
		Source: f.From, Step: string(f.Last()), Methods: n.Methods, Took: t.sinceLock(lockedAt)}
	switch f.Kind {
	case flows.Login:
		e.Kind = account.SignedIn
		t.tell(e)
		if n.Replaces == "" {
			return nil
		}
		return t.replace(ctx, f.Account, account.HashSecret(n.Replaces), id)
	case flows.StepUp:
		t.tell(e)
	}
	// It is the same session to its owner and its apps: what came from it ends
	// with it.
	if err := t.MoveGrants(ctx, db.MoveGrantsParams{Account: string(f.Account), FromSession: f.Session, ToSession: id}); err != nil {
		return err
	}
	return t.endSession(ctx, f.Session, account.Replaced)
}

// replace ends the session that a browser had before it signed in anew. To its
// own account the new one is the same, with the apps that were entered from it;
// anybody else's is signed out, and its apps are told.
func (t *tx) replace(ctx context.Context, who account.ID, old, id []byte) error {
	r, err := t.EndSession(ctx, db.EndSessionParams{ID: old, Now: t.now()})
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	e := account.Event{Kind: account.SessionEnded, Subject: r.Account,
		Practice: account.PracticeID(r.Practice), Reason: account.Replaced}
	if r.Account == string(who) {
		t.tell(e)
		return t.MoveGrants(ctx, db.MoveGrantsParams{Account: r.Account, FromSession: old, ToSession: id})
	}
	e.Reason = account.Displaced
	t.tell(e)
	return t.endFamilies(ctx, e, old)
}

// hold settles the lease as right; without one it makes sure that what the
// flow proved before still holds. last says that the flow ends.
func (t *tx) hold(ctx context.Context, f *flows.Flow, l account.Lease, last bool) (db.SettleRightRow, error) {
	if l.Valid() {
		return t.right(ctx, f, l, last)
	}
	arg := db.HoldGuardParams{Subject: string(f.Account), Epoch: f.Epoch, Locks: f.Locks,
		ByDevice: f.Device != "", Now: t.now()}
	if last {
		arg.Last = 1
	}
	r, err := t.HoldGuard(ctx, arg)
	if err == nil && f.Device != "" {
		r.Locks, err = t.HoldDevice(ctx, db.HoldDeviceParams{Subject: f.Device, Account: string(f.Account),
			Epoch: f.Epoch, Locks: f.Locks, Now: t.now()})
	}
	if missing(err) {
		err = account.ErrBusy
	}
	return db.SettleRightRow(r), err
}

// onlySettle lets a right answer to a stale flow count as right and do no
// more: a double click is no failure. A new password must not slip through.
func (t *tx) onlySettle(p flows.Progress) error {
	if raises(p) || !p.Lease.Valid() {
		return flows.ErrStale
	}
	return nil
}

// raises reports whether the progress changes how the account is proven. Then
// all that was proven before is void (ASVS 7.4.3).
func raises(p flows.Progress) bool {
	return p.Hash != "" || p.Authenticator != nil || p.NewPasskey != nil
}

// epochAfter is the account's epoch once the progress is written.
func epochAfter(epoch int64, p flows.Progress) int64 {
	if raises(p) {
		return epoch + 1
	}
	return epoch
}

// apply does what was proven or asked for: the code is used up, and what is to
// change changes. The flow's own row was moved on before, so it is done once.
// session is the new one, nil if there is none yet.
func (s *Store) apply(ctx context.Context, t *tx, f *flows.Flow, p flows.Progress, session []byte) error {
	if err := s.burn(ctx, t, f, p); err != nil {
		return err
	}
	if p.Passkey != nil {
		if err := t.usePasskey(ctx, s, f, *p.Passkey); err != nil {
			return err
		}
	}
	if !p.AskPasskey.IsZero() {
		if err := t.AskPasskey(ctx, db.AskPasskeyParams{Account: string(f.Account), AgainAt: micros(p.AskPasskey)}); err != nil {
			return err
		}
	}
	if raises(p) {
		if err := t.void(ctx, f, session); err != nil {
			return err
		}
	}
	if p.Hash != "" {
		if err := s.changePassword(ctx, t, f, p); err != nil {
			return err
		}
	}
	if p.Authenticator != nil {
		if err := s.addAuthenticator(ctx, t, f, *p.Authenticator); err != nil {
			return err
		}
	}
	if p.NewPasskey != nil {
		if err := s.addPasskey(ctx, t, f, *p.NewPasskey); err != nil {
			return err
		}
	}
	if p.Codes != nil {
		return s.putBackupSet(ctx, t, f, *p.Codes)
	}
	return nil
}

// void makes all that was proven of the account void, but the flow and its new
// session, which have the new epoch already. Before there is one, the session
// goes on in which the flow began.
func (t *tx) void(ctx context.Context, f *flows.Flow, session []byte) error {
	epoch, err := t.RaiseEpoch(ctx, string(f.Account))
	if err != nil {
		return err
	}
	if len(session) == 0 && len(f.Session) > 0 {
		session = f.Session
		if err := t.KeepSession(ctx, db.KeepSessionParams{ID: session, Account: string(f.Account), Epoch: epoch}); err != nil {
			return err
		}
	}
	return t.endSessionsBut(ctx, f.Account, account.ProofChanged, session)
}

// changePassword writes a new password. A reset link that still waits in a
// mailbox is void with the old one (CVE-2026-26060).
func (s *Store) changePassword(ctx context.Context, t *tx, f *flows.Flow, p flows.Progress) error {
	n, err := t.SetPassword(ctx, db.SetPasswordParams{ID: string(f.Account), PasswordHash: p.Hash, ShortPassword: p.Short, Now: t.now()})
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("store: the person whose password was to change is gone")
	}
	if err := t.EndReset(ctx, string(f.Account)); err != nil {
		return err
	}
	t.tell(account.Event{Kind: account.PasswordChanged, Subject: string(f.Account), Practice: f.Practice, Source: f.From})
	return s.notify(ctx, t, "password_changed", f.Account, nil)
}

// sinceLock is the time since the last lock that no sign-in followed yet; 0 if
// there was none. SettleRight marks it by its sign.
func (t *tx) sinceLock(lockedAt int64) time.Duration {
	if lockedAt >= 0 {
		return 0
	}
	return t.at.Sub(at(-lockedAt))
}

func addressOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
