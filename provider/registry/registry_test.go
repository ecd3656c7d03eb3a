package registry

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// head is a header of only what is needed, in another order than the file has.
const head = "NPI Reactivation Date,NPI,Provider First Name,Provider Last Name (Legal Name)," +
	"Provider Organization Name (Legal Business Name),Entity Type Code,NPI Deactivation Date\n"

// opened opens a file that must be good.
func opened(t testing.TB, path string) *Registry {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// write writes a file of the test's own.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// providers are those of the made-up file, and what is said of them.
var providers = map[string]Entry{
	"1245319599": {Person: true, Name: "GRACE OKAFOR", Active: true},
	"1234567893": {Person: true, Name: "MARY ANN O'BRIEN-HALE", Active: true},
	"1558598797": {Organization: "RIVERSIDE FAMILY PRACTICE, LLC", Active: true},
	"1003000126": {}, // deactivated: the file has nothing else of it
	"2000000002": {Person: true, Name: "JOSE NUNEZ", Active: true},
	"1999999992": {Person: true, Name: "NORA BELL", Active: true}, // deactivated, and reactivated
	"1508123456": {Organization: "HARBOR LAW AND HEALTH"},         // reactivated, and deactivated again
	"1000000004": {Person: true, Name: "THOMAS THOMAS", Active: true},
	"2450000015": {Person: true, Active: true},
}

func TestLookup(t *testing.T) {
	r := opened(t, "testdata/providers.csv")
	if r.Len() != len(providers) {
		t.Errorf("%d providers, want %d", r.Len(), len(providers))
	}
	for npi, want := range providers {
		got, found, err := r.Lookup(npi)
		if !found || err != nil {
			t.Errorf("%s: %v, %v", npi, found, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", npi, diff)
		}
	}
}

// What is not in the file, or is no NPI, is nobody's.
func TestLookupNobody(t *testing.T) {
	r := opened(t, "testdata/providers.csv")
	for _, npi := range []string{"1659576791", "1245319590", "", "124531959", "12453195990", "1245319599 ", "１２４５３１９５９９",
		"-245319599", "NPI", "0"} {
		if e, found, err := r.Lookup(npi); found || err != nil || e != (Entry{}) {
			t.Errorf("%q: %+v, %v, %v", npi, e, found, err)
		}
	}
}

// Any number of agents may look up at once.
func TestLookupTogether(t *testing.T) {
	r := opened(t, "testdata/providers.csv")
	var wg sync.WaitGroup
	for npi, want := range providers {
		for range 20 {
			wg.Go(func() {
				if got, found, err := r.Lookup(npi); got != want || !found || err != nil {
					t.Errorf("%s: %+v, %v, %v", npi, got, found, err)
				}
			})
		}
	}
	wg.Wait()
}

// A file may have Windows' line ends, a byte order mark, only the columns that
// are read, and nobody in it.
func TestOpenOtherShapes(t *testing.T) {
	const rows = ",1558598797,,,Riverside,2,\n,1245319599,Grace,Okafor,,1,\n"
	for name, text := range map[string]string{
		"no end of line": strings.TrimSuffix(head+rows, "\n"),
		"Windows":        strings.ReplaceAll(head+rows, "\n", "\r\n"),
		"marked":         "\ufeff" + head + rows,
		"marked, quoted": "\ufeff" + `"NPI Reactivation Date"` + strings.TrimPrefix(head, "NPI Reactivation Date") + rows,
		"blank lines":    head + "\n\n,1558598797,,,Riverside,2,\n\n\n,1245319599,Grace,Okafor,,1,\n\n",
	} {
		r := opened(t, write(t, text))
		person, _, err := r.Lookup("1245319599")
		if err != nil || person.Name != "Grace Okafor" {
			t.Errorf("%s: %+v, %v", name, person, err)
		}
		organization, _, err := r.Lookup("1558598797")
		if err != nil || organization.Organization != "Riverside" {
			t.Errorf("%s: %+v, %v", name, organization, err)
		}
	}
	if r := opened(t, write(t, head)); r.Len() != 0 {
		t.Errorf("a header has %d providers", r.Len())
	}
}

func TestOpenRefuses(t *testing.T) {
	const good = ",1245319599,Grace,Okafor,,1,\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "is empty"},
		{"another file", "id,name\n1,a\n", `line 1: the column "NPI" is missing`},
		{"a column less", strings.ReplaceAll(head, "Entity Type Code", "Entity"), `line 1: the column "Entity Type Code" is missing`},
		{"in lower case", strings.ToLower(head), `line 1: the column "NPI" is missing`},
		{"a column twice", strings.TrimSpace(head) + ",NPI\n", `line 1: the column "NPI" is there twice`},
		{"a field less", head + good + ",1558598797,,,Riverside,2\n", "line 3: is not CSV: wrong number of fields"},
		{"a field more", head + good + ",1558598797,,,Riverside,2,,\n", "line 3: is not CSV: wrong number of fields"},
		{"a stray quote", head + good + `,1558598797,,,River"side,2,` + "\n", `line 3: is not CSV: bare " in non-quoted-field`},
		{"a quote without end", head + good + `,1558598797,,,"Riverside,2,` + "\n" + good, "line 3: is not CSV"},
		{"a wrong check digit", head + good + ",1558598796,,,Riverside,2,\n", `line 3: "1558598796" is not an NPI`},
		{"no NPI", head + ",,,,Riverside,2,\n", `line 2: "" is not an NPI`},
		{"a space", head + ", 1245319599,Grace,Okafor,,1,\n", `line 2: " 1245319599" is not an NPI`},
		{"a third kind", head + ",1245319599,Grace,Okafor,,3,\n", `line 2: the Entity Type Code is "3"`},
		{"no kind, though active", head + ",1245319599,Grace,Okafor,,,\n", `line 2: the Entity Type Code is ""`},
		{"no kind, though reactivated", head + "01/02/2020,1245319599,,,,,01/01/2020\n", `line 2: the Entity Type Code is ""`},
		{"a day of another form", head + ",1245319599,,,,,2020-01-31\n", `line 2: the NPI Deactivation Date is "2020-01-31"`},
		{"a day that is none", head + "02/30/2020,1245319599,,,,,01/31/2020\n", `line 2: the NPI Reactivation Date is "02/30/2020"`},
		{"after a line break", head + `,1558598797,,,"River` + "\n\n" + `side",2,` + "\n,x,,,,1,\n", `line 5: "x" is not an NPI`},
		{"twice", head + good + ",1558598797,,,Riverside,2,\n" + good, "the NPI 1245319599 is there twice"},
	} {
		_, err := Open(write(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere.csv")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), pipe} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("%s was opened: %v", path, err)
		}
	}
}

// A quote that never ends does not have the rest of the file read as one field,
// and a row that is taken can be read again.
func TestOpenBoundsRows(t *testing.T) {
	const row = `,1558598797,,,"`
	rest := strings.Repeat("Riverside\n", 1<<20)
	in := strings.NewReader(head + row + rest)
	_, _, err := scan(in)
	if err == nil || !strings.Contains(err.Error(), "after line 1: a row has more than 1048576 bytes") {
		t.Errorf("without end: %v", err)
	}
	if read := int(in.Size()) - in.Len(); read > 4*maxRow {
		t.Errorf("%d bytes were read", read)
	}
	for length, good := range map[int]bool{maxRow: true, maxRow + 1: false, maxRow + 5000: false} {
		text := row + strings.Repeat("x", length-len(row)-len("\",2,\n")) + "\",2,\n"
		r, err := Open(write(t, head+text+",1245319599,Grace,Okafor,,1,\n"))
		if good != (err == nil) {
			t.Errorf("a row of %d bytes: %v", length, err)
		}
		if err != nil {
			continue
		}
		if e, _, err := r.Lookup("1558598797"); err != nil || len(e.Organization) < maxRow-100 {
			t.Errorf("looked up: %d bytes, %v", len(e.Organization), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whoever writes into the file gets an error, and never another's entry.
func TestFileChanged(t *testing.T) {
	for name, text := range map[string]string{
		"moved":   head + ",1558598797,,,Riversi,2,\n,1245319599,Grace,Okafor,,1,\n",
		"cut":     head,
		"garbled": head + strings.Repeat("\"", 100),
	} {
		path := write(t, head+",1245319599,Grace,Okafor,,1,\n,1558598797,,,Riverside,2,\n")
		r := opened(t, path)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if e, found, err := r.Lookup("1245319599"); err == nil || found || !strings.Contains(err.Error(), "by renaming") {
			t.Errorf("%s: %+v, %v, %v", name, e, found, err)
		}
	}
}

// A new file in the place of the old one changes nothing until the next Open.
func TestFileReplaced(t *testing.T) {
	path := write(t, head+",1245319599,Grace,Okafor,,1,\n")
	r := opened(t, path)
	if err := os.Rename(write(t, head+",1245319599,Omar,Haddad,,1,\n"), path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    *Registry
		want string
	}{{r, "Grace Okafor"}, {opened(t, path), "Omar Haddad"}} {
		if e, _, err := c.r.Lookup("1245319599"); e.Name != c.want || err != nil {
			t.Errorf("%+v, %v, want %s", e, err, c.want)
		}
	}
}

// Check finds what is wrong with the header, and reads no further.
func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		head:                           "",
		head + "no row":                "",
		"id,name\n":                    `the column "NPI" is missing`,
		"":                             "is empty",
		strings.Repeat("x", 3*maxRow):  "a row has more than",
		"\ufeff" + head:                "",
		"\"NPI\",\"Entity Type Code\n": "is not CSV",
	} {
		err := Check(write(t, text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
	if err := Check(filepath.Join(t.TempDir(), "nowhere.csv")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
