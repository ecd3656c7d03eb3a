package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// errStalled means that all connections to the database were in use, or none
// could be made, and nothing got done in the meantime.
var errStalled = errors.New("store: no connection, and no statement has succeeded for a while")

// stallFor is how long the database may get nothing done before those who wait
// for a connection are told (T15). While it gets something done they wait on, in
// order: a crowd that is served is no fault.
const stallFor = time.Second

// unstalled hands out a pool's connections, as long as it is not stalled.
type unstalled struct {
	driver.Connector
	done *doneLast
}

func (u unstalled) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := u.done.watch(ctx, time.Now(), stallFor, func() { cancel(errStalled) })
	defer t.Stop()
	c, err := u.Connector.Connect(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return nil, errStalled
	}
	return c, err
}

// doneLast notes when a statement succeeded last. It is a pgx.QueryTracer.
type doneLast struct{ at atomic.Int64 } // nanoseconds

// watch calls stalled once nothing was done for stallFor, since began.
func (d *doneLast) watch(ctx context.Context, began time.Time, in time.Duration, stalled func()) *time.Timer {
	return time.AfterFunc(in, func() {
		quiet := time.Since(began)
		if last := d.at.Load(); last > 0 {
			quiet = min(quiet, time.Since(time.Unix(0, last)))
		}
		switch {
		case ctx.Err() != nil: // it has its connection, or went away
		case quiet >= stallFor:
			stalled()
		default:
			d.watch(ctx, began, stallFor-quiet, stalled)
		}
	})
}

// TraceQueryStart does nothing.
func (*doneLast) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd notes what read or wrote something. To begin needs no table.
func (d *doneLast) TraceQueryEnd(_ context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	if tag := q.CommandTag.String(); q.Err == nil && tag != "BEGIN" && tag != "ROLLBACK" {
		d.at.Store(time.Now().UnixNano())
	}
}
