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
// section 3). It cannot be turned back into the token.
func (s Session) SID() string { return base64.RawURLEncoding.EncodeToString(s.ID[:16]) }

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
	sess := &Session{
		ID: r.ID, Account: account.ID(r.Account), Practice: account.PracticeID(r.Practice),
		Epoch: r.Epoch, AuthTime: at(r.AuthTime), ACR: r.Acr, Device: r.Device, Address: r.Address,
		CreatedAt: at(r.CreatedAt), SeenAt: at(r.SeenAt), ExpiresAt: at(r.ExpiresAt),
	}
	if err := json.Unmarshal([]byte(r.Methods), &sess.Methods); err != nil {
		return nil, err
	}
	if now.Sub(sess.SeenAt) < seenEvery {
		return sess, nil
	}
	return sess, s.w.TouchSession(ctx, db.TouchSessionParams{ID: r.ID, Now: micros(now)})
}

// EndSession ends the session of a token. Ending it twice does nothing. When a
// person signs out, the families of tokens that came from it end, too (ASVS
// 7.4.1): a workstation that others use keeps nothing that goes on.
func (s *Store) EndSession(ctx context.Context, token string, reason account.Reason) error {
	return s.update(ctx, func(t *tx) error { return t.endSession(ctx, token, reason) })
}

func (t *tx) endSession(ctx context.Context, token string, reason account.Reason) error {
	id := account.HashSecret(token)
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
	n, err := t.RevokeGrantsOf(ctx, db.RevokeGrantsOfParams{Account: r.Account, Session: id, Now: t.now()})
	for range n {
		e.Kind = account.GrantRevoked
		t.tell(e)
	}
	return err
}

// endSessions ends all sessions of an account, each with its event. The epoch
// has killed them already; this says so.
func (t *tx) endSessions(ctx context.Context, id account.ID, reason account.Reason) error {
	n, err := t.EndSessionsOf(ctx, db.EndSessionsOfParams{Account: string(id), Now: t.now()})
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
