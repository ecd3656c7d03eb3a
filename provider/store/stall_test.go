package store_test

import (
	"testing"
	"time"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// Whoever waits for a connection waits as long as others get something done
// with theirs, and is told soon if nobody does.
func TestStalledConnections(t *testing.T) {
	c := storetest.New(t, "postgres")
	c.MaxConns = 1
	st := storetest.Open(t, c)
	held, err := st.Occupy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waits := func() (time.Duration, error) {
		start := time.Now()
		_, err := st.Clients(t.Context())
		return time.Since(start), err
	}
	if took, err := waits(); !store.Away(err) || took < time.Second || took > 3*time.Second {
		t.Errorf("nobody does anything: %v after %s", err, took)
	}
	go func() {
		defer held.Close()
		for range 8 { // 2 s of work
			if _, err := held.ExecContext(t.Context(), "SELECT pg_sleep(0.25)"); err != nil {
				t.Error(err)
			}
		}
	}()
	if took, err := waits(); err != nil || took < 1500*time.Millisecond {
		t.Errorf("the one before works: %v after %s", err, took)
	}
}
