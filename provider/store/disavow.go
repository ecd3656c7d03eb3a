package store

import (
	"context"
	"fmt"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Disavowable reports whether a "this was not me" link is still good.
func (s *Store) Disavowable(ctx context.Context, hash []byte) (bool, error) {
	n, err := s.q.Disavowable(ctx, db.DisavowableParams{Hash: hash, Now: micros(s.Now())})
	if err != nil {
		return false, fmt.Errorf("store: disavowal: %w", err)
	}
	return n > 0, nil
}

// Disavow secures an account for the person who says that a change was not
// theirs, once a link: nothing proven before holds, no link nor change of
// address waits any more, and the password is disabled until a reset. A link
// that is used, over or nobody's is false.
func (s *Store) Disavow(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		subject, err := t.Disavow(ctx, db.DisavowParams{Hash: hash, Now: t.now()})
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		was = true
		e := account.Event{Kind: account.Disavowed, Subject: subject, Source: from}
		t.tell(e)
		// A case comes before a guard: see onCase.
		if _, err := s.freezeCasesOf(ctx, t, account.ID(subject), from); err != nil {
			return err
		}
		return t.secure(ctx, account.ID(subject), account.NotMe, e)
	})
	return was && err == nil, err
}

// secure leaves nothing of an account but its mailbox to come in by. The events
// that tell of it are like e, whatever its kind.
func (t *tx) secure(ctx context.Context, id account.ID, why account.Reason, e account.Event) error {
	// Who never tried to sign in has no guard, and nothing proven.
	if _, err := t.RaiseEpoch(ctx, string(id)); err != nil && !missing(err) {
		return err
	}
	if err := t.endSessions(ctx, id, why); err != nil {
		return err
	}
	if _, err := t.endEmail(ctx, id, e.Source); err != nil {
		return err
	}
	e.Reason = why
	if err := t.keepPractices(ctx, id, e); err != nil {
		return err
	}
	if err := t.RestartResets(ctx, string(id)); err != nil {
		return err
	}
	// Whoever made the change may know it: it opens nothing, not even a page
	// to change it on, until a link in the mailbox does.
	e.Kind, e.Reason, e.Factor = account.PasswordDisabled, "", account.Password
	t.tell(e)
	return t.DisablePassword(ctx, string(id))
}
