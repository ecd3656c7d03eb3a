package registry

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
)

// million is how many providers the benchmarks' files have.
const million = 1_000_000

// shapes are files of a million: with the columns that are read, and with as many
// columns and bytes as the published one.
var shapes = []struct {
	name  string
	empty int // columns beside those that are read
}{{"7 columns", 0}, {"330 columns", 323}}

// BenchmarkOpen opens a file of a million providers, and tells what stays in
// memory of it:
//
//	go test ./provider/registry -run XXX -bench Open -benchtime 1x
func BenchmarkOpen(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			path, size := generate(b, shape.empty)
			b.SetBytes(size)
			for b.Loop() {
				before := live()
				r := opened(b, path)
				kept := live() - before
				b.ReportMetric(float64(kept)/million, "heap-B/provider")
				if r.Len() != million {
					b.Fatalf("%d providers", r.Len())
				}
			}
		})
	}
}

// BenchmarkLookup looks one of a million up, in a file that was just read.
func BenchmarkLookup(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			path, _ := generate(b, shape.empty)
			r := opened(b, path)
			n := 0
			for b.Loop() {
				i := n * 7919 % million
				e, found, err := r.Lookup(nth(i))
				if n++; !found || err != nil || e.Name != fmt.Sprintf("FIRST%d LAST%d", i%1000, i) {
					b.Fatalf("%+v, %v, %v", e, found, err)
				}
			}
		})
	}
}

// live is how many bytes of the heap are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// generate writes a file of a million people, all fields quoted and rows not in
// order, as published.
func generate(b *testing.B, empty int) (path string, size int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "npidata.csv")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "%q", names[0])
	for _, name := range names[1:] {
		fmt.Fprintf(w, ",%q", name)
	}
	for i := range empty {
		fmt.Fprintf(w, `,"Other Provider Identifier_%d"`, i)
	}
	rest := strings.Repeat(`,""`, empty) + "\n"
	for i := range million {
		i = i ^ 1 // each pair the other way round
		if i == 1 {
			w.WriteByte('\n')
		}
		fmt.Fprintf(w, `"%s","1","","LAST%d","FIRST%d","",""`, nth(i), i, i%1000)
		w.WriteString(rest)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, info.Size()
}

// nth is the NPI with the nth number that has one.
func nth(n int) string {
	for digit := range 10 {
		if npi := fmt.Sprintf("%d%d", 100_000_000+n*37, digit); account.ValidNPI(npi) {
			return npi
		}
	}
	panic("a number without a check digit")
}
