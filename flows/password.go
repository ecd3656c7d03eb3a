package flows

import (
	"context"
	"errors"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// Password asks for the password. Five wrong ones in a row lock the account;
// one message serves for an unknown person, a wrong password and a disabled
// account, and each costs the same work.
type Password struct{}

// Name is "password".
func (Password) Name() StepName { return "password" }

// Field is the password.
func (Password) Field() string { return "password" }

// Applies once an identifier was typed.
func (Password) Applies(v View) Need {
	if v.Has(KnowsPassword) {
		return Skip
	}
	return Must
}

// Show returns the sign-in page with what was typed.
func (Password) Show(_ context.Context, s *Scope) (Page, error) {
	return SignInPage{Identifier: s.Typed, App: s.Request.ClientName}, nil
}

// Submit judges the password.
func (p Password) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	// The page lets the identifier be corrected beside the password.
	if id := form.Get("identifier"); account.Normalise(id) != "" && len(id) <= 320 {
		s.Typed = id
	}
	if form.Get("password") == "" {
		return Again{Field: "password", Message: Message{Key: "err.password_empty"}, Typed: s.Typed}, nil
	}
	secret, err := account.NormalPassword(form.Get("password"))
	if err != nil {
		return Again{Field: "password", Message: Message{Key: "err.password_not_text"}, Typed: s.Typed}, nil
	}
	j, err := s.judge(ctx, p.Name(), s.Typed, secret)
	if err != nil {
		return nil, err
	}
	if j.stop != nil {
		return *j.stop, nil
	}
	if j.person == nil {
		return Again{Message: Message{Key: "err.credentials"}, Left: j.left, Typed: s.Typed}, nil
	}
	return Passed{
		Typed:  s.Typed,
		Person: j.person,
		Lease:  j.lease,
		Facts:  []Fact{{Kind: KnowsPassword, Step: p.Name(), Methods: []string{"pwd"}}},
	}, nil
}

// judged is the verdict on one password.
type judged struct {
	person *directory.Entry // right: whose it is
	lease  account.Lease    // right: to be settled with what it leads to
	left   int              // wrong: attempts left, if few
	stop   *Stop            // nothing was judged, or this was the last attempt
}

// judge charges, verifies and settles one password. It is the only place where
// a password is judged, whatever the page, so that all share one counter.
func (s *Scope) judge(ctx context.Context, step StepName, identifier string, secret []byte) (judged, error) {
	name := account.Normalise(identifier)
	person, err := s.directory.Lookup(ctx, directory.ByIdentifier, name)
	if err != nil && !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrAmbiguous) {
		return judged{}, err
	}
	a := account.Attempt{Subject: s.shadow(name), Shadow: true, Factor: account.Password, Step: string(step), Source: s.From, Exempt: s.Exempt}
	if person != nil {
		a.Subject, a.Shadow = string(person.ID), false
		if s.Known != nil && s.Known(person.ID) {
			a.Exempt = true
		}
	}
	lease, err := s.guard.Charge(ctx, s.store, a)
	if refusal, ok := errors.AsType[*account.Refusal](err); ok {
		return judged{stop: &Stop{Reason: refusal.Err, Until: refusal.Until}}, nil
	}
	if err != nil {
		return judged{}, err
	}
	verdict, err := s.directory.VerifyPassword(ctx, lease, person, secret)
	if err != nil {
		return judged{}, errors.Join(err, s.release(ctx, lease))
	}
	if verdict == directory.OK {
		return judged{person: person, lease: lease}, nil
	}
	return s.wrong(ctx, lease, verdict)
}

// unchanged reports whether a new password is the one that was just proven and
// must not stay. It guesses at nothing, so nothing is counted; a directory that
// would count it as a wrong one by itself is not asked.
func (s *Scope) unchanged(ctx context.Context, step StepName, secret []byte) (bool, error) {
	if s.directory.Capabilities().OwnLockThreshold > 0 {
		return false, nil
	}
	lease, err := s.guard.Charge(ctx, s.store, account.Attempt{Subject: string(s.Person.ID),
		Factor: account.Password, Step: string(step)})
	if err != nil {
		return false, err
	}
	verdict, err := s.directory.VerifyPassword(ctx, lease, s.Person, secret)
	err = errors.Join(err, s.release(ctx, lease))
	return verdict == directory.OK, err
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

// wrong settles a lease as a failure, even if the person has gone away.
func (s *Scope) wrong(ctx context.Context, l account.Lease, v directory.Verdict) (judged, error) {
	reason := account.BadCredentials
	switch v {
	case directory.NoSuchUser:
		reason = account.UnknownUser
	case directory.Disabled:
		reason = account.Disabled
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	st, err := s.store.SettleWrong(ctx, l, reason)
	switch {
	case errors.Is(err, account.ErrBusy):
		return judged{stop: &Stop{Reason: account.ErrBusy}}, nil
	case err != nil:
		return judged{}, err
	case s.Now.Before(st.LockedUntil):
		return judged{stop: &Stop{Reason: account.ErrLocked, Until: st.LockedUntil}}, nil
	}
	j := judged{}
	if left := account.MaxFailures - st.Failed[account.Password]; left <= 2 {
		j.left = left
	}
	return j, nil
}
