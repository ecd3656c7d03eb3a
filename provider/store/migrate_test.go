package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// Three replicas that start together migrate once.
func TestMigrateTogether(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			c := storetest.Empty(t, engine)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if err := store.Migrate(context.Background(), c); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			storetest.Open(t, c)
		})
	}
}

func TestOpenRefusesAnotherSchema(t *testing.T) {
	for _, c := range []struct{ name, change, want string }{
		{"ours is older", "DELETE FROM goose_db_version WHERE version_id > 0", "idp migrate"},
		{"ours is newer", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)", "newer idp"},
		{"River's is older", "DELETE FROM river_migration WHERE version > 3", "idp migrate"},
		{"never migrated", "", "idp migrate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, engine := range storetest.Engines {
				conf := storetest.Empty(t, engine)
				if c.change != "" {
					if err := store.Migrate(context.Background(), conf); err != nil {
						t.Fatal(err)
					}
					s, err := store.Open(context.Background(), conf)
					if err != nil {
						t.Fatal(err)
					}
					if err := s.Do(c.change); err != nil {
						t.Fatal(err)
					}
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				_, err := store.Open(context.Background(), conf)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", engine, err)
				}
			}
		})
	}
}

func TestOpenRefusesOtherURLs(t *testing.T) {
	for _, url := range []string{"", "mysql://x", "sqlite:", "sqlite::memory:", "postgres://u:secret@[bad"} {
		_, err := store.Open(context.Background(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// One connection is enough for every request: none asks for a second.
func TestPoolOfOne(t *testing.T) {
	c := storetest.New(t, "postgres")
	c.MaxConns = 1
	r := open(t, c)
	id := r.person("ann")
	r.wrong(attempt(id), 5)
	r.reset(id, "new")
	if _, err := r.Session(context.Background(), r.signIn(id)); err != nil {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	for _, engine := range storetest.Engines {
		s := storetest.Open(t, storetest.New(t, engine))
		if d := s.Skew(); d.Abs().Seconds() > 1 || engine == "sqlite" && d != 0 {
			t.Errorf("%s: skew %v", engine, d)
		}
		if s.Engine() != engine || s.Ping(context.Background()) != nil {
			t.Errorf("%s does not answer as %s", engine, s.Engine())
		}
	}
}
