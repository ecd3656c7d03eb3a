package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// readJSON reads the document an element at a time, so that each is told by its
// line, and one that is wrong does not hide the next.
func (f *importFile) readJSON(data []byte) {
	d := &importDecoder{importFile: f, data: data, Decoder: json.NewDecoder(bytes.NewReader(data)), line: 1,
		practiceIDs: map[string]int{}, faulty: map[account.PracticeID]bool{}}
	if err := d.document(); err != nil {
		f.say(d.lineOf(err), "file", notJSON(err))
		return
	}
	f.in.People = slices.DeleteFunc(f.in.People, func(m store.NewMember) bool { return d.faulty[m.Practice] })
	if len(f.in.People)+len(f.in.Practices) == 0 && len(f.wrong) == 0 {
		f.say(1, "file", errors.New("has nobody in it"))
	}
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is not JSON: it ends too early")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("is not JSON: %w", e)
	}
	return err
}

type importDecoder struct {
	*importFile
	*json.Decoder
	data   []byte
	line   int // of offset
	offset int

	practiceIDs map[string]int              // where each was first
	faulty      map[account.PracticeID]bool // told already: their people are not to blame
}

// lineTo is the line of an offset at or after the last.
func (d *importDecoder) lineTo(offset int) int {
	d.line += bytes.Count(d.data[d.offset:offset], []byte("\n"))
	d.offset = offset
	return d.line
}

// lineOf is where reading stopped.
func (d *importDecoder) lineOf(err error) int {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return lineAt(d.data, len(bytes.TrimSpace(d.data)))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return lineAt(d.data, int(e.Offset))
	}
	return lineAt(d.data, int(d.InputOffset()))
}

// document reads {"practices": […], "people": […]} and nothing after it.
func (d *importDecoder) document() error {
	if err := d.expect('{', "an object of practices and people"); err != nil {
		return err
	}
	for seen := map[string]bool{}; d.More(); {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name := key.(string) // a key is one, or Token fails
		if seen[name] {
			return fmt.Errorf("%q is there twice", name)
		}
		seen[name] = true
		switch name {
		case "practices":
			err = d.elements(name, d.practice)
		case "people":
			err = d.elements(name, d.member)
		default:
			err = fmt.Errorf("%q is neither practices nor people", name)
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("goes on after its end")
	}
	return nil
}

func (d *importDecoder) expect(delim json.Delim, what string) error {
	got, err := d.Token()
	if err == nil && got != delim {
		err = fmt.Errorf("is not %s", what)
	}
	return err
}

func (d *importDecoder) elements(name string, take func(line int, element []byte)) error {
	if err := d.expect('[', "a list of "+name); err != nil {
		return err
	}
	for d.More() {
		var element json.RawMessage
		if err := d.Decode(&element); err != nil {
			return err
		}
		take(d.lineTo(int(d.InputOffset())-len(element)), element)
	}
	return d.expect(']', "a list of "+name)
}

func (d *importDecoder) member(line int, element []byte) {
	var p importPerson
	if d.strict(line, element, &p) {
		d.person(line, p)
	}
}

func (d *importDecoder) practice(line int, element []byte) {
	var p importPractice
	if !d.strict(line, element, &p) {
		return
	}
	say := func(field string, err error) { d.say(line, field, err) }
	before := len(d.wrong)
	id := account.PracticeID(p.ID)
	if !clientID.MatchString(p.ID) {
		say("id", errID)
	}
	d.first(d.practiceIDs, line, "id", p.ID)
	if p.Name == "" {
		say("name", errors.New("is missing"))
	}
	normalise(&p.Name, "name", say)
	n := store.NewPractice{Mark: line, ID: id, Name: p.Name, RequireSecond: p.Require2}
	n.Locations = newLocations(p.Locations, say)
	if d.faulty[id] = len(d.wrong) > before; !d.faulty[id] {
		d.in.Practices = append(d.in.Practices, n)
	}
}

// newLocations are the places to add; say is told what is wrong with them.
func newLocations(all []importLocation, say func(field string, err error)) (places []store.NewLocation) {
	seen := map[string]bool{}
	for _, l := range all {
		if l.Name == "" {
			say("locations", errors.New("one has no name"))
			continue
		}
		normalise(&l.Name, "locations", say)
		key := account.Normalise(l.Name)
		switch {
		case l.ID != "" && !clientID.MatchString(l.ID):
			say("locations", fmt.Errorf("an ID %w", errID))
		case seen[key] && key != "":
			say("locations", fmt.Errorf("%q is there twice", l.Name))
		}
		seen[key] = true
		places = append(places, store.NewLocation(l))
	}
	return places
}

// strict decodes one element; a name that means nothing is wrong, for what it
// was to say would be lost.
func (d *importDecoder) strict(line int, element []byte, v any) bool {
	dec := json.NewDecoder(bytes.NewReader(element))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return true
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		or(&field, "element")
		d.say(line, field, fmt.Errorf("cannot be of type %s", e.Value))
		return false
	}
	if name, is := strings.CutPrefix(err.Error(), "json: unknown field "); is {
		d.say(line, "element", fmt.Errorf("%s is no field of it", name)) // in quotes
		return false
	}
	d.say(line, "element", notJSON(err))
	return false
}
