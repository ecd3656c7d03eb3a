package flows

import (
	"context"

	"github.com/medximity/idp/flows/account"
)

// OfferPasskey asks, after a sign-in with password and code, whether to add a
// passkey in their place: once in account.AskPasskeyEvery, and never again if that
// is the answer. A host asks by putting it at the end of its policy.
type OfferPasskey struct{}

// OfferPasskeyPage is the data of templates/page/offer_passkey.html.
type OfferPasskeyPage struct {
	Options string // for the browser, as JSON; "": it is too late for that
	Name    string // of the passkey, as typed
}

// Name is "offer-passkey".
func (OfferPasskey) Name() StepName { return "offer-passkey" }

// Field is the choice.
func (OfferPasskey) Field() string { return "offer" }

// Applies to whoever has none, and typed all that one would spare them. The start
// of the flow is its clock.
func (OfferPasskey) Applies(v View) Need {
	if !v.Passkeys || v.Second.Passkeys > 0 || !v.Has(KnowsPassword) || !v.PassedStep(TOTP{}.Name()) ||
		v.Second.AskPasskey.After(v.Started) {
		return Skip
	}
	return Must
}

// Show returns what the browser may make.
func (o OfferPasskey) Show(ctx context.Context, s *Scope) (Page, error) {
	if !o.fresh(s) {
		return OfferPasskeyPage{}, nil
	}
	options, err := s.offerPasskey(ctx, o.Name())
	return OfferPasskeyPage{Options: options}, err
}

// fresh reports whether who is there was proven just now: the page may stay open
// for hours, and whoever comes by then adds nothing of theirs.
func (OfferPasskey) fresh(s *Scope) bool {
	at := s.Started
	for _, f := range s.Facts {
		if f.At.After(at) {
			at = f.At
		}
	}
	return s.Now.Sub(at) < account.PasskeyFor
}

// Submit takes a passkey, a later or a never.
func (o OfferPasskey) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	no := Passed{Facts: []Fact{{Kind: NoPasskey, Step: o.Name()}}}
	switch form.Get("offer") {
	case "yes":
		if !o.fresh(s) {
			return Again{Message: Message{Key: "err.passkey_late"}}, nil
		}
		return s.takePasskey(ctx, o.Name(), form)
	case "later":
		no.AskPasskey = s.Now.Add(account.AskPasskeyEvery)
	case "never":
		no.AskPasskey = account.NeverAsk
	default:
		return Again{}, nil
	}
	return no, nil
}
