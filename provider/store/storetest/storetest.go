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
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

// Engines are those that every case runs on.
var Engines = [...]string{"sqlite", "postgres"}

// New returns a Config for an empty database of the test's own, its schema in
// place. The test opens it, as often as it needs replicas. It is a copy of one
// that was migrated once for the test binary: hundreds of migrations would take
// minutes under the race detector.
func New(t testing.TB, engine string) store.Config {
	t.Helper()
	c := config(t)
	switch engine {
	case "sqlite":
		file, err := migratedFile()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "idp.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		c.URL = "sqlite:" + path
	case "postgres":
		c.URL = postgres(t, migrated)
	default:
		t.Fatalf("storetest: no engine %q", engine)
	}
	return c
}

// migratedFile is a migrated SQLite database, as a file holds it.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "idp-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "idp.db")
	if err := store.Migrate(context.Background(), store.Config{URL: "sqlite:" + path, Logger: quiet}); err != nil {
		return nil, err
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil, errors.New("storetest: not all of the migrated database is in its file")
	}
	return os.ReadFile(path)
})

var quiet = slog.New(slog.DiscardHandler)

func config(t testing.TB) store.Config {
	t.Helper()
	ring, _, err := seal.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	return store.Config{Ring: ring, Logger: quiet}
}

// Empty is New without the schema.
func Empty(t testing.TB, engine string) store.Config {
	t.Helper()
	c := config(t)
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
