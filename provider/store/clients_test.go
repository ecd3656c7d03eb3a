package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestClients(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		want := store.Client{ID: "app", Name: "App", SecretHash: []byte{1}, RedirectURIs: []string{"https://app.example/cb"},
			PostLogoutURIs: []string{"https://app.example/"}, AuthMethods: []string{"client_secret_basic"}, PKCEOptional: true,
			Algorithm: "ES256", Scopes: []string{"openid"}, ClaimsInIDToken: true, FromConfig: true}
		if _, err := r.Client(ctx, "app"); !errors.Is(err, store.ErrNoClient) {
			r.Errorf("before: %v", err)
		}
		for range 2 { // the second makes no difference, and no event
			r.ok(r.PutClient(ctx, want, "config"))
		}
		got, err := r.Client(ctx, "app")
		r.ok(err)
		if diff := cmp.Diff(&want, got); diff != "" {
			r.Error(diff)
		}
		want.Name = "Another name"
		r.ok(r.PutClient(ctx, want, "ann"))
		if got, err = r.Client(ctx, "app"); err != nil || got.Name != want.Name {
			r.Errorf("a changed client: %+v, %v", got, err)
		}
		r.ok(r.PutClient(ctx, store.Client{ID: "aaa", Public: true}, "ann"))
		list, err := r.Clients(ctx)
		r.ok(err)
		if diff := cmp.Diff([]store.Client{{ID: "aaa", Public: true}, want}, list); diff != "" {
			r.Error(diff)
		}
		r.ok(r.RemoveClient(ctx, "app", "ann"))
		if _, err := r.Client(ctx, "app"); !errors.Is(err, store.ErrNoClient) {
			r.Errorf("after: %v", err)
		}
		if err := r.RemoveClient(ctx, "app", "ann"); !errors.Is(err, store.ErrNoClient) {
			r.Errorf("removed twice: %v", err)
		}
		var what []account.Reason
		for _, e := range r.told(account.ClientChanged) {
			what = append(what, e.Reason)
		}
		if diff := cmp.Diff([]account.Reason{"added", "changed", "added", "removed"}, what); diff != "" {
			r.Error(diff)
		}
	})
}

func TestClientsAreCached(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.ok(r.PutClient(ctx, store.Client{ID: "app"}, "ann"))
		r.asked()
		for range 3 {
			_, err := r.Client(ctx, "app")
			r.ok(err)
			_, _ = r.Client(ctx, "made up")
		}
		if diff := cmp.Diff([]string{"Client", "Client", "Client", "Client"}, r.asked()); diff != "" {
			r.Error(diff)
		}
	})
}

// Two replicas that start together on an empty database have one secret.
func TestSecretIsOne(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			c := storetest.New(t, engine)
			replicas := []*rig{open(t, c), open(t, c)}
			secrets := make([]string, 40)
			for _, err := range all(len(secrets), func(i int) error {
				b, err := replicas[i%2].Secret(context.Background(), "codes", 32)
				secrets[i] = string(b)
				return err
			}) {
				replicas[0].ok(err)
			}
			for _, s := range secrets {
				if s != secrets[0] || len(s) != 32 {
					t.Fatal("replicas have different secrets")
				}
			}
			if other, err := replicas[0].Secret(context.Background(), "tokens", 32); err != nil || string(other) == secrets[0] {
				t.Error("two names, one secret", err)
			}
			if _, err := replicas[0].Secret(context.Background(), "codes", 16); err == nil {
				t.Error("a secret of another length")
			}
		})
	}
}
