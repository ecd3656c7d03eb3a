package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store"
)

func TestPushed(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, until := []byte("id"), r.Now().Add(90*time.Second)
		r.ok(r.Push(ctx, id, "app", "scope=openid", until))
		if got, err := r.Pushed(ctx, id, "app"); err != nil || got != "scope=openid" {
			r.Errorf("%q, %v", got, err)
		}
		gone := func(why string, err error) {
			r.Helper()
			if !errors.Is(err, store.ErrGone) {
				r.Errorf("%s: %v", why, err)
			}
		}
		_, err := r.Pushed(ctx, id, "other")
		gone("another client's", err)
		_, err = r.Pushed(ctx, []byte("no"), "app")
		gone("none", err)
		if _, err := r.Pushed(ctx, id, "app"); err != nil {
			r.Error("to look is to use it", err)
		}
		day := r.Now().Add(24 * time.Hour)
		r.ok(r.UsePushed(ctx, id, "app", "first", day))
		_, err = r.Pushed(ctx, id, "app")
		gone("answered", err)
		gone("a second visit", r.UsePushed(ctx, id, "app", "second", day))
		r.ok(r.UsePushed(ctx, id, "app", "first", day)) // a double click

		r.ok(r.Push(ctx, []byte("late"), "app", "x", until))
		r.Move(90 * time.Second)
		_, err = r.Pushed(ctx, []byte("late"), "app")
		gone("over", err)
		r.Move(3 * time.Hour)
		r.ok(r.Sweep(ctx))
		if n := r.count("SELECT COUNT(*) FROM pushed_requests"); n != 1 {
			r.Errorf("%d rows left; want the one that was answered", n)
		}
		r.ok(r.UsePushed(ctx, []byte("late"), "app", "slow", day)) // the sign-in took hours
		gone("after that", r.UsePushed(ctx, []byte("late"), "app", "slower", day))
		r.Move(22 * time.Hour)
		gone("after a day", r.UsePushed(ctx, []byte("new"), "app", "v", day))
		r.ok(r.Sweep(ctx))
		if n := r.count("SELECT COUNT(*) FROM pushed_requests"); n != 0 {
			r.Errorf("%d rows left", n)
		}
	})
}

func TestOnePushedRequestInParallel(t *testing.T) {
	onBoth(t, func(r *rig) {
		until := r.Now().Add(time.Hour)
		r.ok(r.Push(context.Background(), []byte("id"), "app", "x", until))
		errs := all(20, func(i int) error {
			return r.UsePushed(context.Background(), []byte("id"), "app", string(rune('a'+i)), until)
		})
		if n := succeeded(errs); n != 1 {
			r.Errorf("%d visits were answered", n)
		}
	})
}
