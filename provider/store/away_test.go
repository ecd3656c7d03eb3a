package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medximity/idp/provider/store"
)

func TestAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"the connection broke", fmt.Errorf("store: begin: %w", io.ErrUnexpectedEOF), true},
		{"it took too long", context.DeadlineExceeded, true},
		{"an operator stopped it", &pgconn.PgError{Code: "57P01"}, true},
		{"it is starting", &pgconn.PgError{Code: "57P03"}, true},
		{"its disk is full", &pgconn.PgError{Code: "53100"}, true},
		{"too many connections", &pgconn.PgError{Code: "53300"}, true},
		{"two transactions met", &pgconn.PgError{Code: "40P01"}, true},
		{"our statement is wrong", &pgconn.PgError{Code: "42601"}, false},
		{"taken already", store.ErrDuplicate, false},
		{"nobody waited for it", context.Canceled, true},
		{"its transaction was given up", sql.ErrTxDone, true},
		{"nothing we know", errors.New("disk full"), false},
		{"none", nil, false},
	} {
		if got := store.Away(tt.err); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
