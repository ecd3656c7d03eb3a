package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
)

// Who said no to a passkey is asked again no sooner than they said, each by their
// own last word; and a sign-in that came to nothing says nothing.
func TestAskPasskey(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, other := r.person("ann"), r.person("bob")
		asked := func(id account.ID) time.Time {
			r.Helper()
			second, err := r.Second(ctx, id)
			r.ok(err)
			return second.AskPasskey
		}
		later := r.Now().Add(account.AskPasskeyEvery).Truncate(time.Microsecond)
		f := r.proven(id)
		stale := *f
		r.ok(r.Finish(ctx, f, flows.Progress{AskPasskey: later}, newSession()))
		if err := r.Finish(ctx, &stale, flows.Progress{AskPasskey: account.NeverAsk}, newSession()); err == nil {
			r.Error("a flow ended twice")
		}
		if got := asked(id); !got.Equal(later) {
			r.Errorf("ann: %v, want %v", got, later)
		}
		r.ok(r.Finish(ctx, r.proven(id), flows.Progress{}, newSession()))
		if got := asked(id); !got.Equal(later) {
			r.Errorf("ann, after a sign-in in which nobody asked: %v", got)
		}
		r.ok(r.Finish(ctx, r.proven(id), flows.Progress{AskPasskey: account.NeverAsk}, newSession()))
		if got := asked(id); !got.Equal(account.NeverAsk) {
			r.Errorf("ann: %v, want never", got)
		}
		if got := asked(other); !got.IsZero() {
			r.Errorf("bob: %v", got)
		}
	})
}
