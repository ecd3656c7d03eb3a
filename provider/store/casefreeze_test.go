package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// A case that becomes another person's while somebody stops all those of theirs is
// neither stopped nor said to be.
func TestFreezeAgainstChoosingSomebodyElse(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		other := d.member("henry", account.FrontDesk)
		conn, err := d.Occupy(ctx)
		d.ok(err)
		tx, err := conn.BeginTx(ctx, nil)
		d.ok(err)
		_, err = tx.Exec("UPDATE cases SET person = $1 WHERE id = $2", string(other), d.id)
		d.ok(err)
		frozen := make(chan error, 1)
		var was bool
		go func() {
			var err error
			was, err = d.FreezeCasesOf(ctx, &store.Session{Account: d.person}, "")
			frozen <- err
		}()
		if d.Engine() == "postgres" { // on SQLite it waits for the one who writes
			d.until("it waits for the case", func() bool {
				return d.count("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
			})
		}
		d.ok(errors.Join(tx.Commit(), conn.Close()))
		d.ok(<-frozen)
		if was || d.now().Frozen {
			d.Errorf("stopped is %v, and the case's frost %v", was, d.now().Frozen)
		}
		d.want("freezes in the log", d.logged(flows.CaseFreeze), 0)
		d.want("freezes in the trail", d.trail(account.CaseFrozen), 0)
	})
}
