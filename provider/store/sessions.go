package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ErrNoSession means that the token names no live session: it never was, was
// ended, went unseen too long, is past its end, or its account was reset or
// disabled.
var ErrNoSession = errors.New("store: no such session")

// seenEvery is how stale a session's seen_at may be: it spares a write a page.
const seenEvery = 5 * time.Minute

// Session is a browser that is signed in.
type Session struct {
	ID        []byte // SHA-256 of the cookie's secret
	Root      []byte // the ID that it began with, before any step-up
	Account   account.ID
	Practice  account.PracticeID
	Epoch     int64
	AuthTime  time.Time
	Methods   []string // RFC 8176
	ACR       string
	Device    string
	Address   string
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}

// SID names the session to apps (`sid`, OpenID Connect Front-Channel Logout
// section 3), for all its life. It cannot be turned back into the token.
func (s Session) SID() string { return sidOf(s.Root) }

func sidOf(root []byte) string { return base64.RawURLEncoding.EncodeToString(root[:16]) }

// Session returns the live session of a token, or ErrNoSession.
func (s *Store) Session(ctx context.Context, token string) (*Session, error) {
	now := s.Now()
	r, err := s.q.Session(ctx, db.SessionParams{ID: account.HashSecret(token), Now: micros(now)})
	if missing(err) {
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	sess, err := sessionOf(r)
	if err != nil {
		return nil, err
	}
	if now.Sub(sess.SeenAt) < seenEvery {
		return sess, nil
	}
	return sess, s.w.TouchSession(ctx, db.TouchSessionParams{ID: r.ID, Now: micros(now)})
}

func sessionOf(r db.SessionRow) (*Session, error) {
	s := &Session{
		ID: r.ID, Root: r.Root, Account: account.ID(r.Account), Practice: account.PracticeID(r.Practice),
		Epoch: r.Epoch, AuthTime: at(r.AuthTime), ACR: r.Acr, Device: r.Device, Address: r.Address,
		CreatedAt: at(r.CreatedAt), SeenAt: at(r.SeenAt), ExpiresAt: at(r.ExpiresAt),
	}
	return s, json.Unmarshal([]byte(r.Methods), &s.Methods)
}

// EndSession ends a session by its ID. Ending it twice does nothing. When a
// person signs out, the families of tokens that came from it end, too (ASVS
// 7.4.1): a workstation that others use keeps nothing that goes on.
func (s *Store) EndSession(ctx context.Context, id []byte, reason account.Reason) error {
	return s.update(ctx, func(t *tx) error { return t.endSession(ctx, id, reason) })
}

func (t *tx) endSession(ctx context.Context, id []byte, reason account.Reason) error {
	r, err := t.EndSession(ctx, db.EndSessionParams{ID: id, Now: t.now()})
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	e := account.Event{Kind: account.SessionEnded, Subject: r.Account,
		Practice: account.PracticeID(r.Practice), Reason: reason}
	t.tell(e)
	if reason != account.SignedOut {
		return nil
	}
	return t.endFamilies(ctx, e, id)
}

// endFamilies ends the families of tokens that came from a session which e says
// is over.
func (t *tx) endFamilies(ctx context.Context, e account.Event, id []byte) error {
	n, err := t.RevokeGrantsOf(ctx, db.RevokeGrantsOfParams{Account: e.Subject, Session: id, Now: t.now()})
	e.Kind = account.GrantRevoked
	for range n {
		t.tell(e)
	}
	return err
}

// endSessions ends all sessions of an account, each with its event. The epoch
// has killed them already; this says so.
func (t *tx) endSessions(ctx context.Context, id account.ID, reason account.Reason) error {
	return t.endSessionsBut(ctx, id, reason, nil)
}

// endSessionsBut spares one of them, unless keep is nil.
func (t *tx) endSessionsBut(ctx context.Context, id account.ID, reason account.Reason, keep []byte) error {
	n, err := t.EndSessionsOf(ctx, db.EndSessionsOfParams{Account: string(id), Now: t.now(), But: len(keep) > 0, Keep: keep})
	for range n {
		t.tell(account.Event{Kind: account.SessionEnded, Subject: string(id), Reason: reason})
	}
	return err
}

// SessionsActive counts the live sessions.
func (s *Store) SessionsActive(ctx context.Context) (int, error) {
	n, err := s.q.SessionsActive(ctx, micros(s.Now()))
	return int(n), err
}

// LockedNow counts the accounts that are locked, those of nobody left out.
func (s *Store) LockedNow(ctx context.Context) (int, error) {
	n, err := s.q.LockedNow(ctx, micros(s.Now()))
	return int(n), err
}
