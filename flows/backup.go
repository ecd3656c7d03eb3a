package flows

import (
	"context"

	"github.com/medximity/idp/flows/account"
)

// BackupCode asks for one of the codes that were saved when the second factor
// was set up.
type BackupCode struct{}

// Name is "backup-code".
func (BackupCode) Name() StepName { return "backup-code" }

// Field is the code.
func (BackupCode) Field() string { return "backup_code" }

// Applies to whoever has codes left, as another way than the authenticator; as
// the first one to whoever went it last.
func (BackupCode) Applies(v View) Need {
	switch {
	case v.Has(HoldsSecond) || !v.Second.Any() || v.Second.Codes == 0:
		return Skip
	case v.Second.LastWasBackup:
		return Must
	}
	return Offer
}

// Show names the app.
func (BackupCode) Show(_ context.Context, s *Scope) (Page, error) {
	return CodePage{App: s.Request.ClientName}, nil
}

// Submit judges the code.
func (b BackupCode) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	code, ok := account.NormalBackupCode(form.Get("backup_code"))
	if !ok {
		key := "err.backup_shape"
		if code == "" {
			key = "err.backup_empty"
		}
		return Again{Field: "backup_code", Message: Message{Key: key}}, nil
	}
	lease, stop, err := s.charge(ctx, account.SecondFactor, b.Name(), s.Person)
	if err != nil || stop != nil {
		return orStop(stop), err
	}
	set, err := s.store.BackupSet(ctx, s.Account)
	if err != nil {
		return nil, s.faulted(ctx, lease, err)
	}
	hash, err := s.hasher.HashBackupCode(ctx, lease, set.Salt, code)
	if err != nil {
		return nil, s.faulted(ctx, lease, err)
	}
	switch found, used := set.Match(hash); {
	case used:
		return s.refuse(ctx, b, lease, account.ReplayedCode)
	case !found:
		return s.refuse(ctx, b, lease, account.BadCode)
	}
	// RFC 8176 has no name of its own for them: a code that is good once.
	return Passed{Lease: lease, Burn: &account.Burn{Backup: hash},
		Facts: []Fact{{Kind: HoldsSecond, Step: b.Name(), Methods: []string{"otp"}}}}, nil
}
