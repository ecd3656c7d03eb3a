package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

func sidOf(root []byte) string { return base64.RawURLEncoding.EncodeToString(root[:sidBytes]) }

const sidBytes = 16

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

// SignOut ends the session that a person leaves, and the families of tokens that
// came from it (ASVS 7.4.1): a workstation that others use keeps nothing that
// goes on. Doing it twice does nothing, but that the session is over by itself is
// no matter: its apps may go on, and who signs out of one hours later means all.
func (s *Store) SignOut(ctx context.Context, sess *Session) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.endSession(ctx, sess.ID, account.SignedOut); err != nil {
			return err
		}
		return t.endFamilies(ctx, account.Event{Subject: string(sess.Account), Practice: sess.Practice,
			Reason: account.SignedOut}, sess.ID)
	})
}

// SessionNamed returns the session of an account that its apps know by a sid, or
// ErrNoSession. It need not be live: only its IDs and its account are known.
func (s *Store) SessionNamed(ctx context.Context, id account.ID, sid string) (*Session, error) {
	rows, err := s.q.SessionsEntered(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("store: session of a sid: %w", err)
	}
	for _, r := range rows {
		if sidOf(r.Root) == sid {
			return &Session{ID: r.Session, Root: r.Root, Account: id, Practice: account.PracticeID(r.Practice)}, nil
		}
	}
	return nil, ErrNoSession
}

// OwnerOf returns whose session has a sid, for apps that do not know accounts by
// their IDs, or ErrNoSession. Sessions are forgotten two hours after their end.
func (s *Store) OwnerOf(ctx context.Context, sid string) (account.ID, error) {
	from, err := base64.RawURLEncoding.DecodeString(sid)
	if err != nil || len(from) != sidBytes {
		return "", ErrNoSession
	}
	to := append(slices.Clone(from), bytes.Repeat([]byte{0xff}, sha256.Size-sidBytes)...)
	id, err := s.q.OwnerOf(ctx, db.OwnerOfParams{SidFrom: from, SidTo: to})
	if missing(err) {
		return "", ErrNoSession
	}
	if err != nil {
		return "", fmt.Errorf("store: owner of a sid: %w", err)
	}
	return account.ID(id), nil
}

func (t *tx) endSession(ctx context.Context, id []byte, reason account.Reason) error {
	r, err := t.EndSession(ctx, db.EndSessionParams{ID: id, Now: t.now()})
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	t.tell(account.Event{Kind: account.SessionEnded, Subject: r.Account,
		Practice: account.PracticeID(r.Practice), Reason: reason})
	return nil
}

// endFamilies ends the families of tokens that came from a session, and tells of
// each for the reason that e has.
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
