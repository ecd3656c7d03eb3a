package store

import (
	"context"
	"errors"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// A known device has a guard row of its own, which the statements of guards.go
// serve. What it proves or fails to prove also moves its account's row, in the
// same transaction and first: that orders devices against one another, against
// resets and against operators, and keeps the totals of wrong ones exact.

// readDevice is the device's state with its account's totals.
func readDevice(ctx context.Context, q *db.Queries, a account.Attempt) (db.ReadGuardRow, error) {
	r, err := q.ReadDevice(ctx, db.ReadDeviceParams{Subject: a.Subject, Device: a.Device.Guard})
	return db.ReadGuardRow{
		Epoch: r.Epoch, Generation: r.Generation, ChargeUntil: r.ChargeUntil,
		LockedUntil: r.LockedUntil, LockedAt: r.LockedAt,
		PasswordFailed: r.PasswordFailed, PasswordCharged: r.PasswordCharged, PasswordWrong: r.PasswordWrong,
		CodeFailed: r.CodeFailed, CodeCharged: r.CodeCharged, CodeWrong: r.CodeWrong,
		Disabled: r.Disabled, HasSecond: r.HasSecond,
	}, err
}

// holdGuard reads the attempt's row; that of a device holds still until the
// transaction ends.
func (t *tx) holdGuard(ctx context.Context, a account.Attempt) (db.ReadGuardRow, error) {
	if !a.Device.Known() {
		return t.ReadGuard(ctx, db.ReadGuardParams{Subject: a.Subject})
	}
	if err := t.LockGuard(ctx, db.LockGuardParams{Subject: a.Subject, Now: t.now()}); err != nil {
		return db.ReadGuardRow{}, err
	}
	return readDevice(ctx, t.Queries, a)
}

// chargeDevice charges both rows, or neither.
func (s *Store) chargeDevice(ctx context.Context, a account.Attempt) (generation int64, ok bool, err error) {
	p, c := vector(a.Factor)
	err = s.update(ctx, func(t *tx) error {
		n, err := t.ChargeForDevice(ctx, db.ChargeForDeviceParams{
			Subject: a.Subject, Epoch: a.Device.Epoch, P: p, C: c, Now: t.now()})
		if err != nil || n == 0 {
			return orGone(err)
		}
		generation, err = t.ChargeGuard(ctx, chargeOf(a, t.at))
		if missing(err) {
			return errGone
		}
		return err
	})
	if errors.Is(err, errGone) {
		return 0, false, nil
	}
	return generation, err == nil, err
}

// wrongForDevice counts what a device got wrong among its account's totals; of
// any other attempt it does nothing. No row: the epoch is over.
func (t *tx) wrongForDevice(ctx context.Context, a account.Attempt, p, c int64) (db.SettleWrongForDeviceRow, error) {
	if !a.Device.Known() {
		return db.SettleWrongForDeviceRow{}, nil
	}
	return t.SettleWrongForDevice(ctx, db.SettleWrongForDeviceParams{
		Subject: a.Subject, Epoch: a.Device.Epoch, P: p, C: c, Now: t.now()})
}

// rightForDevice settles the account's part of a right answer. It returns what
// the device's own part is completed with.
func (t *tx) rightForDevice(ctx context.Context, arg db.SettleRightParams, a account.Attempt) (db.SettleRightForDeviceRow, error) {
	return t.SettleRightForDevice(ctx, db.SettleRightForDeviceParams{
		Subject: a.Subject, Epoch: a.Device.Epoch, P: arg.P, C: arg.C, Last: arg.Last, Now: arg.Now})
}

// releaseDevice takes both charges back, or neither: those of a generation or an
// epoch that is over are gone already.
func (s *Store) releaseDevice(ctx context.Context, l account.Lease) error {
	a, arg := l.Attempt(), releaseOf(l)
	err := s.update(ctx, func(t *tx) error {
		n, err := t.ReleaseForDevice(ctx, db.ReleaseForDeviceParams{
			Subject: a.Subject, Epoch: a.Device.Epoch, P: arg.P, C: arg.C})
		if err != nil || n == 0 {
			return orGone(err)
		}
		if n, err = t.ReleaseGuard(ctx, arg); err != nil || n == 0 {
			return orGone(err)
		}
		return nil
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// unlockDevices ends the locks of an account's devices, each with its event.
func (t *tx) unlockDevices(ctx context.Context, e account.Event) (int64, error) {
	n, err := t.UnlockDevices(ctx, db.UnlockDevicesParams{Account: e.Subject, Now: t.now()})
	e.Reason = account.OneDevice
	for range n {
		t.tell(e)
	}
	return n, err
}

// lapseDevices counts what devices never settled and nobody came back to see.
func (s *Store) lapseDevices(ctx context.Context, most int) error {
	rows, err := s.q.LapsedDevices(ctx, db.LapsedDevicesParams{Now: micros(s.Now()), Most: int32(most)})
	for _, r := range rows {
		d := account.Device{Guard: r.Subject, Epoch: r.Epoch}
		if err := s.LapseGuard(ctx, account.Attempt{Subject: r.Account, Device: d}); err != nil {
			return err
		}
	}
	return err
}
