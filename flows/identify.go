package flows

import (
	"context"

	"github.com/medximity/idp/flows/account"
)

// Identify asks who is there. The page has the password beside it (one thing
// to fill in for people and for password managers), so one form usually
// answers both steps.
type Identify struct{}

// SignInPage is the data of templates/page/login.html, which both Identify
// and Password show.
type SignInPage struct {
	Identifier string // what to fill in
	App        string // the name of the app that asked
	Passkey    string // what the browser is asked for a passkey, as JSON; "" where there are none
}

// Name is "identify".
func (Identify) Name() StepName { return "identify" }

// Field is the identifier.
func (Identify) Field() string { return "identifier" }

// Applies until something was typed.
func (Identify) Applies(v View) Need {
	if v.Typed != "" {
		return Skip
	}
	return Must
}

// Show prefills what the app hinted (OIDC Core section 3.1.2.1, login_hint).
func (Identify) Show(ctx context.Context, s *Scope) (Page, error) {
	passkey, err := s.askPasskey(ctx)
	return SignInPage{Identifier: s.Request.Hint, App: s.Request.ClientName, Passkey: passkey}, err
}

// Submit keeps the identifier. Whether anybody has it is not told, here or
// later.
func (Identify) Submit(_ context.Context, s *Scope, form Form) (Outcome, error) {
	typed := form.Get("identifier")
	switch {
	case account.Normalise(typed) == "":
		return Again{Field: "identifier", Message: Message{Key: "err.identifier_empty"}}, nil
	case len(typed) > 320: // RFC 3696 erratum 1690: 64 + 1 + 255 octets
		return Again{Field: "identifier", Message: Message{Key: "err.identifier_long"}, Typed: typed}, nil
	}
	return Passed{Typed: typed, Facts: []Fact{{Kind: Identified, Step: "identify"}}}, nil
}
