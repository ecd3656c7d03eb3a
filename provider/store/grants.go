package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store/db"
)

// Why a code or a token gets nothing. People see none of these: they are for
// the app, which has to begin anew.
var (
	ErrGone     = errors.New("store: expired, revoked, or never was")
	ErrReplayed = errors.New("store: the code was used before; its tokens are revoked")
	ErrReused   = errors.New("store: the refresh token was used before; its family is revoked")
)

// Grant is a family of tokens: what one code became, and all that refreshing
// made of it since. It is live while it is not revoked, not over, and its
// epoch is its account's.
type Grant struct {
	ID        string
	Client    string
	Account   account.ID // "" where the client asked for itself
	Practice  account.PracticeID
	Epoch     int64  // of the account's proofs, when the session was made
	Session   []byte // the ID of the session it came from
	Root      []byte // and the one that session began with; RedeemCode fills it in
	Scopes    []string
	AuthTime  time.Time
	Methods   []string // RFC 8176
	ACR       string
	Requested string // the claims parameter, and the resource
	Asks      bool   // the client needs the person's consent; of a redemption only

	CreatedAt    time.Time
	AccessUntil  time.Time // of the current access token
	RefreshUntil time.Time // of the current refresh token
	ExpiresAt    time.Time // of all of it; never extended
}

// Tokens are what a redemption or a rotation gives out: SHA-256 of each, and
// how long it is good. A nil Refresh is none.
type Tokens struct {
	Access, Refresh           []byte
	AccessUntil, RefreshUntil time.Time
}

// RedeemCode makes the grant that a code stands for, once ever, if its session
// and account are live and the account is not locked; else ErrGone. A code
// that comes again revokes what it gave (RFC 6749 section 4.1.2): ErrReplayed.
// It is one statement; of any number at once, one succeeds.
func (s *Store) RedeemCode(ctx context.Context, g *Grant, code []byte, t Tokens) error {
	root, err := s.w.RedeemCode(ctx, db.RedeemCodeParams{
		ID: g.ID, Client: g.Client, Account: string(g.Account), Epoch: g.Epoch, Session: g.Session,
		CodeHash: code, AccessHash: t.Access, RefreshHash: t.Refresh,
		Scopes: strings.Join(g.Scopes, " "), AuthTime: micros(g.AuthTime),
		Methods: strings.Join(g.Methods, " "), Acr: g.ACR, Requested: g.Requested,
		AccessUntil: micros(t.AccessUntil), RefreshUntil: micros(t.RefreshUntil),
		CreatedAt: micros(g.CreatedAt), ExpiresAt: micros(g.ExpiresAt), Now: micros(s.Now()),
		Asks: g.Asks, Consented: g.Client,
	})
	if err == nil {
		g.Root = root
		return nil
	}
	if !missing(err) {
		return fmt.Errorf("store: redeem code: %w", err)
	}
	id, err := s.q.GrantOfCode(ctx, code)
	if missing(err) {
		return ErrGone
	}
	if err != nil {
		return fmt.Errorf("store: redeem code: %w", err)
	}
	if err := s.RevokeGrant(ctx, id, account.ReuseSeen); err != nil {
		return err
	}
	return ErrReplayed
}

// AddClientGrant keeps a token that a client was given for itself (RFC 6749
// section 4.4), of which the grant names no account. It is one statement.
func (s *Store) AddClientGrant(ctx context.Context, g Grant, access []byte) error {
	err := s.w.AddClientGrant(ctx, db.AddClientGrantParams{
		ID: g.ID, Client: g.Client, Session: []byte{}, AccessHash: access,
		Scopes: strings.Join(g.Scopes, " "), Requested: g.Requested, CreatedAt: micros(g.CreatedAt), AccessUntil: micros(g.AccessUntil),
	})
	if err != nil {
		return fmt.Errorf("store: client's token: %w", err)
	}
	return nil
}

// GrantByAccess returns the grant of a live access token and whose it is, in
// one statement. The entry is nil for an account of another directory than the
// built-in one, and where there is no account. Anything but a live token is ErrGone.
func (s *Store) GrantByAccess(ctx context.Context, access []byte) (*Grant, *directory.Entry, error) {
	r, err := s.q.GrantByAccess(ctx, db.GrantByAccessParams{AccessHash: access, Now: micros(s.Now())})
	if missing(err) {
		return nil, nil, ErrGone
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: access token: %w", err)
	}
	g := grantOf(grantRow{r.ID, r.Client, r.Account, r.Practice, r.Epoch, r.Session, r.Root, r.Scopes,
		r.AuthTime, r.Methods, r.Acr, r.Requested, r.CreatedAt, r.AccessUntil, r.RefreshUntil, r.ExpiresAt})
	if r.Person == "" {
		return g, nil, nil
	}
	e, err := s.entryOf(db.PersonRow{ID: r.Person, Practice: r.PersonPractice, PracticeName: r.PracticeName, Role: r.Role,
		Username: r.Username, Email: r.Email, EmailVerified: r.EmailVerified, Name: r.Name,
		Locale: r.Locale, Claims: r.Claims, Npi: r.Npi, MustChange: r.MustChange, Disabled: r.Disabled, Version: r.Version, RecoveredAt: r.RecoveredAt})
	return g, e, err
}

