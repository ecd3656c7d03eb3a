package flows

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
)

// NewPassword asks for a new password twice: after a reset link was opened,
// and at sign-in when the directory says that it must be changed.
type NewPassword struct{}

// NewPasswordPage is the data of templates/page/new_password.html.
type NewPasswordPage struct {
	Username string // so that password managers save it for the right account
	Min, Max int
	Reset    bool // by a link: they sign in with it afterwards
}

// Name is "new-password".
func (NewPassword) Name() StepName { return "new-password" }

// Field is the new password.
func (NewPassword) Field() string { return "new_password" }

// Applies after the link or the old password was proven.
func (NewPassword) Applies(v View) Need {
	if v.Has(HoldsLink) || v.Has(KnowsPassword) {
		return Must
	}
	return Skip
}

// Show tells the rules before anything is typed.
func (NewPassword) Show(_ context.Context, s *Scope) (Page, error) {
	p := NewPasswordPage{Min: s.minPassword(), Max: account.MaxPassword, Reset: s.Kind == Reset}
	if s.Person != nil {
		p.Username = s.Person.Username
	}
	return p, nil
}

// Submit takes the password if both fields agree and the rules allow it. Which
// rule refused it is said beside the field.
func (n NewPassword) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	secret, again := s.choose(form, s.ownWords()...)
	if again != nil {
		return *again, nil
	}
	if s.Has(KnowsPassword) {
		same, err := s.unchanged(ctx, n.Name(), secret)
		if r, ok := errors.AsType[*account.Refusal](err); ok {
			return Stop{Reason: r.Err, Until: r.Until}, nil
		}
		if err != nil {
			return nil, err
		}
		if same {
			return Again{Field: "new_password", Message: Message{Key: "err.pw_same"}}, nil
		}
	}
	return s.keep(ctx, n.Name(), secret)
}

// choose returns the password that a form chooses, or why it cannot be that:
// both fields agree, and it is not made of the words.
func (s *Scope) choose(form Form, words ...string) ([]byte, *Again) {
	typed := form.Get("new_password")
	if typed == "" {
		return nil, &Again{Field: "new_password", Message: Message{Key: "err.new_password_empty"}}
	}
	secret, err := account.NormalPassword(typed)
	if err == nil {
		rules := s.rules
		rules.Min = s.minPassword()
		err = rules.Judge(secret, words...)
	}
	if key := refusals[err]; key != "" {
		return nil, &Again{Field: "new_password", Message: Message{Key: key, Args: map[string]any{"n": s.minPassword()}}}
	}
	if form.Get("confirm_password") != typed {
		return nil, &Again{Field: "confirm_password", Message: Message{Key: "err.pw_mismatch"}}
	}
	return secret, nil
}

// keep hashes a password that was chosen.
func (s *Scope) keep(ctx context.Context, step StepName, secret []byte) (Outcome, error) {
	hash, err := s.hasher.Hash(ctx, secret)
	if errors.Is(err, account.ErrQueueFull) {
		return Stop{Reason: account.ErrBusy}, nil
	}
	if err != nil {
		return nil, err
	}
	short := utf8.RuneCount(secret) < account.MinPassword
	return Passed{Hash: hash, Short: short, Facts: []Fact{{Kind: NewPasswordIs, Step: step}}}, nil
}

// refusals are the words for each reason.
var refusals = map[error]string{
	account.ErrTooShort: "err.pw_short",
	account.ErrTooLong:  "err.pw_long",
	account.ErrCommon:   "err.pw_common",
	account.ErrPersonal: "err.pw_personal",
	account.ErrNotText:  "err.password_not_text",
}

// minPassword is the shortest password: where two factors are always asked for,
// it may be shorter (NIST SP 800-63B-4 section 3.1.1.2).
func (s *Scope) minPassword() int {
	switch {
	case s.Required:
		return account.MinPasswordWith2
	case s.rules.Min == 0:
		return account.MinPassword
	}
	return s.rules.Min
}

// ownWords are what a password must not be made of.
func (s *Scope) ownWords() []string {
	words := []string{"medximity", "digitalpatientchart"}
	if p := s.Person; p != nil {
		words = append(words, p.Username, p.Email, p.Name, p.PracticeName)
	}
	if i := s.Invitation; i != nil {
		words = append(words, i.Email, i.PracticeName)
	}
	return words
}
