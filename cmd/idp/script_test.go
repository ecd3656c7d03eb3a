package main

import (
	"os"
	"path/filepath"
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
