// Package storetest gives tests a database of their own: SQLite in a temporary
// folder, or a PostgreSQL that is started once for each test binary. It is for
// tests only.
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
//	for _, engine := range storetest.Engines {
//		c := storetest.New(t, engine)
package storetest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

// Engines are those that every case runs on.
var Engines = [...]string{"sqlite", "postgres"}

// New returns a Config for an empty database of the test's own, its schema in
// place. The test opens it, as often as it needs replicas.
func New(t testing.TB, engine string) store.Config {
	t.Helper()
	c := Empty(t, engine)
	if err := store.Migrate(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Empty is New without the schema.
func Empty(t testing.TB, engine string) store.Config {
	t.Helper()
	ring, _, err := seal.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	c := store.Config{Ring: ring, Logger: slog.New(slog.DiscardHandler)}
	switch engine {
	case "sqlite":
		c.URL = "sqlite:" + filepath.Join(t.TempDir(), "idp.db")
	case "postgres":
		c.URL = Postgres(t)
	default:
		t.Fatalf("storetest: no engine %q", engine)
	}
	return c
}

// Open opens a database made by New, and closes it with the test.
func Open(t testing.TB, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
