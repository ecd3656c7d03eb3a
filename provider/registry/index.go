package registry

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"

	"github.com/medximity/idp/flows/account"
)

// The columns that are read, among the 330 that the file has.
const (
	npiColumn = iota
	typeColumn
	organizationColumn
	lastColumn
	firstColumn
	deactivatedColumn
	reactivatedColumn
)

// names are theirs, as the file has them.
var names = [...]string{
	npiColumn:          "NPI",
	typeColumn:         "Entity Type Code",
	organizationColumn: "Provider Organization Name (Legal Business Name)",
	lastColumn:         "Provider Last Name (Legal Name)",
	firstColumn:        "Provider First Name",
	deactivatedColumn:  "NPI Deactivation Date",
	reactivatedColumn:  "NPI Reactivation Date",
}

// columns says which field of a row is which, and how many a row has.
type columns struct {
	at    [len(names)]int
	count int
}

// index is where each provider's row begins, by NPI, which ascends. An NPI is
// below 3,000,000,000.
type index struct {
	npis    []uint32
	offsets []int64
}

// maxRow is how long a row may be; the published ones have about 1,200 bytes.
// Without it, one stray quote would have gigabytes read as a single field.
const maxRow = 1 << 20

var errLong = fmt.Errorf("a row has more than %d bytes, or a quote that never ends", maxRow)

// bounded refuses to go on within a row that is too long.
type bounded struct {
	r          io.Reader
	row, given int64 // the offsets at which the row begins, and of what was read
}

// bound skips a byte order mark, as programs for spreadsheets write it.
func bound(r io.Reader) *bounded {
	const mark = "\ufeff"
	b := bufio.NewReaderSize(r, 1<<20)
	if start, err := b.Peek(len(mark)); err == nil && string(start) == mark {
		_, _ = b.Discard(len(mark)) // it was seen
		return &bounded{r: b, row: int64(len(mark)), given: int64(len(mark))}
	}
	return &bounded{r: b}
}

// Read allows for what the CSV reader reads ahead.
func (b *bounded) Read(p []byte) (int, error) {
	if b.given-b.row > maxRow {
		return 0, errLong
	}
	n, err := b.r.Read(p)
	b.given += int64(n)
	return n, err
}

// scan reads everything once.
func scan(r io.Reader) (columns, index, error) {
	in := bound(r)
	start := in.given
	rows := csv.NewReader(in)
	c, err := header(rows)
	if err != nil {
		return c, index{}, err
	}
	rows.ReuseRecord = true
	var x index
	for line := 1; ; {
		in.row = start + rows.InputOffset()
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return c, x, x.sort()
		}
		if err != nil {
			return c, x, notCSV(err, line)
		}
		if line, _ = rows.FieldPos(0); start+rows.InputOffset()-in.row > maxRow {
			return c, x, fmt.Errorf("line %d: %w", line, errLong)
		}
		if _, err := c.entry(record); err != nil {
			return c, x, fmt.Errorf("line %d: %w", line, err)
		}
		n, err := strconv.ParseUint(record[c.at[npiColumn]], 10, 32)
		if err != nil {
			return c, x, err // of a valid NPI: cannot be
		}
		x.npis, x.offsets = append(x.npis, uint32(n)), append(x.offsets, in.row)
	}
}

// header reads the first row.
func header(rows *csv.Reader) (c columns, err error) {
	record, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return c, errors.New("is empty")
	}
	if err != nil {
		return c, notCSV(err, 0)
	}
	c.count = len(record)
	for i, name := range names {
		c.at[i] = slices.Index(record, name)
		switch {
		case c.at[i] < 0:
			return c, fmt.Errorf("line 1: the column %q is missing", name)
		case slices.Contains(record[c.at[i]+1:], name):
			return c, fmt.Errorf("line 1: the column %q is there twice", name)
		}
	}
	return c, nil
}

// notCSV says where the file is not what it should be; last is the line of the
// row before.
func notCSV(err error, last int) error {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d: is not CSV: %w", e.StartLine, e.Err)
	}
	return fmt.Errorf("after line %d: %w", last, err)
}

// sort puts the NPIs in order; the published file has them nearly so.
func (x index) sort() error {
	sort.Sort(x)
	for i := 1; i < len(x.npis); i++ {
		if x.npis[i] == x.npis[i-1] {
			return fmt.Errorf("the NPI %d is there twice", x.npis[i])
		}
	}
	return nil
}

// Len is of sort.Interface, as the next two are.
func (x index) Len() int { return len(x.npis) }

func (x index) Less(i, j int) bool { return x.npis[i] < x.npis[j] }

func (x index) Swap(i, j int) {
	x.npis[i], x.npis[j] = x.npis[j], x.npis[i]
	x.offsets[i], x.offsets[j] = x.offsets[j], x.offsets[i]
}

// entry reads a row, or says why it is none of a provider.
func (c columns) entry(record []string) (Entry, error) {
	field := func(column int) string { return record[c.at[column]] }
	var e Entry
	if npi := field(npiColumn); !account.ValidNPI(npi) {
		return e, fmt.Errorf("%q is not an NPI", npi)
	}
	var err error
	if e.Active, err = active(field(deactivatedColumn), field(reactivatedColumn)); err != nil {
		return e, err
	}
	switch kind := field(typeColumn); {
	case kind == "1":
		e.Person, e.Name = true, tidy(field(firstColumn)+" "+field(lastColumn))
	case kind == "2":
		e.Organization = tidy(field(organizationColumn))
	case kind == "" && !e.Active: // of a deactivated one nothing else is published
	default:
		return e, fmt.Errorf("the %s is %q, neither 1 nor 2", names[typeColumn], kind)
	}
	return e, nil
}
