package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Chain is the job that links rows of the audit trail.
func (s *Store) Chain(ctx context.Context, far bool) error {
	return s.chain(ctx, chainJob{Far: far}.look())
}

// ChainBatch is how many links are made at a time.
const ChainBatch = chainBatch

// Tell commits events.
func (s *Store) Tell(ctx context.Context, all ...account.Event) error {
	return s.update(ctx, func(t *tx) error {
		for _, e := range all {
			t.tell(e)
		}
		return nil
	})
}

// Checkpoint is that of the last link.
func (s *Store) Checkpoint(ctx context.Context) (c Checkpoint, err error) {
	head, err := s.chainHead(ctx)
	if err != nil {
		return c, err
	}
	key, err := s.chainKey(ctx)
	return Checkpoint{head.Seq, head.Hash, key.checkpoint(head.Seq, head.Hash)}, err
}

// Noter is the job that writes checkpoints.
func (s *Store) Noter() func(context.Context) error { return (&chainer{Store: s}).checkpoint }

// Looker is what is asked each second whether there is something to link.
func (s *Store) Looker() func() bool {
	c := &chainer{Store: s}
	return func() bool {
		job, _ := c.due()
		return job != nil
	}
}

// AuditIDAt is an id as a row of that time has it.
func AuditIDAt(t time.Time) string { return auditID(micros(t)) }

// Tampered runs f in a transaction, verifies what it left there, and undoes it.
func (s *Store) Tampered(ctx context.Context, f func(*sql.Tx), marks ...Checkpoint) (Report, error) {
	sqlTx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = sqlTx.Rollback() }()
	f(sqlTx)
	in := &Store{Config: s.Config, engine: s.engine, q: db.New(sqlTx), w: db.New(sqlTx)}
	in.shift.Store(s.shift.Load())
	in.offset.Store(s.offset.Load())
	return in.Verify(ctx, marks)
}

// PlainHash is the best that somebody without the secret can do.
func PlainHash(before string, seq int64, row string) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", before, seq, row))
	return hex.EncodeToString(h[:])
}
