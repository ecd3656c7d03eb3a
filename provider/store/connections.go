package store

import "cmp"

// Connections returns how many connections to the database are in use, and how
// many may be.
func (s *Store) Connections() (used, most int) {
	w := s.write.Stats()
	if s.write == s.read {
		return w.InUse, cmp.Or(s.MaxConns, 16) // as openPostgres has it
	}
	r := s.read.Stats()
	return w.InUse + r.InUse, w.MaxOpenConnections + r.MaxOpenConnections
}
