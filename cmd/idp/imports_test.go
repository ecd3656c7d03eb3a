package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/medximity/idp"

// Imports go one way. Each line reads: package, then all of ours it may import;
// a name that ends in / stands for all below it. Tests are not held to it.
const allowed = `
cmd/idp                  *
provider                 flows flows/ provider/ templates
provider/settings        flows flows/account flows/directory provider/store provider/web templates
provider/support         flows flows/account flows/directory provider/store provider/web templates
provider/web             flows flows/account flows/directory provider/store templates
provider/mail            flows/account flows/directory provider/seal provider/store templates
provider/keys            provider/seal provider/store
provider/metrics         flows flows/account
provider/outgoing
provider/registry        flows/account
provider/webhook         flows/account flows/directory
provider/ldap            flows/account flows/directory
provider/upstream        flows/account flows/directory
provider/store           flows flows/account flows/directory migrations provider/seal provider/store/db
provider/store/storetest provider/store provider/seal
flows                    flows/account flows/directory
flows/steptest           flows flows/account flows/directory
flows/passkeytest
flows/directory          flows/account
flows/account
templates
migrations
provider/seal
provider/store/db
`

// Some libraries belong to one room. Each line reads: what the import path
// begins with, then the packages of ours that may have it.
const rooms = `
github.com/ory/fosite             provider
github.com/jackc/pgx              provider/store provider/store/storetest
modernc.org/sqlite                provider/store
database/sql                      provider/store provider/store/db provider/store/storetest
github.com/pressly/goose          provider/store
github.com/riverqueue/river       provider/store
github.com/gorilla/               provider/web
github.com/prometheus/            provider/metrics provider cmd/idp
github.com/pquerna/otp            flows flows/account
github.com/go-webauthn            flows flows/account
github.com/wneessen/go-mail       provider/mail
github.com/tink-crypto            provider/seal
github.com/spf13/                 cmd/idp
github.com/knadh/                 cmd/idp
github.com/emersion/              cmd/idp
github.com/coreos/go-oidc         cmd/idp
github.com/zitadel/               cmd/idp
net/http                          provider provider/settings provider/support provider/web provider/metrics provider/outgoing cmd/idp
`

func TestImports(t *testing.T) {
	ours, outside := table(allowed), table(rooms)
	for _, fields := range packages(t) {
		pkg := fields[0]
		may, known := ours[pkg]
		if !known {
			t.Errorf("package %s is not in the table: say what it may import", pkg)
			continue
		}
		for _, imp := range fields[1:] {
			if name, is := strings.CutPrefix(imp, module+"/"); is {
				if !permits(may, name) {
					t.Errorf("%s must not import %s", pkg, name)
				}
				continue
			}
			for library, who := range outside {
				if strings.HasPrefix(imp, library) && !slices.Contains(who, pkg) {
					t.Errorf("%s must not import %s: that belongs to %s", pkg, imp, strings.Join(who, ", "))
				}
			}
		}
	}
}

func permits(may []string, name string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		return m == "*" || m == name || strings.HasSuffix(m, "/") && strings.HasPrefix(name, m)
	})
}

func table(text string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			out[f[0]] = f[1:]
		}
	}
	return out
}

// packages lists ours with what each imports: the package first.
func packages(t *testing.T) [][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		f[0] = strings.TrimPrefix(f[0], module+"/")
		all = append(all, f)
	}
	return all
}
