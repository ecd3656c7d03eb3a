package store_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// rig is a store under test and what it told.
type rig struct {
	*testing.T
	*store.Store
	mu      sync.Mutex
	events  []account.Event
	queries []string
}

// onBoth runs a case on an empty database of each engine, side by side: they
// wait for different things.
func onBoth(t *testing.T, f func(r *rig)) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			f(open(t, storetest.New(t, engine)))
		})
	}
}

func open(t *testing.T, c store.Config) *rig {
	r := &rig{T: t}
	c.Observe = func(e account.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
	c.Queries = func(name string, _ time.Duration, _ error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.queries = append(r.queries, name)
	}
	r.Store = storetest.Open(t, c)
	return r
}

// told returns the events of a kind so far.
func (r *rig) told(k account.Kind) (found []account.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == k {
			found = append(found, e)
		}
	}
	return found
}

// asked returns the names of the statements since the last call.
func (r *rig) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queries
	r.queries = nil
	return q
}

// ok fails the case on an error.
func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// count is a number from the database.
func (r *rig) count(query string, args ...any) int {
	r.Helper()
	n, err := r.Count(query, args...)
	r.ok(err)
	return n
}

// person adds somebody called name.
func (r *rig) person(name string) account.ID {
	r.Helper()
	id, err := r.AddPerson(context.Background(), store.NewPerson{
		ID: account.ID("id-" + name), Practice: "acme", Username: name, Email: name + "@example.com",
		EmailVerified: true, Hash: "old"}, "test")
	r.ok(err)
	return id
}

// guard is the product's, without its patience where none is wanted.
func (r *rig) guard() account.Guard { return account.Guard{Now: r.Now} }

func (r *rig) impatient() account.Guard {
	return account.Guard{Now: r.Now, Wait: func(context.Context, time.Duration) error {
		return account.ErrBusy
	}}
}

func attempt(id account.ID) account.Attempt {
	return account.Attempt{Subject: string(id), Factor: account.Password, Step: "password"}
}

// charge charges an attempt that must be let through.
func (r *rig) charge(a account.Attempt) account.Lease {
	r.Helper()
	l, err := r.impatient().Charge(context.Background(), r.Store, a)
	r.ok(err)
	return l
}

// wrong makes n wrong attempts.
func (r *rig) wrong(a account.Attempt, n int) (st account.GuardState) {
	r.Helper()
	for range n {
		var err error
		st, err = r.SettleWrong(context.Background(), r.charge(a), account.BadCredentials)
		r.ok(err)
	}
	return st
}

// login begins a sign-in in a browser.
func (r *rig) login(browser string) *flows.Flow {
	r.Helper()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: []byte(browser),
		Started: r.Now(), Expires: r.Now().Add(flows.LoginFor)}
	r.ok(r.Begin(context.Background(), f))
	return f
}

// signIn completes a sign-in with a right password and returns the session's
// token.
func (r *rig) signIn(id account.ID) string {
	r.Helper()
	f := r.login("browser")
	f.Account = id
	n := newSession()
	r.ok(r.Finish(context.Background(), f, flows.Progress{Lease: r.charge(attempt(id))}, n))
	return n.Token
}

func newSession() flows.NewSession {
	return flows.NewSession{Token: account.NewSecret(), Methods: []string{"pwd"}, ACR: flows.ACR1FA,
		Idle: time.Hour, Absolute: 12 * time.Hour}
}

func progress(l account.Lease) flows.Progress { return flows.Progress{Lease: l} }

// full reports whether the long campaigns were asked for.
func full() bool { return os.Getenv("IDP_FULL") == "1" }
