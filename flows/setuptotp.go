package flows

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
)

// SetUpTOTP adds an authenticator app: it shows a key, and wants a code made
// with it. Who must have a second factor and has none does so while signing in;
// others come from Account Settings.
//
// Until the code is right nothing is stored: the key is drawn from a secret and
// the flow, so the page can be shown again, and is worth nothing in another.
type SetUpTOTP struct{}

// SetUpPage is the data of templates/page/set_up_totp.html.
type SetUpPage struct {
	Username string
	Key      string // base32
	URI      string // otpauth:, for the QR code
	Name     string // of the authenticator, as typed or proposed
	Required bool   // they did not ask for it themselves
	First    bool   // backup codes come next
}

// maxName is the longest name of an authenticator, in characters.
const maxName = 40

// Name is "set-up-totp".
func (SetUpTOTP) Name() StepName { return "set-up-totp" }

// Field is the code.
func (SetUpTOTP) Field() string { return "otp" }

// Applies to whoever came to add one and, where it is required, to whoever has
// none.
func (SetUpTOTP) Applies(v View) Need {
	switch {
	case Changes(AddAuthenticator)(v):
		return Must
	case !v.Second.Any() && !v.Has(HoldsSecond):
		return Must
	}
	return Skip
}

// Show returns the key.
func (t SetUpTOTP) Show(_ context.Context, s *Scope) (Page, error) {
	key := t.key(s)
	return SetUpPage{Username: s.Person.Username, Key: account.KeyText(key),
		URI: account.KeyURI(s.issuer, s.Person.Username, key), Required: s.Kind != Enroll,
		First: s.Second.Codes == 0}, nil
}

func (SetUpTOTP) key(s *Scope) []byte { return s.draft(s.ID, "totp")[:20] }

// Submit adds the authenticator if the code is one of its own.
func (t SetUpTOTP) Submit(_ context.Context, s *Scope, form Form) (Outcome, error) {
	name := strings.Join(strings.Fields(form.Get("authenticator")), " ")
	if utf8.RuneCountInString(name) > maxName {
		return Again{Field: "authenticator", Typed: name,
			Message: Message{Key: "err.authenticator_long", Args: map[string]any{"n": maxName}}}, nil
	}
	code, ok := account.NormalCode(form.Get("otp"))
	if !ok {
		again := codeShape(code)
		again.Typed = name
		return again, nil
	}
	step, ok := account.ConfirmCode(t.key(s), code, s.Now)
	if !ok {
		return Again{Field: "otp", Message: Message{Key: "err.code"}, Typed: name}, nil
	}
	return Passed{
		Authenticator: &account.NewAuthenticator{Name: name, Key: t.key(s), Step: step},
		Facts:         []Fact{{Kind: HoldsSecond, Step: t.Name(), Methods: []string{"otp"}}},
	}, nil
}
