package store_test

import (
	"context"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

func TestActivityIsNewestFirst(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.signIn(r.person("bob"))
		a := attempt(id)
		a.Source = "192.0.2.1"
		r.Move(1000)
		r.wrong(a, 1)
		r.Move(1000)
		r.ok(r.SetDisabled(ctx, id, true, "op"))
		got, err := r.Activity(ctx, id, 50)
		r.ok(err)
		var kinds []account.Kind
		for i, a := range got {
			kinds = append(kinds, a.Kind)
			if i > 0 && a.At.After(got[i-1].At) {
				r.Errorf("%v after %v", a.At, got[i-1].At)
			}
		}
		if len(got) != 3 || got[0].Kind != account.AccountDisabled || got[0].Actor != "op" ||
			got[1].Kind != account.SignInFailed || got[1].Factor != "password" || got[1].Source != "192.0.2.1" ||
			got[1].Actor != "" || got[2].Kind != account.AccountAdded {
			r.Errorf("%v: %+v", kinds, got)
		}
		if got, err := r.Activity(ctx, id, 1); len(got) != 1 || err != nil || got[0].Kind != account.AccountDisabled {
			r.Errorf("%+v %v", got, err)
		}
	})
}

// What a stranger can repeat, or tells a person nothing, pushes nothing out.
func TestActivityIsNotFlooded(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		link := r.ask(id)
		for range 5 {
			r.ok(r.AskReset(ctx, flows.ResetAsk{Subject: string(id), By: account.BySelf}))
			_, err := r.OpenLink(ctx, link, "")
			r.ok(err)
		}
		for _, e := range []account.Event{
			{Kind: account.CodeAccepted}, {Kind: account.SessionEnded, Reason: account.Replaced},
			{Kind: account.GrantRevoked, Reason: account.SignedOut}, {Kind: account.EmailAsked, Reason: account.RateLimited},
		} {
			e.Subject = string(id)
			r.ok(r.QueueMail(ctx, store.Mail{}, e))
		}
		got, err := r.Activity(ctx, id, 50)
		r.ok(err)
		kinds := map[account.Kind]int{}
		for _, a := range got {
			kinds[a.Kind]++
		}
		if len(got) != 4 || kinds[account.ResetRequested] != 3 || kinds[account.AccountAdded] != 1 {
			r.Error(kinds)
		}
	})
}