// LiveGrant is GrantByAccess without what the person is called: the entry has
// the ID alone, and whether it is disabled.
func (s *Store) LiveGrant(ctx context.Context, access []byte) (*Grant, *directory.Entry, error) {
	r, err := s.q.LiveGrant(ctx, db.LiveGrantParams{AccessHash: access, Now: micros(s.Now())})
	if missing(err) {
		return nil, nil, ErrGone
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: access token: %w", err)
	}
	g := grantOf(grantRow{r.ID, r.Client, r.Account, r.Practice, r.Epoch, r.Session, r.Root, r.Scopes,
		r.AuthTime, r.Methods, r.Acr, r.Requested, r.CreatedAt, r.AccessUntil, r.RefreshUntil, r.ExpiresAt})
	if !r.Known {
		return g, nil, nil
	}
	return g, &directory.Entry{ID: g.Account, Disabled: r.Disabled}, nil
}

// Grant returns a family by its ID, with the SHA-256 of its current refresh
// token and whether it is live, or ErrGone if it never was or is forgotten.
// Dead families are remembered for a day after their end.
func (s *Store) Grant(ctx context.Context, id string) (g *Grant, refresh []byte, live bool, err error) {
	r, err := s.q.Grant(ctx, db.GrantParams{ID: id, Now: micros(s.Now())})
	if missing(err) {
		return nil, nil, false, ErrGone
	}
	if err != nil {
		return nil, nil, false, fmt.Errorf("store: grant: %w", err)
	}
	g = grantOf(grantRow{r.ID, r.Client, r.Account, r.Practice, r.Epoch, r.Session, r.Root, r.Scopes,
		r.AuthTime, r.Methods, r.Acr, r.Requested, r.CreatedAt, r.AccessUntil, r.RefreshUntil, r.ExpiresAt})
	return g, r.RefreshHash, r.Live, nil
}

// Rotate gives the family new tokens if old is its current refresh token. Of
// any number at once, one succeeds. Another token than the current one was
// used before, so somebody else has it: the family is revoked (RFC 9700
// section 4.14.2) and the answer is ErrReused. ErrGone if the family is dead.
// A lock does not stop it: strangers must not end a nurse's shift.
func (s *Store) Rotate(ctx context.Context, g *Grant, old []byte, t Tokens) error {
	n, err := s.w.RotateGrant(ctx, db.RotateGrantParams{
		ID: g.ID, Old: old, Now: micros(s.Now()), AccessHash: t.Access, RefreshHash: t.Refresh,
		AccessUntil: micros(t.AccessUntil), RefreshUntil: micros(t.RefreshUntil),
	})
	if err != nil {
		return fmt.Errorf("store: rotate: %w", err)
	}
	if n == 1 {
		return nil
	}
	_, current, live, err := s.Grant(ctx, g.ID)
	if err != nil {
		return err
	}
	if !live || string(current) == string(old) { // dead, or rested too long
		return ErrGone
	}
	if err := s.RevokeGrant(ctx, g.ID, account.ReuseSeen); err != nil {
		return err
	}
	return ErrReused
}

// SID names the session that the family came from to apps, as Session.SID does.
func (g Grant) SID() string { return sidOf(g.Root) }

// RevokeGrant ends a whole family, whichever of its tokens was at hand. It is
// idempotent, and one event.
func (s *Store) RevokeGrant(ctx context.Context, id string, reason account.Reason) error {
	return s.update(ctx, func(t *tx) error {
		r, err := t.Queries.RevokeGrant(ctx, db.RevokeGrantParams{ID: id, Now: t.now()})
		if missing(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("store: revoke: %w", err)
		}
		t.tell(account.Event{Kind: account.GrantRevoked, Subject: cmp.Or(r.Account, r.Client),
			Practice: account.PracticeID(r.Practice), Reason: reason})
		return nil
	})
}

// grantRow is what all queries read of a grant.
type grantRow struct {
	id, client, account, practice                   string
	epoch                                           int64
	session, root                                   []byte
	scopes                                          string
	authTime                                        int64
	methods, acr, requested                         string
	createdAt, accessUntil, refreshUntil, expiresAt int64
}

func grantOf(r grantRow) *Grant {
	return &Grant{
		ID: r.id, Client: r.client, Account: account.ID(r.account), Practice: account.PracticeID(r.practice),
		Epoch: r.epoch, Session: r.session, Root: r.root, Scopes: strings.Fields(r.scopes), AuthTime: at(r.authTime),
		Methods: strings.Fields(r.methods), ACR: r.acr, Requested: r.requested,
		CreatedAt: at(r.createdAt), AccessUntil: at(r.accessUntil),
		RefreshUntil: at(r.refreshUntil), ExpiresAt: at(r.expiresAt),
	}
}
