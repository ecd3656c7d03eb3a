package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Second tells in one SELECT what the account has.
func (s *Store) Second(ctx context.Context, id account.ID) (account.Second, error) {
	r, err := s.q.Second(ctx, string(id))
	if err != nil {
		return account.Second{}, fmt.Errorf("store: second factor: %w", err)
	}
	second := account.Second{Authenticators: int(r.Authenticators), Passkeys: int(r.Passkeys), Codes: int(r.CodesLeft),
		LastWasBackup: r.BackupAt > r.CodeAt}
	if r.AskPasskey > 0 {
		second.AskPasskey = at(r.AskPasskey)
	}
	return second, nil
}

// Authenticators returns the account's, the oldest first.
func (s *Store) Authenticators(ctx context.Context, id account.ID) ([]account.Authenticator, error) {
	rows, err := s.q.Authenticators(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("store: authenticators: %w", err)
	}
	all := make([]account.Authenticator, len(rows))
	for i, r := range rows {
		key, err := s.Ring.Open(r.Key, "authenticators", "key", r.ID)
		if err != nil {
			return nil, err
		}
		all[i] = account.Authenticator{ID: r.ID, Name: r.Name, Key: key, LastStep: r.LastStep,
			AddedAt: at(r.CreatedAt), UsedAt: at(r.UsedAt)}
	}
	return all, nil
}

// BackupSet returns the account's set of backup codes; the zero set if it has
// none.
func (s *Store) BackupSet(ctx context.Context, id account.ID) (set account.BackupSet, err error) {
	set.Salt, err = s.q.BackupSalt(ctx, string(id))
	if missing(err) {
		return set, nil
	}
	if err != nil {
		return set, fmt.Errorf("store: backup codes: %w", err)
	}
	rows, err := s.q.BackupCodes(ctx, string(id))
	if err != nil {
		return set, fmt.Errorf("store: backup codes: %w", err)
	}
	for _, r := range rows {
		if r.UsedAt > 0 {
			set.Used = append(set.Used, r.Hash)
		} else {
			set.Unused = append(set.Unused, r.Hash)
		}
	}
	return set, nil
}

// burn uses a right code up. One statement decides: of any number of requests,
// on any page and replica, one has it.
func (s *Store) burn(ctx context.Context, t *tx, f *flows.Flow, p flows.Progress) error {
	if p.Burn == nil {
		return nil
	}
	e := account.Event{Kind: account.CodeAccepted, Subject: string(f.Account), Practice: f.Practice,
		Step: p.Lease.Attempt().Step, Source: f.From, Offset: p.Burn.Offset}
	var n int64
	var err error
	if p.Burn.Backup != nil {
		e.Kind = account.BackupUsed
		n, err = t.BurnBackupCode(ctx, db.BurnBackupCodeParams{Account: string(f.Account), Hash: p.Burn.Backup, Now: t.now()})
	} else {
		n, err = t.BurnStep(ctx, db.BurnStepParams{ID: p.Burn.Authenticator, Account: string(f.Account),
			Step: p.Burn.Step, Now: t.now()})
	}
	switch {
	case err != nil:
		return err
	case n == 0:
		return account.ErrReplayed
	}
	t.tell(e)
	if p.Burn.Backup == nil {
		return nil
	}
	left, err := t.Second(ctx, string(f.Account))
	if err != nil {
		return err
	}
	return s.notify(ctx, t, "backup_code_used", f.Account, map[string]any{"left": left.CodesLeft})
}

func (s *Store) addAuthenticator(ctx context.Context, t *tx, f *flows.Flow, a account.NewAuthenticator) error {
	id := rand.Text()
	err := t.AddAuthenticator(ctx, db.AddAuthenticatorParams{ID: id, Account: string(f.Account), Name: a.Name,
		Key: s.Ring.Seal(a.Key, "authenticators", "key", id), LastStep: a.Step, Now: t.now()})
	if err != nil {
		return err
	}
	t.tell(account.Event{Kind: account.SecondAdded, Subject: string(f.Account), Practice: f.Practice, Source: f.From})
	return s.notify(ctx, t, "second_factor_added", f.Account, nil)
}

// BringSecond gives an account without a second factor one that it had
// elsewhere. It reports whether it did; nobody is told.
func (s *Store) BringSecond(ctx context.Context, id account.ID, a account.NewAuthenticator, actor string) (done bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		has, err := t.Second(ctx, string(id))
		if err != nil || has.Authenticators+has.Passkeys > 0 {
			return err
		}
		done = true
		row := rand.Text()
		t.tell(account.Event{Kind: account.SecondAdded, Subject: string(id), Actor: actor})
		return t.AddAuthenticator(ctx, db.AddAuthenticatorParams{ID: row, Account: string(id), Name: a.Name,
			Key: s.Ring.Seal(a.Key, "authenticators", "key", row), LastStep: a.Step, Now: t.now()})
	})
	return done, err
}

// putBackupSet replaces the account's codes.
func (s *Store) putBackupSet(ctx context.Context, t *tx, f *flows.Flow, set account.BackupSet) error {
	if _, err := t.RemoveBackupCodes(ctx, string(f.Account)); err != nil {
		return err
	}
	if err := t.PutBackupSet(ctx, db.PutBackupSetParams{Account: string(f.Account), Salt: set.Salt, Now: t.now()}); err != nil {
		return err
	}
	for _, hash := range set.Unused {
		if err := t.AddBackupCode(ctx, db.AddBackupCodeParams{Account: string(f.Account), Hash: hash}); err != nil {
			return err
		}
	}
	t.tell(account.Event{Kind: account.BackupMade, Subject: string(f.Account), Practice: f.Practice, Source: f.From})
	return s.notify(ctx, t, "backup_codes_made", f.Account, nil)
}

