package flows

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
)

// SetUpPasskey adds a passkey, for whoever came from Account Settings.
type SetUpPasskey struct{}

// SetUpPasskeyPage is the data of templates/page/set_up_passkey.html.
type SetUpPasskeyPage struct {
	Username string
	Options  string // for the browser, as JSON
	Name     string // of the passkey, as typed
}

// Name is "set-up-passkey".
func (SetUpPasskey) Name() StepName { return "set-up-passkey" }

// Field is what the browser made.
func (SetUpPasskey) Field() string { return "passkey" }

// Applies to whoever came to add one.
func (SetUpPasskey) Applies(v View) Need {
	if !v.Passkeys || !Changes(AddPasskey)(v) {
		return Skip
	}
	return Must
}

// Show returns what the browser is to make.
func (p SetUpPasskey) Show(ctx context.Context, s *Scope) (Page, error) {
	options, err := s.offerPasskey(ctx, p.Name())
	return SetUpPasskeyPage{Username: s.Person.Username, Options: options}, err
}

// Submit adds what the browser made, if it is right.
func (p SetUpPasskey) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	return s.takePasskey(ctx, p.Name(), form)
}

// offerPasskey returns what a step has the browser make; "" where there are no
// passkeys.
func (s *Scope) offerPasskey(ctx context.Context, step StepName) (options string, err error) {
	if s.passkeys == nil {
		return "", nil
	}
	h, err := s.holder(ctx)
	if err != nil {
		return "", err
	}
	made, err := s.passkeys.Offer(h, s.challenge(string(step), s.Now))
	return string(made), err
}

func (s *Scope) holder(ctx context.Context) (account.Holder, error) {
	all, err := s.store.Passkeys(ctx, s.Account)
	return account.Holder{Handle: s.handle(s.Account), Username: s.Person.Username, Name: s.Person.Name, Passkeys: all}, err
}

// takePasskey judges what the browser made for a step. That it was made is proof
// enough of holding it.
func (s *Scope) takePasskey(ctx context.Context, step StepName, form Form) (Outcome, error) {
	name := strings.Join(strings.Fields(form.Get("name")), " ")
	if utf8.RuneCountInString(name) > maxName {
		return Again{Field: "name", Typed: name, Message: Message{Key: "err.authenticator_long", Args: map[string]any{"n": maxName}}}, nil
	}
	answer := []byte(form.Get("passkey"))
	if s.passkeys == nil || len(answer) == 0 {
		return Again{Message: Message{Key: "err.passkey_none"}, Typed: name}, nil
	}
	h, err := s.holder(ctx)
	if err != nil {
		return nil, err
	}
	challenge, err := s.answered(string(step), answer)
	var made *account.NewPasskey
	if err == nil {
		made, err = s.passkeys.Made(h, challenge, answer)
	}
	if err == nil {
		err = s.unheld(ctx, made.Credential)
	}
	if bad, ok := errors.AsType[*account.BadPasskey](err); ok {
		out, err := Passkey{}.refused(ctx, s, step, s.Account, bad.Cause)
		if again, ok := out.(Again); ok {
			again.Typed = name
			out = again
		}
		return out, err
	}
	if err != nil {
		return nil, err
	}
	made.Name = name
	return Passed{NewPasskey: made, Facts: []Fact{{Kind: HoldsSecond, Step: step, Methods: made.Methods()}}}, nil
}

// unheld makes sure that nobody has the credential: it would be two people's, and
// whoever makes an answer up can name any (WebAuthn Level 3 section 7.1).
func (s *Scope) unheld(ctx context.Context, credential []byte) error {
	holder, err := s.store.PasskeyHolder(ctx, credential)
	if err == nil && holder != nil {
		err = &account.BadPasskey{Cause: account.PasskeyKnown}
	}
	return err
}
