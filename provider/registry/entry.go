package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Entry is what the registry has of a provider.
type Entry struct {
	Person       bool   // else an organization, or deactivated and nothing else known
	Name         string // of a person: first and last
	Organization string // the legal business name of one
	Active       bool
}

// date is how the file writes days.
const date = "01/02/2006"

// active reads when an NPI was deactivated and reactivated, "" for never.
func active(deactivated, reactivated string) (bool, error) {
	off, err := day(deactivatedColumn, deactivated)
	if err != nil {
		return false, err
	}
	on, err := day(reactivatedColumn, reactivated)
	return off.IsZero() || !on.Before(off), err
}

func day(column int, s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	if t, err = time.Parse(date, s); err != nil {
		return t, fmt.Errorf("the %s is %q, not a day such as 12/31/2026", names[column], s)
	}
	return t, nil
}

// tidy is a name on one line.
func tidy(name string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(name, "\ufffd")), " ")
}

// Names reports whether a full name that somebody gives may be the registered
// one. Of a person all words of the first and last name have to be in it, in any
// order, and others may be: middle names, titles. An organization's is the same
// but for case, accents and punctuation. Nobody is named by what has no name.
func (e Entry) Names(full string) bool {
	given := words(full)
	if !e.Person {
		of := words(e.Organization)
		return len(of) > 0 && slices.Equal(of, given)
	}
	of := words(e.Name)
	for _, word := range of {
		i := slices.Index(given, word)
		if i < 0 {
			return false
		}
		given = slices.Delete(given, i, i+1) // Thomas Thomas is not every Thomas
	}
	return len(of) > 0
}

// plain are the letters that are no letter with an accent in Unicode, and that
// the registry, whose letters are ASCII, writes like this.
var plain = strings.NewReplacer("æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i")

// fold ends differences of case. Lower case alone leaves two small sigmas, and
// folding alone leaves Cherokee as it is.
func fold(name string) string {
	return cases.Fold().String(strings.ToLower(norm.NFKD.String(name)))
}

// words are those of a name without case, accents and punctuation. An apostrophe
// parts no words, but a hyphen does.
func words(name string) []string {
	var b strings.Builder
	for _, r := range fold(name) {
		switch {
		case unicode.In(r, unicode.Mn), strings.ContainsRune("'’‘`ʼʻ", r):
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.In(r, unicode.Mc):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(plain.Replace(b.String()))
}
