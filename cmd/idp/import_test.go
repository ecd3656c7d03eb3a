package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// The runbook's examples are imported beside a running server, and then those
// who are in them sign in there with the passwords that they had: their hashes
// are argon2id afterwards.
func TestImportedPeopleSignIn(t *testing.T) {
	d := startDemo(t)
	runbook := string(mustRead(t, "../../deploy/README.md"))
	for _, format := range []string{"csv", "json"} {
		example := regexp.MustCompile("(?s)```" + format + "\n(.*?)```").FindStringSubmatch(runbook)
		if example == nil {
			t.Fatalf("the runbook has no example of %s", format)
		}
		path := filepath.Join(t.TempDir(), "people."+format)
		if err := os.WriteFile(path, []byte(example[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if doc := d.idp("account", "import", path); doc["people"] != float64(2) || doc["practices"] != float64(1) {
			t.Errorf("the example of %s: %v", format, doc)
		}
	}
	for _, email := range []string{"ida@bayside.example", "omar@hilltop.example"} {
		if hash := d.hash(t, email); strings.HasPrefix(hash, "$argon2id$") {
			t.Fatalf("the runbook brings %s with %s", email, hash)
		}
		p := newPerson(t)
		p.visit(d.App + "/signin")
		p.signIn(email, "correct horse batterz")
		p.sees("The username or password is not right")
		p.signIn(email, "correct horse battery")
		p.sees("Signed in", email)
		if hash := d.hash(t, email); !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("%s still has %s", email, hash)
		}
	}
}

// hash is what the demo's store keeps of somebody's password.
func (d *demo) hash(t *testing.T, email string) string {
	t.Helper()
	data := d.process.cmd.Args[len(d.process.cmd.Args)-1]
	st, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(data, "idp.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	e, err := store.People{Store: st}.Lookup(t.Context(), directory.ByEmail, email)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Handle)
}

// More is told than can be read, and no more people are taken than one file may
// have.
func TestImportIsBounded(t *testing.T) {
	f := newImportFile("many.csv")
	var b strings.Builder
	b.WriteString("email\n")
	for n := range maxImportPeople + 1 {
		fmt.Fprintf(&b, "p%d@x.example\n", n)
	}
	f.readCSV([]byte(b.String()))
	if len(f.in.People) != maxImportPeople || len(f.wrong) != 1 || f.wrong[0].line != maxImportPeople+2 {
		t.Errorf("%d people, %v", len(f.in.People), f.wrong)
	}
	for n := range maxImportProblems {
		f.say(n, "email", os.ErrInvalid)
	}
	var told bytes.Buffer
	f.tell(&told)
	if lines := strings.Count(told.String(), "\n"); lines != maxImportProblems+1 || !strings.HasSuffix(told.String(), "many.csv: and 1 more\n") {
		t.Errorf("%d lines:\n%s", lines, tail(told.String(), 300))
	}
	if got, err := readImport(accountImport(), endless(t)); err == nil || !strings.Contains(err.Error(), "has more than 64 MiB") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// endless is a file of more than may be read.
func endless(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "endless.csv")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxImportBytes+1); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file of another tool is one of ours: with a byte order mark, with CRLF, in
// any order, and with quotes over lines.
func TestImportReadsWhatOthersWrite(t *testing.T) {
	for name, data := range map[string]string{
		"excel.csv": "\ufeffname,email,locations\r\n\"Ok\"\"afor, Grace\",g@x.example,\r\n\r\nN,n@x.example,\r\n",
		"any.json":  "\ufeff\r\n{\"people\":[{\"name\":\"Ok\\\"afor, Grace\",\"email\":\"g@x.example\"}\r\n\r\n,{\"name\":\"N\",\"email\":\"n@x.example\"}]}\r\n",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := importOptions{}.read(accountImport(), path)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.wrong) > 0 || len(f.in.People) != 2 || f.in.People[0].Name != `Ok"afor, Grace` || f.in.People[1].Mark != 4 {
			t.Errorf("%s: %v %+v", name, f.wrong, f.in.People)
		}
	}
	f := newImportFile("latin1.csv")
	if f.readable([]byte("email,name\ng@x.example,Ren\xe9\n")) || len(f.wrong) != 1 || f.wrong[0].line != 2 {
		t.Errorf("Latin-1: %v", f.wrong)
	}
}

// Whatever is in a file, it is either people or a problem that has a line of it.
func FuzzImport(f *testing.F) {
	script := string(mustReadF(f, "testdata/import.txt"))
	for _, file := range strings.Split(script, "\n-- ")[1:] {
		_, data, _ := strings.Cut(file, " --\n")
		f.Add([]byte(data))
	}
	f.Add([]byte("{\"practices\": [{\"\": false}")) // a field without a name
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func(*importFile, []byte){(*importFile).readCSV, (*importFile).readJSON} {
			file := newImportFile("x")
			if file.readable(data) {
				read(file, data)
			}
			if len(file.wrong)+len(file.in.People)+len(file.in.Practices) == 0 {
				t.Errorf("nothing in %q, and nothing wrong with it", data)
			}
			for _, p := range file.wrong {
				if p.line < 1 || p.line > lineAt(data, len(data)) || p.field == "" || p.err == nil {
					t.Errorf("%+v of %q", p, data)
				}
			}
			for _, m := range file.in.People {
				if m.Mark < 1 || m.Mark > lineAt(data, len(data)) || m.Email == "" {
					t.Errorf("%+v of %q", m, data)
				}
			}
		}
	})
}

func mustReadF(f *testing.F, path string) []byte {
	f.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return data
}
