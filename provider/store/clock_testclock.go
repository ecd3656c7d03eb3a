//go:build testclock

package store

import "time"

// Shift moves Now by d, for good and for this process only. It exists in test
// builds, so that promises of 30 and 60 minutes are proven without waiting.
func (s *Store) Shift(d time.Duration) { s.shift.Add(int64(d)) }
