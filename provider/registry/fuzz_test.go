package registry

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
)

// Whatever a file holds, it is refused, or each of its rows is found by its NPI
// as a plain reading of the whole file finds it.
func FuzzRows(f *testing.F) {
	for _, rows := range []string{"", ",1245319599,Grace,Okafor,,1,\n", ",1245319599,,,,,01/31/2020\n,1558598797,,,\"a,\n\"\"b\"\"\",2,\n",
		"\r\n\r\n,1245319599,Grace,Okafor,,1,\r\n", "02/01/2020,1245319599,\"\",\"O'Brien\r\n\",,1,01/31/2020", "\"", ",,,,,,\n", "\xff,\x00", head} {
		f.Add(rows, false)
		f.Add(rows, true)
	}
	f.Fuzz(func(t *testing.T, rows string, marked bool) {
		text := head + rows
		if marked {
			text = "\ufeff" + text
		}
		c, x, err := scan(strings.NewReader(text))
		if err != nil {
			return
		}
		all, err := csv.NewReader(strings.NewReader(head + rows)).ReadAll()
		if err != nil {
			t.Fatalf("%q was taken: %v", rows, err)
		}
		r := &Registry{file: strings.NewReader(text), columns: c, index: x}
		if r.Len() != len(all)-1 {
			t.Fatalf("%d of %d rows", r.Len(), len(all)-1)
		}
		for _, record := range all[1:] {
			want, err := c.entry(record)
			if err != nil {
				t.Fatalf("%q was taken: %v", record, err)
			}
			if got, found, err := r.Lookup(record[c.at[npiColumn]]); got != want || !found || err != nil {
				t.Fatalf("%q: %+v, %v, %v, want %+v", record, got, found, err, want)
			}
		}
	})
}

// A name fits itself, in any case and beside others, unless there is nothing to
// read in it.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"GRACE OKAFOR", "José Núñez", "O'Brien-Hale", "ẞ ŒUVRE İ", "\xcfϹ Σς", "Ꮵ", "ﬁ Ⅳ", "\xff", "김 민지", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		e := Entry{Person: true, Name: tidy(name)}
		if bytes.ContainsAny([]byte(e.Name), "\n\r\t") {
			t.Errorf("%q is on several lines", e.Name)
		}
		readable := len(words(e.Name)) > 0
		for _, given := range []string{e.Name, strings.ToLower(e.Name), "Dr. " + e.Name + " Jr."} {
			if e.Names(given) != readable {
				t.Errorf("%q does not fit %q", given, e.Name)
			}
		}
	})
}
