// Package migrations is what the product remembers: the schema, as numbered
// SQL files that never change once merged. One text serves PostgreSQL and
// SQLite. README.md says how long a row of each table lives.
package migrations

import "embed"

// Files holds the migrations, NNNN_name.sql.
//
//go:embed *.sql
var Files embed.FS
