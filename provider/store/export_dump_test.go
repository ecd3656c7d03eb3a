package store

import "bytes"

// Dump runs a query of a test and returns all that it finds, byte for byte.
func (s *Store) Dump(query string, args ...any) (string, error) {
	rows, err := s.read.Query(query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return "", err
	}
	values, to := make([][]byte, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	var all []byte
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return "", err
		}
		all = append(append(all, bytes.Join(values, []byte("\t"))...), '\n')
	}
	return string(all), rows.Err()
}
