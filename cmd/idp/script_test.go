package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/medximity/idp/provider/store/storetest"
)

// The commands, as an operator types them, on both engines. $STORE is a new,
// empty database, and $RING the file of a key ring.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink(idpBinary(t), filepath.Join(bin, "idp")); err != nil {
		t.Fatal(err)
	}
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir:                 "testdata",
				RequireExplicitExec: true,
				Cmds:                map[string]func(*testscript.TestScript, bool, []string){"passkeys": addPasskeys(t)},
				Setup: func(env *testscript.Env) error {
					store := "sqlite:" + filepath.Join(env.WorkDir, "idp.db")
					if engine == "postgres" {
						store = storetest.Postgres(t)
					}
					env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
					env.Setenv("STORE", store)
					env.Setenv("RING", filepath.Join(env.WorkDir, "ring.json"))
					return nil
				},
			})
		})
	}
}

// addPasskeys gives somebody passkeys, which no command does: passkeys N ADDRESS.
// They sign nobody in.
func addPasskeys(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: passkeys N ADDRESS")
		}
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		db := openOutside(t, ts.Getenv("STORE"))
		defer db.Close()
		for range n {
			_, err := db.Exec(`INSERT INTO passkeys (id, account, credential, record, verified, synced, created_at, used_at)
				VALUES ($1, (SELECT p.id FROM people p WHERE p.email = $2), $3, $4, true, false, 1, 1)`,
				rand.Text(), args[1], []byte(rand.Text()), []byte{})
			ts.Check(err)
		}
	}
}
