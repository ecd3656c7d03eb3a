package flows

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// Passkey asks for a passkey: of whomever the browser knows while nobody is, then
// of the person (WebAuthn Level 3). It is no attempt, as there is nothing to guess;
// a lock stops it all the same.
type Passkey struct{}

// PasskeyPage is the data of templates/page/passkey.html.
type PasskeyPage struct {
	App     string // the name of the app that asked
	Options string // for the browser, as JSON
}

// Name is "passkey".
func (Passkey) Name() StepName { return "passkey" }

// Field is what the browser says.
func (Passkey) Field() string { return "passkey" }

// Applies to whoever may have one: before anybody is known, to all. It is first
// for people who have nothing else.
func (Passkey) Applies(v View) Need {
	switch {
	case !v.Passkeys || v.Has(HoldsSecond) || v.Person != nil && v.Second.Passkeys == 0:
		return Skip
	case v.Person != nil && v.Second.Authenticators == 0:
		return Must
	}
	return Offer
}

// Show returns what the browser is asked.
func (p Passkey) Show(ctx context.Context, s *Scope) (Page, error) {
	options, err := s.askPasskey(ctx)
	return PasskeyPage{App: s.Request.ClientName, Options: options}, err
}

// askPasskey is "" where there are no passkeys.
func (s *Scope) askPasskey(ctx context.Context) (options string, err error) {
	if s.passkeys == nil {
		return "", nil
	}
	var theirs []account.Passkey
	if s.Person != nil {
		if theirs, err = s.store.Passkeys(ctx, s.Account); err != nil {
			return "", err
		}
	}
	ask, err := s.passkeys.Ask(theirs, s.challenge("passkey", s.Now))
	return string(ask), err
}

// Submit judges what the browser said.
func (p Passkey) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	answer := []byte(form.Get("passkey"))
	if s.passkeys == nil || len(answer) == 0 {
		return Again{Message: Message{Key: "err.passkey_none"}, Typed: s.Typed}, nil
	}
	var holder *PasskeyHolder
	find := func(credential []byte) (*account.Holder, error) {
		var err error
		if holder, err = s.store.PasskeyHolder(ctx, credential); err != nil || holder == nil {
			return nil, err
		}
		return &account.Holder{Handle: s.handle(holder.Account), Passkeys: holder.Passkeys}, nil
	}
	challenge, err := s.answered("passkey", answer)
	var given *account.Assertion
	if err == nil {
		given, err = s.passkeys.Given(challenge, answer, find)
	}
	if err == nil && s.Account != "" && holder.Account != s.Account {
		err = &account.BadPasskey{Cause: account.PasskeyForeign}
	}
	if bad, ok := errors.AsType[*account.BadPasskey](err); ok {
		return p.refused(ctx, s, p.Name(), holder.account(), bad.Cause)
	}
	if err != nil {
		return nil, err
	}
	return p.passed(ctx, s, holder, given)
}

func (p Passkey) passed(ctx context.Context, s *Scope, h *PasskeyHolder, given *account.Assertion) (Outcome, error) {
	// A known device is not stopped by strangers' locks; the store looks at its own.
	if s.Device == "" && s.Now.Before(h.LockedUntil) {
		return Stop{Reason: account.ErrLocked, Until: h.LockedUntil}, nil
	}
	person := s.Person
	if person == nil {
		e, err := s.directory.Lookup(ctx, directory.ByID, string(h.Account))
		if errors.Is(err, directory.ErrNotFound) || err == nil && e.Disabled {
			return p.refused(ctx, s, p.Name(), h.Account, account.PasskeyUnknown)
		}
		if err != nil {
			return nil, err
		}
		person = e
	}
	out := Passed{Passkey: given, Holder: h, Person: person, Typed: person.Username,
		Facts: []Fact{{Kind: HoldsSecond, Step: p.Name(), Methods: given.Passkey.Methods()}}}
	if given.Verified {
		out.Facts = append(out.Facts, Fact{Kind: VerifiedUser, Step: p.Name()})
	}
	return out, nil
}

// refused tells the trail, with whose it would have been, and the page, without.
func (Passkey) refused(ctx context.Context, s *Scope, step StepName, of account.ID, cause account.Reason) (Outcome, error) {
	err := s.store.RefusePasskey(ctx, PasskeyRefusal{Account: of, Step: step, Cause: cause, Source: s.From, Exempt: s.Exempt})
	if errors.Is(err, account.ErrLimited) {
		return Stop{Reason: account.ErrLimited, Until: s.Now.Add(account.SourceWindow)}, nil
	}
	key := "err.passkey"
	switch cause {
	case account.PasskeyExpired:
		key = "err.passkey_expired"
	case account.PasskeyUnknown, account.PasskeyForeign:
		key = "err.passkey_unknown"
	case account.PasskeyKnown:
		key = "err.passkey_known"
	}
	return Again{Message: Message{Key: key}, Typed: s.Typed}, err
}

// again refuses a passkey that was right, for what the store found.
func (e *Engine) again(ctx context.Context, s *Scope, last Step, cause account.Reason) (*Turn, error) {
	out, err := Passkey{}.refused(ctx, s, last.Name(), s.Account, cause)
	if err != nil {
		return nil, err
	}
	if stop, ok := out.(Stop); ok {
		return &Turn{Stop: &stop}, nil
	}
	again := out.(Again)
	return e.show(ctx, s, last, &again)
}

// challenge is one of this flow, as it stands, at a time: nothing is stored before
// somebody answers it, and whoever answers it right moves the flow on, to where it
// is none. It is the time, and 24 secret bytes.
func (s *Scope) challenge(purpose string, at time.Time) []byte {
	seconds := at.Unix()
	secret := s.draft(s.ID, purpose+":"+strconv.FormatInt(s.Revision, 10)+":"+strconv.FormatInt(seconds, 10))
	return append(binary.BigEndian.AppendUint64(nil, uint64(seconds)), secret[:24]...)
}

// answered returns the challenge of ours that an answer is to.
func (s *Scope) answered(purpose string, answer []byte) ([]byte, error) {
	said, err := account.ChallengeIn(answer)
	if err != nil {
		return nil, err
	}
	if len(said) != 32 {
		return nil, &account.BadPasskey{Cause: account.PasskeyChallenge}
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(said)), 0)
	switch {
	case !hmac.Equal(said, s.challenge(purpose, at)):
		return nil, &account.BadPasskey{Cause: account.PasskeyChallenge}
	case s.Now.Sub(at) >= account.PasskeyFor:
		return nil, &account.BadPasskey{Cause: account.PasskeyExpired}
	}
	return said, nil
}
