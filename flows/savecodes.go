package flows

import (
	"context"
	"errors"

	"github.com/medximity/idp/flows/account"
)

// OfferCodes asks, after a sign-in with one of the last backup codes, whether
// to make new ones.
type OfferCodes struct{}

// OfferPage is the data of templates/page/more_codes.html.
type OfferPage struct{ Left int }

// Name is "more-backup-codes".
func (OfferCodes) Name() StepName { return "more-backup-codes" }

// Field is the choice.
func (OfferCodes) Field() string { return "more" }

// Applies when few are left, and one was just used. When none is, nobody is
// asked: see SaveCodes.
func (OfferCodes) Applies(v View) Need {
	n := v.Second.Codes
	if n == 0 || n > account.FewCodes || !v.PassedStep(BackupCode{}.Name()) || v.Has(SavedCodes) {
		return Skip
	}
	return Must
}

// Show tells how many are left.
func (OfferCodes) Show(_ context.Context, s *Scope) (Page, error) {
	return OfferPage{Left: s.Second.Codes}, nil
}

// Submit takes a yes or a later.
func (o OfferCodes) Submit(_ context.Context, _ *Scope, form Form) (Outcome, error) {
	switch form.Get("more") {
	case "yes":
		return Passed{Facts: []Fact{{Kind: NewCodes, Step: o.Name()}}}, nil
	case "later":
		return Passed{Facts: []Fact{{Kind: NoNewCodes, Step: o.Name()}}}, nil
	}
	return Again{}, nil
}

// SaveCodes shows new backup codes, once, and makes them good when the person
// says that they are saved. Like the key of SetUpTOTP they are drawn from a
// secret and the flow; only their hashes are ever stored.
type SaveCodes struct{}

// CodesPage is the data of templates/page/backup_codes.html.
type CodesPage struct {
	Codes    []string
	Replaces bool // codes that still work, and then will not
}

// Name is "backup-codes".
func (SaveCodes) Name() StepName { return "backup-codes" }

// Field says that they are saved.
func (SaveCodes) Field() string { return "saved" }

// Applies to whoever asked for new ones, and to whoever has an authenticator
// and none of them left.
func (SaveCodes) Applies(v View) Need {
	if v.Has(SavedCodes) || !v.Second.Any() {
		return Skip
	}
	if v.Second.Codes == 0 || v.Has(NewCodes) || Changes(ReplaceBackupCodes)(v) {
		return Must
	}
	return Skip
}

// Show returns the codes.
func (c SaveCodes) Show(_ context.Context, s *Scope) (Page, error) {
	return CodesPage{Codes: c.codes(s), Replaces: s.Second.Codes > 0}, nil
}

func (SaveCodes) codes(s *Scope) []string {
	return account.MakeBackupCodes(s.draft(s.ID, "backup codes"))
}

// Submit makes them good.
func (c SaveCodes) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	if form.Get("saved") != "yes" {
		return Again{Field: "saved", Message: Message{Key: "err.saved"}}, nil
	}
	set, err := s.hasher.NewBackupSet(ctx, c.codes(s))
	if errors.Is(err, account.ErrQueueFull) {
		return Stop{Reason: account.ErrBusy}, nil
	}
	if err != nil {
		return nil, err
	}
	return Passed{Codes: set, Facts: []Fact{{Kind: SavedCodes, Step: c.Name()}}}, nil
}
