//go:build campaign

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store/storetest"
)

// How long a big import takes: 10,000 people in 500 practices of two locations,
// each with a hash, by the real binary.
//
//	go test -tags campaign ./cmd/idp -run ImportTenThousand -v
func TestImportTenThousand(t *testing.T) {
	var b strings.Builder
	b.WriteString("email,username,name,role,practice,practice_name,locations,password_hash\n")
	for n := range 10_000 {
		role := []string{"owner", "admin", "front_desk", "billing"}[min(n/500, 3)]
		fmt.Fprintf(&b, "p%d@people.example,p%d,Person %d,%s,practice-%d,Practice %d,Main Street;Harbour,$2b$12$5sE6MdinB3VoSbk0YtGNp.lT/f/wJktFjincIqMq54xikkmI0d0bi\n",
			n, n, n, role, n%500, n%500)
	}
	file := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := "sqlite:" + filepath.Join(t.TempDir(), "idp.db")
			if engine == "postgres" {
				url = storetest.Postgres(t)
			}
			idp := func(args ...string) (string, *exec.Cmd) {
				cmd := exec.Command(idpBinary(t), append(args, "--store", url)...)
				cmd.Env = environ()
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, tail(string(out), 500))
				}
				return strings.TrimSpace(string(out)), cmd
			}
			idp("migrate")
			for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
				began := time.Now()
				said, cmd := idp("account", "import", file, dry)
				t.Logf("%s in %s (%s of it ours): %s", dry, time.Since(began).Round(10*time.Millisecond),
					(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(10*time.Millisecond), said)
				if !strings.Contains(said, "500 practices, 1000 locations and 10000 people (without a password: 0;") {
					t.Errorf("it says %s", said)
				}
			}
		})
	}
}
