// Package registry looks NPIs up in a copy of the public registry of providers,
// the file "npidata_pfile_…csv" that CMS offers for download each month (NPPES
// Data Dissemination), or in what somebody made of it that has the same columns.
// It asks nobody: no server learns whom Support is helping.
//
//	open ── the header names the columns, one pass finds where each row begins
//	  │     NPIs and offsets stay in memory, 12 bytes a provider; no row does
//	lookup ── the NPI's offset, and the one row that is read there
//
// It identifies and never authenticates. Whoever looks an NPI up in the public
// registry knows all that is in here, so that a name fits proves nothing about
// who gave it; that one does not fit is worth a question.
package registry

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/medximity/idp/flows/account"
)

// Registry is an open copy. It is safe for concurrent use.
type Registry struct {
	path    string
	file    io.ReaderAt
	close   func() error
	columns columns
	index   index
}

// Open reads all of the file once, which takes as long as that: the published one
// has ten gigabytes. One that lacks a column, or has a row that is not a
// provider's, is refused, with the line. The file is then open until Close: a
// newer one may be put in its place by renaming, but nobody may write into it.
func Open(path string) (*Registry, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	r := &Registry{path: path, file: f, close: f.Close}
	if r.columns, r.index, err = scan(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return r, nil
}

// open opens what can be read at any place: a pipe would be waited for.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a file", path)
	}
	return os.Open(path)
}

// Check reads the header, and is what Open would say of it.
func Check(path string) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	if _, err = header(csv.NewReader(bound(f))); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(err, f.Close())
}

// Close closes the file. No Lookup may come after it.
func (r *Registry) Close() error { return r.close() }

// Len is how many providers there are, deactivated ones among them.
func (r *Registry) Len() int { return len(r.index.npis) }

// Lookup returns the provider of an NPI, and whether there is one. What is no NPI
// is nobody's.
func (r *Registry) Lookup(npi string) (Entry, bool, error) {
	if !account.ValidNPI(npi) {
		return Entry{}, false, nil
	}
	n, err := strconv.ParseUint(npi, 10, 32)
	if err != nil {
		return Entry{}, false, err
	}
	i, found := slices.BinarySearch(r.index.npis, uint32(n))
	if !found {
		return Entry{}, false, nil
	}
	e, err := r.read(r.index.offsets[i], npi)
	if err != nil {
		return Entry{}, false, fmt.Errorf("registry: %s: %w", r.path, err)
	}
	return e, true, nil
}

// read reads the row at an offset, which has to be that of the NPI still.
func (r *Registry) read(offset int64, npi string) (Entry, error) {
	row := csv.NewReader(io.NewSectionReader(r.file, offset, maxRow))
	row.FieldsPerRecord = r.columns.count
	record, err := row.Read()
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", errChanged, err)
	}
	if record[r.columns.at[npiColumn]] != npi {
		return Entry{}, errChanged
	}
	return r.columns.entry(record)
}

var errChanged = errors.New("what was a provider's row is none any more: put a new file in the place of the old one by renaming")
