package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// csvColumns sets what a column stands for. Their order is that of the help.
var csvColumns = []struct {
	name string
	set  func(r *csvRow, v string) error
}{
	{"id", func(r *csvRow, v string) error { r.ID = v; return nil }},
	{"username", func(r *csvRow, v string) error { r.Username = v; return nil }},
	{"email", func(r *csvRow, v string) error { r.Email = v; return nil }},
	{"email_verified", func(r *csvRow, v string) (err error) { r.EmailVerified, err = truth(v); return err }},
	{"name", func(r *csvRow, v string) error { r.Name = v; return nil }},
	{"role", func(r *csvRow, v string) error { r.Role = v; return nil }},
	{"practice", func(r *csvRow, v string) error { r.Practice = v; return nil }},
	{"practice_name", func(r *csvRow, v string) error { r.practiceName = v; return nil }},
	{"locations", func(r *csvRow, v string) error { r.Locations = split(v); return nil }},
	{"locale", func(r *csvRow, v string) error { r.Locale = v; return nil }},
	{"npi", func(r *csvRow, v string) error { r.NPI = v; return nil }},
	{"password_hash", func(r *csvRow, v string) error { r.PasswordHash = v; return nil }},
	{"must_change", func(r *csvRow, v string) error {
		yes, err := truth(v)
		r.MustChange = yes != nil && *yes
		return err
	}},
}

// csvRow is a person of a line, and what it says of their practice.
type csvRow struct {
	importPerson
	practiceName string
}

func truth(v string) (*bool, error) {
	switch strings.ToLower(v) {
	case "":
		return nil, nil
	case "true":
		return new(true), nil
	case "false":
		return new(false), nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", v)
}

// split separates locations; what is blank is none.
func split(v string) (names []string) {
	for name := range strings.SplitSeq(v, ";") {
		if strings.TrimSpace(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

// readCSV reads RFC 4180.
func (f *importFile) readCSV(data []byte) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1 // counted here, to say which column is missing
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		f.sayCSV(err)
		return
	}
	columns, ok := f.header(header)
	if !ok {
		return
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.sayCSV(err) // what a quote holds is uncertain from here on
			return
		}
		line, _ := r.FieldPos(0)
		f.row(line, columns, record)
	}
	if len(f.in.People) == 0 && len(f.wrong) == 0 {
		f.say(1, "file", errors.New("has nobody in it"))
	}
}

func (f *importFile) sayCSV(err error) {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		f.say(e.Line, "line", fmt.Errorf("is not CSV: %w", e.Err))
		return
	}
	f.say(1, "file", err)
}

// header returns which of csvColumns each column is.
func (f *importFile) header(names []string) (columns []int, ok bool) {
	before := len(f.wrong)
	for _, name := range names {
		name = strings.TrimSpace(name)
		c := slices.IndexFunc(csvColumns, func(c struct {
			name string
			set  func(r *csvRow, v string) error
		}) bool {
			return c.name == name
		})
		switch {
		case c < 0:
			f.say(1, "header", fmt.Errorf("%q is no column: they are %s", name, columnNames()))
		case slices.Contains(columns, c):
			f.say(1, "header", fmt.Errorf("%q is there twice", name))
		}
		columns = append(columns, c)
	}
	if len(f.wrong) == before && !slices.ContainsFunc(columns, func(c int) bool { return csvColumns[c].name == "email" }) {
		f.say(1, "header", errors.New("email is missing"))
	}
	return columns, len(f.wrong) == before
}

func columnNames() string {
	names := make([]string, len(csvColumns))
	for i, c := range csvColumns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

func (f *importFile) row(line int, columns []int, record []string) {
	if len(record) != len(columns) {
		f.say(line, "line", fmt.Errorf("has %s, the header %d", plural(len(record), "field"), len(columns)))
		return
	}
	var r csvRow
	for i, c := range columns {
		f.say(line, csvColumns[c].name, csvColumns[c].set(&r, strings.TrimSpace(record[i])))
	}
	switch {
	case r.Practice != "" && clientID.MatchString(r.Practice):
		f.practiceOf(line, r)
	case r.Practice == "" && r.practiceName != "":
		f.say(line, "practice", errors.New("needs an ID beside its name"))
	}
	f.person(line, r.importPerson)
}

// practiceOf notes what a line says of its practice, even if the person in it is
// wrong: the next is not to blame. The name may be in any line.
func (f *importFile) practiceOf(line int, r csvRow) {
	say := func(field string, err error) { f.say(line, field, err) }
	normalise(&r.practiceName, "practice_name", say)
	id := account.PracticeID(r.Practice)
	at, known := f.practices[id]
	if !known {
		at = len(f.in.Practices)
		f.practices[id] = at
		f.in.Practices = append(f.in.Practices, store.NewPractice{Mark: line, ID: id, MayExist: true})
	}
	p := &f.in.Practices[at]
	switch {
	case p.Name == "" && r.practiceName != "":
		p.Name, p.Mark = r.practiceName, line
	case r.practiceName != "" && r.practiceName != p.Name:
		say("practice_name", fmt.Errorf("practice %s is called %q before", id, p.Name))
	}
	for _, name := range r.Locations {
		if name, err := account.NormalName(name); err == nil { // else it is told with the person
			p.Locations = append(p.Locations, store.NewLocation{Name: name})
		}
	}
}
