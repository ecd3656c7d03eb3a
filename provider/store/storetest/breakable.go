package storetest

import "testing"

// Breakable is a PostgreSQL of one test's own, which the test may stop under
// those who use it.
type Breakable struct {
	t testing.TB
	c *cluster
	// URL is that of an empty database in it, and stays the same.
	URL string
}

// NewBreakable starts one; it ends with the test.
func NewBreakable(t testing.TB) *Breakable {
	t.Helper()
	c, err := prepare()
	if err != nil {
		t.Fatalf("storetest: no second PostgreSQL: %v", err)
	}
	t.Cleanup(c.remove)
	b := &Breakable{t: t, c: c}
	b.Start()
	if _, err := c.admin.Exec("CREATE DATABASE idp"); err != nil {
		t.Fatal(err)
	}
	b.URL = c.url("idp")
	return b
}

// Stop ends it at once, as `pg_ctl stop -m immediate` does.
func (b *Breakable) Stop() { b.c.stop() }

// Start starts it again, on the same port and data, and waits until it answers.
func (b *Breakable) Start() {
	b.t.Helper()
	if err := b.c.start(); err != nil {
		b.t.Fatalf("storetest: PostgreSQL did not start: %v", err)
	}
}
