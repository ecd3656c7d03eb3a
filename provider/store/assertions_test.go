package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUseAssertion(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		use := func(client, jti string) bool {
			first, err := r.UseAssertion(ctx, client, []byte(jti), r.Now().Add(time.Minute))
			r.ok(err)
			return first
		}
		r.asked()
		if !use("app", "1") || use("app", "1") {
			r.Error("it is good once")
		}
		if diff := cmp.Diff([]string{"UseAssertion", "UseAssertion"}, r.asked()); diff != "" {
			r.Error(diff)
		}
		if !use("app", "2") || !use("other", "1") {
			r.Error("another one is another one")
		}
		r.Move(time.Minute + time.Second)
		if !use("app", "1") || use("app", "1") {
			r.Error("the name is free when what bore it is over, for one")
		}
		r.Move(2 * time.Hour)
		r.ok(r.Sweep(ctx))
		if n := r.count("SELECT COUNT(*) FROM assertions"); n != 0 {
			r.Errorf("%d rows left", n)
		}
	})
}

func TestOneAssertionInParallel(t *testing.T) {
	onBoth(t, func(r *rig) {
		firsts := make([]bool, 20)
		errs := all(len(firsts), func(i int) (err error) {
			firsts[i], err = r.UseAssertion(context.Background(), "app", []byte("jti"), r.Now().Add(time.Minute))
			return err
		})
		n := 0
		for _, first := range firsts {
			if first {
				n++
			}
		}
		if n != 1 || succeeded(errs) != len(firsts) {
			r.Errorf("%d were first; %v", n, errs)
		}
	})
}
