package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// importFile is a file of practices and people, as far as it was right, and
// what was wrong with the rest.
type importFile struct {
	name  string
	in    store.Import // marks are lines
	wrong []located

	names     map[string]int // of people: where each was first; their addresses, too
	ids       map[string]int
	practices map[account.PracticeID]int // of a CSV file: where in in.Practices
}

// located is what is wrong in a line of a file.
type located struct {
	line int
	problem
}

func newImportFile(name string) *importFile {
	if name == "-" {
		name = "stdin"
	}
	return &importFile{name: name, names: map[string]int{}, ids: map[string]int{}, practices: map[account.PracticeID]int{}}
}

func (f *importFile) say(line int, field string, err error) {
	if err != nil {
		f.wrong = append(f.wrong, located{line, problem{field, err}})
	}
}

// tell names what is wrong, by line.
func (f *importFile) tell(w io.Writer) {
	slices.SortStableFunc(f.wrong, func(a, b located) int { return cmp.Compare(a.line, b.line) })
	for i, p := range f.wrong {
		if i == maxImportProblems {
			fmt.Fprintf(w, "%s: and %d more\n", f.name, len(f.wrong)-i)
			return
		}
		fmt.Fprintf(w, "%s:%d: %s: %s\n", f.name, p.line, p.field, p.err)
	}
}

// readable refuses a file that is no text.
func (f *importFile) readable(data []byte) bool {
	if len(bytes.TrimSpace(data)) == 0 {
		f.say(1, "file", errors.New("is empty"))
		return false
	}
	if utf8.Valid(data) {
		return true
	}
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	f.say(lineAt(data, at), "file", errors.New("is not UTF-8: save it as that"))
	return false
}

// lineAt is the line of an offset, the first being 1.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

// person takes in somebody who is in a line of the file, if all is right with
// them.
func (f *importFile) person(line int, p importPerson) {
	if len(f.in.People) == maxImportPeople {
		f.say(line, "file", fmt.Errorf("has more than %d people: split it", maxImportPeople))
		return
	}
	before := len(f.wrong)
	m := p.member(func(field string, err error) { f.say(line, field, err) })
	m.Mark = line
	f.first(f.ids, line, "id", string(m.ID))
	email, username := account.Normalise(m.Email), account.Normalise(m.Username)
	f.first(f.names, line, "email", email)
	if username != email {
		f.first(f.names, line, "username", username)
	}
	if len(f.wrong) == before {
		f.in.People = append(f.in.People, m)
	}
}

// first notes where a name is, and refuses it if it was there before.
func (f *importFile) first(seen map[string]int, line int, field, key string) {
	if key == "" {
		return
	}
	if at, was := seen[key]; was {
		f.say(line, field, fmt.Errorf("is on line %d already", at))
		return
	}
	seen[key] = line
}
