package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// Of any number that make the first key, one does.
func TestChangeKeysOneAfterTheOther(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			c := storetest.New(t, engine)
			a, b := open(t, c), open(t, c)
			for _, err := range all(20, func(i int) error {
				return []*rig{a, b}[i%2].ChangeKeys(context.Background(), "test", func(now time.Time, have []store.SigningKey) (k store.KeyChange) {
					if len(have) == 0 {
						k.Add = []store.SigningKey{{ID: fmt.Sprint(i), Algorithm: "ES256", Private: []byte("private"), SignsAt: now}}
					}
					return k
				})
			}) {
				a.ok(err)
			}
			if n := a.count("SELECT COUNT(*) FROM signing_keys"); n != 1 {
				t.Errorf("%d first keys", n)
			}
			if n := len(a.told(account.KeysRotated)) + len(b.told(account.KeysRotated)); n != 1 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestSigningKeysComeBack(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			ctx := context.Background()
			c := storetest.New(t, engine)
			r := open(t, c)
			want := store.SigningKey{ID: "kid", Algorithm: "RS256", Private: []byte("private"), SignsAt: r.Now()}
			r.ok(r.ChangeKeys(ctx, "ann", func(now time.Time, _ []store.SigningKey) store.KeyChange {
				want.CreatedAt = now
				return store.KeyChange{Add: []store.SigningKey{want}}
			}))
			want.RetiresAt, want.RemovedAt = want.SignsAt.Add(time.Hour), want.SignsAt.Add(2*time.Hour)
			r.ok(r.ChangeKeys(ctx, "ann", func(time.Time, []store.SigningKey) store.KeyChange {
				return store.KeyChange{Retire: []store.SigningKey{want}}
			}))
			got, err := r.SigningKeys(ctx)
			r.ok(err)
			if diff := cmp.Diff([]store.SigningKey{want}, got); diff != "" {
				t.Error(diff)
			}
			c.Ring, _, err = seal.NewRing()
			r.ok(err)
			if _, err := open(t, c).SigningKeys(ctx); err == nil {
				t.Error("opened with another ring")
			}
		})
	}
}
