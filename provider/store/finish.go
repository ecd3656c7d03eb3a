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
	var epoch int64
	var when time.Time
	err = s.update(ctx, func(t *tx) error {
		g, err := t.hold(ctx, f, p.Lease)
		if err != nil {
			return err
		}
		epoch, when = g.Epoch, at(t.now())
		if p.Hash != "" {
			if epoch, err = s.changePassword(ctx, t, f, p.Hash); err != nil {
				return err
			}
		}
		added, err := t.AddSession(ctx, db.AddSessionParams{
			ID: account.HashSecret(n.Token), Account: string(f.Account), Practice: string(f.Practice),
			Epoch: epoch, Now: t.now(), Methods: string(methods), Acr: n.ACR, Device: n.Device,
			Address: addressOf(n.Address), Idle: n.Idle.Microseconds(), ExpiresAt: micros(t.at.Add(n.Absolute)),
			Flow: f.ID, Revision: f.Revision, FlowEpoch: g.Epoch,
		})
		if err != nil {
			return err
		}
		if stale = added == 0; stale {
			return t.onlySettle(p)
		}
		if err := t.replace(ctx, n.Replaces); err != nil {
			return err
		}
		t.tell(account.Event{Kind: account.SignedIn, Subject: string(f.Account), Practice: f.Practice,
			Source: f.From, Step: p.Lease.Attempt().Step, Methods: n.Methods,
			Took: t.sinceLock(g.LockedAt)})
		return nil
	})
	if err == nil && stale {
		return flows.ErrStale
	}
	if err == nil {
		f.Epoch, f.Finished = epoch, when
	}
	return err
}

// hold settles the lease as right; without one it makes sure that what the
// flow proved before still holds.
func (t *tx) hold(ctx context.Context, f *flows.Flow, l account.Lease) (db.SettleRightRow, error) {
	if l.Valid() {
		return t.right(ctx, f, l, true)
	}
	r, err := t.HoldGuard(ctx, db.HoldGuardParams{Subject: string(f.Account), Epoch: f.Epoch, Now: t.now()})
	if missing(err) {
		err = account.ErrBusy
	}
	return db.SettleRightRow(r), err
}

// onlySettle lets a right answer to a stale flow count as right and do no
// more: a double click is no failure. A new password must not slip through.
func (t *tx) onlySettle(p flows.Progress) error {
	if p.Hash != "" || !p.Lease.Valid() {
		return flows.ErrStale
	}
	return nil
}

// changePassword writes a password chosen while signing in. What was proven
// with the old one is void (ASVS 7.4.3), this flow's own session excepted, and
// so is a reset link that still waits in a mailbox (CVE-2026-26060).
func (s *Store) changePassword(ctx context.Context, t *tx, f *flows.Flow, hash string) (epoch int64, err error) {
	n, err := t.SetPassword(ctx, db.SetPasswordParams{ID: string(f.Account), PasswordHash: hash, Now: t.now()})
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, fmt.Errorf("store: the person whose password was to change is gone")
	}
	if epoch, err = t.RaiseEpoch(ctx, string(f.Account)); err != nil {
		return 0, err
	}
	if err := t.endSessions(ctx, f.Account, account.Replaced); err != nil {
		return 0, err
	}
	if err := t.EndReset(ctx, string(f.Account)); err != nil {
		return 0, err
	}
	t.tell(account.Event{Kind: account.PasswordChanged, Subject: string(f.Account), Practice: f.Practice})
	return epoch, s.queueMail(ctx, t, Mail{Template: "password_changed", Subject: string(f.Account)})
}

// replace ends the session that the browser had before this one.
func (t *tx) replace(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return t.endSession(ctx, token, account.Replaced)
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
