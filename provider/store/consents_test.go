package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

func TestConsents(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("grace")
		by, err := r.Session(ctx, r.signIn(id))
		r.ok(err)
		for _, c := range []string{"law", "fit"} {
			r.ok(r.PutClient(ctx, store.Client{ID: c, Name: "App " + c, ThirdParty: true}, "test"))
		}
		is := func(client string, want ...string) {
			r.Helper()
			got, err := r.Consent(ctx, id, client)
			r.ok(err)
			if d := cmp.Diff(want, got); d != "" {
				r.Errorf("%s: %s", client, d)
			}
		}
		is("law")
		r.ok(r.GiveConsent(ctx, by, "law", []string{"openid", "email"}, "192.0.2.7"))
		r.ok(r.GiveConsent(ctx, by, "fit", []string{"openid"}, "192.0.2.7"))
		r.Move(time.Minute)
		r.ok(r.GiveConsent(ctx, by, "law", []string{"openid", "phone"}, "192.0.2.7"))
		is("law", "openid", "phone")
		all, err := r.Consents(ctx, id)
		r.ok(err)
		if len(all) != 2 || all[0].Name != "App fit" || all[1].Client != "law" || r.Now().Sub(all[1].GivenAt) > 30*time.Second {
			r.Errorf("%+v", all)
		}
		if was, err := r.WithdrawConsent(ctx, by, "law", ""); !was || err != nil {
			r.Errorf("withdrawn %v, %v", was, err)
		}
		if was, err := r.WithdrawConsent(ctx, by, "law", ""); was || err != nil {
			r.Errorf("withdrawn again %v, %v", was, err)
		}
		is("law")
		is("fit", "openid")
		r.ok(r.RemoveClient(ctx, "fit", "test"))
		r.ok(r.PutClient(ctx, store.Client{ID: "fit", Name: "Somebody else", ThirdParty: true}, "test"))
		is("fit")
		if given, back := r.told(account.ConsentGiven), r.told(account.ConsentWithdrawn); len(given) != 3 || len(back) != 1 || back[0].Step != "law" {
			r.Errorf("%v %v", given, back)
		}
	})
}
