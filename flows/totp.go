package flows

import (
	"context"

	"github.com/medximity/idp/flows/account"
)

// TOTP asks for a code of an authenticator app (RFC 6238).
type TOTP struct{}

// CodePage is the data of templates/page/totp.html and backup_code.html.
type CodePage struct {
	App string // the name of the app that asked
}

// Name is "totp".
func (TOTP) Name() StepName { return "totp" }

// Field is the code.
func (TOTP) Field() string { return "otp" }

// Applies to whoever has an authenticator, first unless a backup code was what
// they used last.
func (TOTP) Applies(v View) Need {
	switch {
	case v.Has(HoldsSecond) || v.Second.Authenticators == 0:
		return Skip
	case v.Second.LastWasBackup && v.Second.Codes > 0:
		return Offer
	}
	return Must
}

// Show names the app.
func (TOTP) Show(_ context.Context, s *Scope) (Page, error) {
	return CodePage{App: s.Request.ClientName}, nil
}

// Submit judges the code. What is no six digits is told, and not counted.
func (t TOTP) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	code, ok := account.NormalCode(form.Get("otp"))
	if !ok {
		return codeShape(code), nil
	}
	lease, stop, err := s.charge(ctx, account.SecondFactor, t.Name(), s.Person)
	if err != nil || stop != nil {
		return orStop(stop), err
	}
	all, err := s.store.Authenticators(ctx, s.Account)
	if err != nil {
		return nil, s.faulted(ctx, lease, err)
	}
	match, found, used, err := account.MatchCode(lease, all, code, s.Now)
	switch {
	case err != nil:
		return nil, s.faulted(ctx, lease, err)
	case used:
		return s.refuse(ctx, t, lease, account.ReplayedCode)
	case !found:
		return s.refuse(ctx, t, lease, account.BadCode)
	}
	return Passed{Lease: lease, Burn: &account.Burn{Match: match},
		Facts: []Fact{{Kind: HoldsSecond, Step: t.Name(), Methods: []string{"otp"}}}}, nil
}

// codeShape says what is wrong with what cannot be a code.
func codeShape(code string) Again {
	key := "err.code_len"
	if code == "" {
		key = "err.code_empty"
	}
	return Again{Field: "otp", Message: Message{Key: key}}
}
