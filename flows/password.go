package flows

import (
	"context"
	"errors"

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
	if v.Has(KnowsPassword) || v.Has(VerifiedUser) && !Changes(ChangePassword)(v) {
		return Skip
	}
	return Must
}

// ConfirmPage is the data of templates/page/confirm.html, which Password shows
// to whoever is signed in already.
type ConfirmPage struct {
	Username string
	App      string // the name of the app that asked
	Changing bool   // what is asked for is a change of the password
}

// Show returns the sign-in page with what was typed or, if a session says who
// it is, a page that asks them for their password alone.
func (Password) Show(ctx context.Context, s *Scope) (Page, error) {
	if s.Person != nil {
		return ConfirmPage{Username: s.Person.Username, App: s.Request.ClientName,
			Changing: s.Request.Change == ChangePassword}, nil
	}
	passkey, err := s.askPasskey(ctx)
	return SignInPage{Identifier: s.Typed, App: s.Request.ClientName, Passkey: passkey}, err
}

// Submit judges the password.
func (p Password) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	// The page lets the identifier be corrected beside the password.
	if id := form.Get("identifier"); s.Person == nil && account.Normalise(id) != "" && len(id) <= 320 {
		s.Typed = id
	}
	if form.Get("password") == "" {
		return Again{Field: "password", Message: Message{Key: "err.password_empty"}, Typed: s.Typed}, nil
	}
	secret, err := account.NormalPassword(form.Get("password"))
	if err != nil {
		return Again{Field: "password", Message: Message{Key: "err.password_not_text"}, Typed: s.Typed}, nil
	}
	person, err := s.candidate(ctx)
	if err != nil {
		return nil, err
	}
	lease, stop, err := s.charge(ctx, account.Password, p.Name(), person)
	if err != nil || stop != nil {
		return orStop(stop), err
	}
	verdict, err := s.directory.VerifyPassword(ctx, lease, person, secret)
	if err != nil {
		return nil, s.faulted(ctx, lease, err)
	}
	if verdict != directory.OK {
		return s.refuse(ctx, p, lease, reasons[verdict])
	}
	return Passed{
		Typed:  s.Typed,
		Person: person,
		Lease:  lease,
		Facts:  []Fact{{Kind: KnowsPassword, Step: p.Name(), Methods: []string{"pwd"}}},
	}, nil
}

// candidate is who the password may be of, or nil if nobody has the identifier.
func (s *Scope) candidate(ctx context.Context) (*directory.Entry, error) {
	if s.Person != nil {
		return s.Person, nil
	}
	e, err := s.directory.Lookup(ctx, directory.ByIdentifier, account.Normalise(s.Typed))
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrAmbiguous) {
		return nil, nil
	}
	return e, err
}

// reasons are what the trail says of each verdict.
var reasons = map[directory.Verdict]account.Reason{
	directory.Wrong:       account.BadCredentials,
	directory.NoSuchUser:  account.UnknownUser,
	directory.LockedThere: account.BadCredentials,
	directory.Disabled:    account.Disabled,
}

// unchanged reports whether a new password is the one that was just proven and
// must not stay. It guesses at nothing, so nothing is counted; a directory that
// would count it as a wrong one by itself is not asked.
func (s *Scope) unchanged(ctx context.Context, step StepName, secret []byte) (bool, error) {
	if s.directory.Capabilities().OwnLockThreshold > 0 {
		return false, nil
	}
	lease, err := s.guard.Charge(ctx, s.store, account.Attempt{Subject: string(s.Person.ID),
		Factor: account.Password, Step: string(step), Device: s.deviceOf(s.Person)})
	if err != nil {
		return false, err
	}
	verdict, err := s.directory.VerifyPassword(ctx, lease, s.Person, secret)
	err = errors.Join(err, s.release(ctx, lease))
	return verdict == directory.OK, err
}
