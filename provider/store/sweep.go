package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// How long rows are kept after they are over.
const (
	day = 24 * time.Hour

	flowsFor     = 12 * time.Hour     // a page left open over night leads on to its app
	sessionsFor  = 2 * flows.LoginFor // longer than its flow could ask for another one
	grantsFor    = day                // replays are recognised
	linksFor     = 7 * day            // old links can say why they are old
	assertsFor   = time.Hour          // longer than any two clocks differ
	pushedFor    = time.Hour          // likewise
	asksFor      = day                // changes of e-mail address, and "this was not me"
	mailsFor     = 7 * day            // sent and dropped; they are blank
	casesFor     = 365 * day          // closed; what the desk knew may be asked for
	invitesFor   = 30 * day           // old links can say why they are old
	deadMailsFor = 30 * day           // somebody may have them tried again
	oldKeysFor   = 30 * day           // old tokens are recognised as hints
	devicesFor   = 365 * day          // no longer than the cookie that names it
	auditFor     = 6 * 365 * day
)

const (
	batch      = 500       // rows a statement deletes at most
	shadowsMax = 1_000_000 // guard rows of identifiers that nobody has
)

// sweep deletes what is over, in batches, each of which is a statement of its
// own, and moves what has another place since a migration: no lock is held for
// long, and a sweep cut short loses nothing.
func (s *Store) sweep(ctx context.Context, keepAudit time.Duration) error {
	if keepAudit == 0 {
		keepAudit = auditFor
	}
	now := s.Now()
	ago := func(d time.Duration) int64 { return micros(now.Add(-d)) }
	return errors.Join(
		drain("flows", func() (int64, error) {
			return s.w.SweepFlows(ctx, db.SweepFlowsParams{Before: ago(flowsFor), Batch: batch})
		}),
		drain("sessions", func() (int64, error) {
			return s.w.SweepSessions(ctx, db.SweepSessionsParams{Before: ago(sessionsFor), Batch: batch})
		}),
		drain("grants", func() (int64, error) {
			return s.w.SweepGrants(ctx, db.SweepGrantsParams{Before: ago(grantsFor), Batch: batch})
		}),
		drain("reset links", func() (int64, error) {
			return s.w.SweepResetLinks(ctx, db.SweepResetLinksParams{Before: ago(linksFor), Batch: batch})
		}),
		drain("resets", func() (int64, error) {
			return s.w.SweepResets(ctx, db.SweepResetsParams{Before: ago(linksFor), Batch: batch})
		}),
		drain("email changes", func() (int64, error) {
			return s.w.SweepEmailChanges(ctx, db.SweepEmailChangesParams{Before: ago(asksFor), Batch: batch})
		}),
		drain("disavowals", func() (int64, error) {
			return s.w.SweepDisavowals(ctx, db.SweepDisavowalsParams{Before: ago(asksFor), Batch: batch})
		}),
		drain("transfers", func() (int64, error) {
			return s.w.SweepTransfers(ctx, db.SweepTransfersParams{Before: micros(now), Batch: batch})
		}),
		drain("invitations", func() (int64, error) {
			return s.w.SweepInvitations(ctx, db.SweepInvitationsParams{Before: ago(invitesFor), Batch: batch})
		}),
		drain("cases", func() (int64, error) {
			return s.w.SweepCases(ctx, db.SweepCasesParams{Before: ago(casesFor), Batch: batch})
		}),
		drain("assertions", func() (int64, error) {
			return s.w.SweepAssertions(ctx, db.SweepAssertionsParams{Before: ago(assertsFor), Batch: batch})
		}),
		drain("pushed requests", func() (int64, error) {
			return s.w.SweepPushed(ctx, db.SweepPushedParams{Before: ago(pushedFor), Batch: batch})
		}),
		drain("sources", func() (int64, error) {
			before := ago(time.Hour + account.SourceWindow)
			return s.w.SweepSources(ctx, db.SweepSourcesParams{Before: before, Batch: batch})
		}),
		s.sweepMails(ctx, ago),
		s.sweepNPIs(ctx),
		drain("shadows", func() (int64, error) {
			return s.w.DropShadows(ctx, db.DropShadowsParams{Keep: shadowsMax, Batch: batch})
		}),
		drain("known devices", func() (int64, error) {
			return s.w.SweepDevices(ctx, db.SweepDevicesParams{Before: ago(devicesFor), Batch: batch})
		}),
		s.sweepAudit(ctx, now.Add(-keepAudit)),
		drain("signing keys", func() (int64, error) {
			_, err := s.w.SweepSigningKeys(ctx, ago(oldKeysFor))
			return 0, err
		}),
	)
}

func (s *Store) sweepMails(ctx context.Context, ago func(time.Duration) int64) error {
	var errs []error
	keeps := map[string]time.Duration{"sent": mailsFor, "dropped": mailsFor, "dead": deadMailsFor}
	for state, keep := range keeps {
		errs = append(errs, drain("mails", func() (int64, error) {
			return s.w.SweepMails(ctx, db.SweepMailsParams{State: state, Before: ago(keep), Batch: batch})
		}))
	}
	return errors.Join(errs...)
}

// sweepAudit deletes the rows before a time from the beginning of the chain, so
// that what is left is one. Only what fits goes: nobody has the evidence of a
// tamper swept away, nor rows that are not old by dating their links back.
func (s *Store) sweepAudit(ctx context.Context, before time.Time) error {
	if err := s.chain(ctx, lookFar); err != nil {
		return err
	}
	key, err := s.chainKey(ctx)
	if err != nil {
		return err
	}
	err = drain("audit", func() (int64, error) { return s.sweepLinked(ctx, key, before) })
	if err != nil {
		return err
	}
	newest, err := s.newestLinked(ctx)
	if err != nil {
		return err
	}
	// What no link names and none ever will.
	low, _ := chainBounds(newest, s.Now(), lookFar)
	low = min(low, idAt(before))
	return drain("audit", func() (int64, error) {
		return s.w.SweepStrangers(ctx, db.SweepStrangersParams{Before: low, Batch: batch})
	})
}

func (s *Store) sweepLinked(ctx context.Context, key chainKey, before time.Time) (n int64, err error) {
	from, err := s.q.Anchor(ctx)
	if err != nil {
		return 0, err
	}
	if !key.made(from) {
		return 0, errors.New("the record of where the trail begins is forged: run `idp audit verify`")
	}
	page, err := s.q.Links(ctx, db.LinksParams{After: from.Seq, Page: batch})
	if err != nil {
		return 0, err
	}
	w := walk{key: key, seq: from.Seq, hash: from.Hash}
	for _, l := range page {
		if t, ours := idTime(l.RowID); ours && !t.Before(before) {
			break
		}
		if f := w.step(l); f != nil {
			return 0, fmt.Errorf("row %d is %s: run `idp audit verify`", f.Sequence, f.Damage)
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, s.update(ctx, func(t *tx) error {
		moved, err := t.MoveAnchor(ctx, db.MoveAnchorParams{FromSeq: from.Seq, ToSeq: w.seq,
			Hash: w.hash, Mac: key.anchor(w.seq, w.hash)})
		if err != nil || moved == 0 {
			return err // another replica sweeps
		}
		return errors.Join(t.SweepLinked(ctx, w.seq), t.SweepLinks(ctx, w.seq))
	})
}

// drain repeats a statement until a batch is not full.
func drain(what string, once func() (int64, error)) error {
	for {
		n, err := once()
		if err != nil {
			return fmt.Errorf("store: sweep %s: %w", what, err)
		}
		if n < batch {
			return nil
		}
	}
}
