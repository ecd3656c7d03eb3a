package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
)

// A sign-in lives on, hour by hour, for as long as somebody asks for it, and no
// longer than its most.
func TestExtend(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		f := r.login("mine")
		began := r.Now()
		for r.Now().Sub(began) <= flows.LoginAtMost-flows.LoginFor {
			r.ok(r.Extend(ctx, f))
			got, err := r.Flow(ctx, f.ID, f.Browser)
			r.ok(err)
			if left := got.Expires.Sub(r.Now()); left > flows.LoginFor || left < flows.LoginFor-time.Minute {
				r.Fatalf("%v are left, want %v", left, flows.LoginFor)
			}
			r.Move(59 * time.Minute)
		}
		if err := r.Extend(ctx, f); err != flows.ErrNoFlow {
			r.Errorf("after %v: %v", r.Now().Sub(began), err)
		}
		_, err := r.Flow(ctx, f.ID, f.Browser)
		r.ok(err) // the time it was given is its own
		r.Move(time.Hour)
		if _, err := r.Flow(ctx, f.ID, f.Browser); err != flows.ErrNoFlow {
			r.Errorf("it outlives %v: %v", flows.LoginAtMost, err)
		}
	})
}

func TestExtendNot(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		over := r.login("mine")
		r.Move(flows.LoginFor)
		if err := r.Extend(ctx, over); err != flows.ErrNoFlow {
			r.Errorf("one that is over: %v", err)
		}
		done := r.login("mine")
		done.Account = id
		r.ok(r.Finish(ctx, done, progress(r.charge(attempt(id))), newSession()))
		if err := r.Extend(ctx, done); err != flows.ErrNoFlow {
			r.Errorf("one that gave its session: %v", err)
		}
		theirs := *r.login("mine")
		theirs.Browser = []byte("theirs")
		if err := r.Extend(ctx, &theirs); err != flows.ErrNoFlow {
			r.Errorf("another browser's: %v", err)
		}
		reset := r.holding(id, r.ask(id))
		if err := r.Extend(ctx, reset); err != flows.ErrNoFlow {
			r.Errorf("one that holds a reset link: %v", err)
		}
		got, err := r.Flow(ctx, reset.ID, reset.Browser)
		r.ok(err)
		if !got.Expires.Equal(reset.Expires) {
			r.Errorf("the reset ends at %v, want %v", got.Expires, reset.Expires)
		}
	})
}
