package provider

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// template is an SQLite database with the schema and signing keys in place:
// tests copy it rather than make one each.
type template struct {
	ring *seal.Ring
	file []byte
}

var theTemplate = sync.OnceValues(func() (*template, error) {
	dir, err := os.MkdirTemp("", "idp")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ring, _, err := seal.NewRing()
	if err != nil {
		return nil, err
	}
	made, err := withKeys(store.Config{URL: "sqlite:" + filepath.Join(dir, "1.db"), Ring: ring}, nil)
	if err != nil {
		return nil, err
	}
	for i := range made { // signing even in the year 2000, when bubbles begin
		made[i].SignsAt = time.Unix(1, 0)
	}
	file := filepath.Join(dir, "2.db")
	if _, err := withKeys(store.Config{URL: "sqlite:" + file, Ring: ring}, made); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	return &template{ring, b}, err
})

// withKeys makes a database with the keys, or new ones, and returns them.
func withKeys(c store.Config, have []store.SigningKey) ([]store.SigningKey, error) {
	ctx := context.Background()
	c.Logger = slog.New(slog.DiscardHandler)
	if err := store.Migrate(ctx, c); err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	if have == nil {
		_, err = keys.Open(ctx, st, keys.Config{})
	} else {
		err = st.ChangeKeys(ctx, "test", func(time.Time, []store.SigningKey) store.KeyChange {
			return store.KeyChange{Add: have}
		})
	}
	made, readErr := st.SigningKeys(ctx)
	return made, errors.Join(err, readErr, st.Close())
}

// newStore returns a store of the engine for one test.
func newStore(tb testing.TB, engine string, told func(name string)) *store.Store {
	tb.Helper()
	queries := func(name string, _ time.Duration, _ error) { told(name) }
	if engine != "sqlite" {
		c := storetest.New(tb, engine)
		c.Queries = queries
		return storetest.Open(tb, c)
	}
	from, err := theTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	c := storetest.Empty(tb, engine)
	c.Queries, c.Ring = queries, from.ring
	if err := os.WriteFile(c.URL[len("sqlite:"):], from.file, 0o600); err != nil {
		tb.Fatal(err)
	}
	return storetest.Open(tb, c)
}

// onBoth runs a case on a store of each engine.
func onBoth(t *testing.T, f func(t *testing.T, g *rig)) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { f(t, newRigOn(t, engine)) })
	}
}

// laterOn runs a case whose clock only shift moves (testing/synctest).
func laterOn(t *testing.T, f func(t *testing.T, g *rig)) {
	_, _ = theTemplate() // outside the bubble: it is for all tests
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t)) })
}

// shift lets time pass. It sleeps, in a bubble, where that takes none.
func (g *rig) shift(d time.Duration) { time.Sleep(d) }

// signIn completes a sign-in and returns the session.
func (g *rig) signIn(id account.ID) *store.Session {
	g.tb.Helper()
	ctx := g.tb.Context()
	st, err := g.st.ReadGuard(ctx, account.Attempt{Subject: string(id)})
	if err != nil {
		g.tb.Fatal(err)
	}
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: account.HashSecret("browser"), Account: id,
		Practice: "p1", Epoch: st.Epoch, Started: g.Now(), Expires: g.Now().Add(time.Hour)}
	n := flows.NewSession{Token: account.NewSecret(), Methods: []string{"pwd"}, ACR: flows.ACR1FA,
		Idle: 365 * 24 * time.Hour, Absolute: 365 * 24 * time.Hour}
	lease, err := account.Guard{Now: g.st.Now}.Charge(ctx, g.st, account.Attempt{Subject: string(id), Factor: account.Password})
	if err == nil {
		err = errors.Join(g.st.Begin(ctx, f), g.st.Finish(ctx, f, flows.Progress{Lease: lease}, n))
	}
	if err != nil {
		g.tb.Fatal(err)
	}
	s, err := g.st.Session(ctx, n.Token)
	if err != nil {
		g.tb.Fatal(err)
	}
	return s
}

// flaky is a store that can be made to fail.
type flaky struct {
	*store.Store
	down error
}

func (f *flaky) RedeemCode(ctx context.Context, g *store.Grant, code []byte, t store.Tokens) error {
	if f.down != nil {
		return f.down
	}
	return f.Store.RedeemCode(ctx, g, code, t)
}

func (f *flaky) Grant(ctx context.Context, id string) (*store.Grant, []byte, bool, error) {
	if f.down != nil {
		return nil, nil, false, f.down
	}
	return f.Store.Grant(ctx, id)
}

// people is the built-in directory and one person of another, ext.
type people struct {
	store.People
	ext  *directory.Entry // nil: gone
	away error
}

func (p *people) Lookup(ctx context.Context, by directory.By, v string) (*directory.Entry, error) {
	switch {
	case p.away != nil:
		return nil, p.away
	case v == "ext-id" && p.ext == nil:
		return nil, directory.ErrNotFound
	case v == "ext-id":
		return p.ext, nil
	}
	return p.People.Lookup(ctx, by, v)
}
