package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store/db"
)

// People is the built-in directory: the people in the store's own tables. It
// is just one directory.Directory, for those who bring none.
type People struct {
	Store  *Store
	Hasher *account.Hasher
}

var _ directory.Directory = People{}

// ID is "people".
func (People) ID() string { return "people" }

// Capabilities says that a reset finishes here, in the store's transaction, that
// people change their own address and language here, and that practices run
// their teams here.
func (People) Capabilities() directory.Capabilities {
	return directory.Capabilities{SetPassword: true, SetProfile: true, Team: true}
}

// Ping reports whether the store answers.
func (p People) Ping(ctx context.Context) error { return p.Store.Ping(ctx) }

// Close does nothing: the store is closed by whoever opened it.
func (People) Close() error { return nil }

// Lookup is one SELECT.
func (p People) Lookup(ctx context.Context, by directory.By, value string) (*directory.Entry, error) {
	var r db.PersonRow
	var err error
	switch by {
	case directory.ByIdentifier:
		var i db.PersonByIdentifierRow
		i, err = p.Store.q.PersonByIdentifier(ctx, value)
		r = db.PersonRow(i)
	case directory.ByEmail:
		var i db.PersonByEmailRow
		i, err = p.Store.q.PersonByEmail(ctx, value)
		r = db.PersonRow(i)
	case directory.ByID:
		r, err = p.Store.q.Person(ctx, value)
	default:
		return nil, fmt.Errorf("store: people cannot be looked up by %d", by)
	}
	if missing(err) {
		return nil, directory.ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(directory.ErrUnavailable, err)
	}
	return p.Store.entryOf(r)
}

func (s *Store) entryOf(r db.PersonRow) (*directory.Entry, error) {
	e := &directory.Entry{
		ID: account.ID(r.ID), Practice: account.PracticeID(r.Practice), PracticeName: r.PracticeName, Role: r.Role,
		Username: r.Username, Email: r.Email, EmailVerified: r.EmailVerified,
		Name: r.Name, Locale: r.Locale, Disabled: r.Disabled, MustChange: r.MustChange,
		ShortPassword: r.ShortPassword, RequireSecond: r.RequireSecond,
		Version: strconv.FormatInt(r.Version, 10), Handle: directory.Handle(r.PasswordHash),
	}
	if r.RecoveredAt > 0 {
		e.Recovered = at(r.RecoveredAt)
	}
	if err := json.Unmarshal([]byte(r.Claims), &e.Claims); err != nil {
		return nil, err
	}
	s.showNPI(e, r.Npi)
	return e, nil
}

// VerifyPassword judges a password; nobody's costs as much as somebody's. A
// right one whose hash has old parameters is hashed anew, if that works out.
func (p People) VerifyPassword(ctx context.Context, l account.Lease, e *directory.Entry, password []byte) (directory.Verdict, error) {
	if e == nil {
		_, _, err := p.Hasher.Verify(ctx, l, "", password)
		return directory.NoSuchUser, err
	}
	if l.Valid() && l.Attempt().Subject != string(e.ID) {
		return directory.Wrong, account.ErrNoLease // charged to somebody else
	}
	ok, stale, err := p.Hasher.Verify(ctx, l, string(e.Handle), password)
	switch {
	case err != nil:
		return directory.Wrong, err
	case e.Disabled:
		return directory.Disabled, nil
	case !ok:
		return directory.Wrong, nil
	}
	if stale {
		p.renewHash(ctx, e, password)
	}
	return directory.OK, nil
}

// renewHash is best effort: a flood or a fault leaves the old hash, and the
// next right password tries again.
func (p People) renewHash(ctx context.Context, e *directory.Entry, password []byte) {
	hash, err := p.Hasher.Hash(ctx, password)
	if err == nil {
		err = p.Store.w.RenewHash(ctx, db.RenewHashParams{
			ID: string(e.ID), Old: string(e.Handle), PasswordHash: hash})
	}
	if err != nil && !errors.Is(err, account.ErrQueueFull) && ctx.Err() == nil {
		p.Store.Logger.WarnContext(ctx, "an old password hash was not renewed", "cause", err.Error())
	}
}

// NewPerson is somebody to add to the built-in directory.
type NewPerson struct {
	ID            account.ID // "": one is made
	Practice      account.PracticeID
	Role          string
	Username      string // "": the e-mail address
	Email         string
	EmailVerified bool
	Name          string
	Locale        string         // BCP 47
	Claims        map[string]any // further standard claims (OIDC Core section 5.1), and npi, which is sealed
	Hash          string         // of the password; "": none, until a reset
	MustChange    bool           // at the first sign-in
	ShortPassword bool           // it is shorter than it may be without a second factor

	npi, npiHash []byte // what hideNPIs made of one among the claims
}

// complete fills in what the caller left to us.
func (n *NewPerson) complete() {
	if n.ID == "" {
		n.ID = account.ID(rand.Text())
	}
	if n.Username == "" {
		n.Username = n.Email
	}
}

// row is a complete person's.
func (n NewPerson) row(now int64) (db.AddPersonParams, error) {
	claims := []byte("{}")
	if _, clear := n.Claims[npiClaim]; clear {
		return db.AddPersonParams{}, errors.New("store: an NPI was not sealed")
	}
	if n.Claims != nil {
		var err error
		if claims, err = json.Marshal(n.Claims); err != nil {
			return db.AddPersonParams{}, err
		}
	}
	return db.AddPersonParams{
		ID: string(n.ID), Practice: string(n.Practice), Role: n.Role,
		Username: n.Username, Email: n.Email, EmailVerified: n.EmailVerified,
		Name: n.Name, Locale: n.Locale, Claims: string(claims),
		Npi: n.npi, NpiHash: n.npiHash,
		PasswordHash: n.Hash, MustChange: n.MustChange, ShortPassword: n.ShortPassword, Now: now,
	}, nil
}

// AddPerson adds a person, with username and e-mail address as identifiers.
// If either, or the id, is taken it is ErrDuplicate and changes nothing.
func (s *Store) AddPerson(ctx context.Context, n NewPerson, actor string) (id account.ID, err error) {
	if err := s.hideNPIs(ctx, &n); err != nil {
		return "", err
	}
	return id, s.duplicate(s.update(ctx, func(t *tx) error {
		id, err = t.addPerson(ctx, n, account.Event{Actor: actor})
		return err
	}))
}

// addPerson tells the event as that of the new account.
func (t *tx) addPerson(ctx context.Context, n NewPerson, e account.Event) (account.ID, error) {
	n.complete()
	row, err := n.row(t.now())
	if err != nil {
		return "", err
	}
	if err := t.AddPerson(ctx, row); err != nil {
		return "", err
	}
	e.Kind, e.Subject, e.Practice = account.AccountAdded, string(n.ID), n.Practice
	t.tell(e)
	return n.ID, t.identify(ctx, n)
}

// identify adds what the person may type. One key serves for both if the
// username is the address.
func (t *tx) identify(ctx context.Context, n NewPerson) error {
	email, username := account.Normalise(n.Email), account.Normalise(n.Username)
	if email == "" {
		return errors.New("store: a person needs an e-mail address")
	}
	err := t.AddIdentifier(ctx, db.AddIdentifierParams{Key: email, Person: string(n.ID), Email: true})
	if err != nil || username == email || username == "" {
		return err
	}
	return t.AddIdentifier(ctx, db.AddIdentifierParams{Key: username, Person: string(n.ID)})
}
