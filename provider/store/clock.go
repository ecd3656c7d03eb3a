package store

import (
	"context"
	"fmt"
	"time"
)

// clockEvery is how often the database's clock is read.
const clockEvery = 30 * time.Second

// Now is the time that all replicas agree on: the process clock, corrected by
// the database's. Locks, links and sessions are judged by it alone.
func (s *Store) Now() time.Time {
	d := time.Duration(s.offset.Load() + s.shift.Load())
	return time.Now().Add(d).UTC().Truncate(time.Microsecond)
}

// Skew is how far the database's clock is ahead of the process's.
func (s *Store) Skew() time.Duration { return time.Duration(s.offset.Load()) }

// readClock measures the offset, taking the answer for the middle of the
// question's round trip.
func (s *Store) readClock(ctx context.Context) error {
	if s.engine.clock == "" {
		return nil
	}
	var us int64
	asked := time.Now()
	if err := s.read.QueryRowContext(ctx, s.engine.clock).Scan(&us); err != nil {
		return fmt.Errorf("store: the database's clock: %w", err)
	}
	middle := asked.Add(time.Since(asked) / 2)
	s.offset.Store(int64(at(us).Sub(middle)))
	return nil
}

// keepClock reads the database's clock again and again until Close.
func (s *Store) keepClock() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.done.Go(func() {
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.readClock(ctx); err != nil && ctx.Err() == nil {
				s.Logger.Warn("the database's clock was not read", "cause", err.Error())
			}
		}
	})
}