// RemoveAuthenticator takes one of an account's authenticators away, with the
// backup codes if it was the last. Where a second factor is required the last
// one stays: that, and one that is not there, is false. All else that was
// proven is void; the session that asked goes on.
func (s *Store) RemoveAuthenticator(ctx context.Context, by *Session, id string, required bool, from account.Source) (bool, error) {
	err := s.update(ctx, func(t *tx) error {
		return s.removeSecond(ctx, t, by, func() (int64, error) {
			return t.Queries.RemoveAuthenticator(ctx, db.RemoveAuthenticatorParams{ID: id, Account: string(by.Account), Required: required})
		}, account.Event{Kind: account.SecondRemoved, Source: from}, "second_factor_removed")
	})
	if errors.Is(err, errGone) {
		return false, nil
	}
	return err == nil, err
}

// removeSecond removes something that proves the account, tells the event and
// mails its owner.
func (s *Store) removeSecond(ctx context.Context, t *tx, by *Session, remove func() (int64, error), e account.Event, mail string) error {
	// The guard's row orders it against sign-ins and other removals.
	epoch, err := t.RaiseEpoch(ctx, string(by.Account))
	if err != nil || epoch != by.Epoch+1 {
		return orGone(err)
	}
	n, err := remove()
	if err != nil || n == 0 {
		return orGone(err)
	}
	left, err := t.Second(ctx, string(by.Account))
	if err == nil && left.Authenticators+left.Passkeys == 0 {
		err = t.dropBackupCodes(ctx, by.Account)
	}
	if err != nil {
		return err
	}
	if err := t.KeepSession(ctx, db.KeepSessionParams{ID: by.ID, Account: string(by.Account), Epoch: epoch}); err != nil {
		return err
	}
	if err := t.endSessionsBut(ctx, by.Account, account.ProofChanged, by.ID); err != nil {
		return err
	}
	e.Subject, e.Practice = string(by.Account), by.Practice
	t.tell(e)
	return s.notify(ctx, t, mail, by.Account, nil)
}

func (t *tx) dropBackupCodes(ctx context.Context, id account.ID) error {
	if _, err := t.RemoveBackupCodes(ctx, string(id)); err != nil {
		return err
	}
	return t.RemoveBackupSet(ctx, string(id))
}

// ResetSecond takes the whole second factor away, its hold and its counter: the
// last resort of Support, after checking who it is. Everything proven is void.
// It reports whether there was anything to take.
func (s *Store) ResetSecond(ctx context.Context, id account.ID, by account.By, actor string) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		was, err = s.resetSecond(ctx, t, account.Event{Kind: account.SecondReset, Subject: string(id), By: by, Actor: actor})
		return err
	})
	return was, err
}

// resetSecond does it to the event's subject, and tells the event. The guard's row
// is locked before the authenticators', as everywhere.
func (s *Store) resetSecond(ctx context.Context, t *tx, e account.Event) (was bool, err error) {
	if err := t.LockGuard(ctx, db.LockGuardParams{Subject: e.Subject, Now: t.now()}); err != nil {
		return false, err
	}
	g, err := t.ReadGuard(ctx, db.ReadGuardParams{Subject: e.Subject})
	if err != nil {
		return false, err
	}
	apps, err := t.RemoveAuthenticators(ctx, e.Subject)
	if err != nil {
		return false, err
	}
	passkeys, err := t.RemovePasskeys(ctx, e.Subject)
	if err != nil || apps+passkeys == 0 && g.CodeWrong+g.CodeFailed == 0 {
		return false, err
	}
	id := account.ID(e.Subject)
	if err := t.dropBackupCodes(ctx, id); err != nil {
		return false, err
	}
	if _, err := t.ClearCodes(ctx, e.Subject); err != nil {
		return false, err
	}
	why := account.OperatorSaid
	if e.By == account.ByOwner {
		why = account.TeamSaid
	}
	if err := t.endSessions(ctx, id, why); err != nil {
		return false, err
	}
	if err := t.Recovered(ctx, db.RecoveredParams{ID: e.Subject, Now: t.now()}); err != nil {
		return false, err
	}
	t.tell(e)
	return true, s.notify(ctx, t, "second_factor_reset", id, map[string]any{"team": e.By == account.ByOwner})
}

// VoidBackupCodes ends an account's backup codes. The next sign-in with the
// authenticator makes new ones, before the eyes of their owner alone. It
// reports whether there were any.
func (s *Store) VoidBackupCodes(ctx context.Context, id account.ID, actor string) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err := t.RemoveBackupCodes(ctx, string(id))
		if was = n > 0; err != nil || !was {
			return err
		}
		t.tell(account.Event{Kind: account.BackupVoided, Subject: string(id), Actor: actor})
		return t.RemoveBackupSet(ctx, string(id))
	})
	return was, err
}

// hold stops an account's second factor after too many wrong codes. Whoever
// gave them knew the password: it has to be changed, and nobody goes on with
// what was proven.
func (s *Store) hold(ctx context.Context, t *tx, e account.Event) error {
	e.Kind, e.Reason = account.SecondHeld, ""
	t.tell(e)
	if err := t.MustChange(ctx, e.Subject); err != nil {
		return err
	}
	if _, err := t.RaiseEpoch(ctx, e.Subject); err != nil {
		return err
	}
	if err := t.endSessions(ctx, account.ID(e.Subject), account.Held); err != nil {
		return err
	}
	return s.notify(ctx, t, "second_factor_held", account.ID(e.Subject), nil)
}
