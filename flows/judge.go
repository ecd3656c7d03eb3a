package flows

import (
	"context"
	"errors"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// Whatever the page, a secret is judged in one way: charge, verify, settle.
// Right ones are settled with what they lead to (Progress.Lease), wrong ones at
// once. So all pages share the two counters of an account.

// charge charges an attempt at a secret of the person, or at an identifier that
// nobody has. A stop says why nothing may be judged now.
func (s *Scope) charge(ctx context.Context, f account.Factor, step StepName, person *directory.Entry) (account.Lease, *Stop, error) {
	a := account.Attempt{Factor: f, Step: string(step), Source: s.From, Exempt: s.Exempt}
	if person != nil {
		a.Subject = string(person.ID)
		a.Exempt = s.Exempt || s.Known != nil && s.Known(person.ID)
		a.Device = s.deviceOf(person)
	} else {
		a.Subject, a.Shadow = s.shadow(account.Normalise(s.Typed)), true
	}
	lease, err := s.guard.Charge(ctx, s.store, a)
	if refusal, ok := errors.AsType[*account.Refusal](err); ok {
		return lease, &Stop{Reason: refusal.Err, Until: refusal.Until}, nil
	}
	return lease, nil, err
}

// deviceOf is the known device whose own tries the flow uses, or none. Once an
// account is proven it is the one that proved it: what one row let through, no
// other goes on with.
func (s *Scope) deviceOf(person *directory.Entry) account.Device {
	switch {
	case s.Flow.Device != "":
		return account.Device{Guard: s.Flow.Device, Epoch: s.Epoch}
	case s.Account == "" && s.Devices != nil:
		return s.Devices(person.ID)
	}
	return account.Device{}
}

// orStop is a stop as an Outcome, and nil if there is none.
func orStop(s *Stop) Outcome {
	if s == nil {
		return nil
	}
	return *s
}

// settleFor is how long a store may take to note what became of a lease; what
// it did not note lapses, and counts.
const settleFor = 5 * time.Second

// settling is a context that outlives the request, but not for ever.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleFor)
}

// release takes a charge back, even if the person has gone away.
func (s *Scope) release(ctx context.Context, l account.Lease) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	return s.store.Release(ctx, l)
}

// faulted takes a charge back for a fault of ours.
func (s *Scope) faulted(ctx context.Context, l account.Lease, err error) error {
	if !l.Valid() {
		return err
	}
	return errors.Join(err, s.release(ctx, l))
}

// refuse settles a lease as a failure, even if the person has gone away, and
// shows the step again or says why that may not be.
func (s *Scope) refuse(ctx context.Context, step Step, l account.Lease, reason account.Reason) (Outcome, error) {
	ctx, cancel := settling(ctx)
	defer cancel()
	st, err := s.store.SettleWrong(ctx, l, reason)
	f := l.Attempt().Factor
	switch {
	case errors.Is(err, account.ErrBusy):
		return Stop{Reason: account.ErrBusy}, nil
	case err != nil:
		return nil, err
	case f == account.SecondFactor && st.Wrong[f] >= account.MaxWrongCodes:
		return Stop{Reason: account.ErrHeld}, nil
	case s.Now.Before(st.LockedUntil):
		return Stop{Reason: account.ErrLocked, Until: st.LockedUntil}, nil
	}
	again := Again{Denied: true, Typed: s.Typed}
	again.Field, again.Message.Key = s.words(step, reason)
	if left := account.MaxFailures - st.Failed[f]; left <= 2 {
		again.Left = left
	}
	return again, nil
}

// words are the control that a wrong answer belongs to, and what is said of it.
func (s *Scope) words(step Step, reason account.Reason) (field, key string) {
	used := reason == account.ReplayedCode
	switch step.(type) {
	case TOTP:
		if used {
			return "otp", "err.code_used"
		}
		return "otp", "err.code"
	case BackupCode:
		if used {
			return "backup_code", "err.backup_used"
		}
		return "backup_code", "err.backup"
	}
	if s.Person != nil {
		return "password", "err.confirm"
	}
	return "", "err.credentials" // of the two, which one is not told
}
