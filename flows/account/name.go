package account

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxName is how many code points the name of a person or a place has at most.
const MaxName = 100

// Why a name is not taken.
var (
	ErrNoName   = errors.New("account: a name is missing")
	ErrLongName = errors.New("account: the name is too long")
	ErrBadName  = errors.New("account: the name holds characters that nobody can see")
)

// NormalName returns a name as it is kept: NFC, without space around it or more
// than one within. Characters that break lines, turn text around or are not
// seen are refused: a name is shown to others, in pages, mails and lists.
func NormalName(typed string) (string, error) {
	if !utf8.ValidString(typed) {
		return "", ErrBadName
	}
	name := strings.Join(strings.Fields(norm.NFC.String(typed)), " ")
	switch {
	case name == "":
		return "", ErrNoName
	case utf8.RuneCountInString(name) > MaxName:
		return "", ErrLongName
	case !Plain(name):
		return "", ErrBadName
	}
	return name, nil
}

// Plain reports whether a text holds no character that nobody can see.
func Plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unseen)
}

// unseen reports whether a character has no look of its own. Joiners have: they
// shape the letters of some scripts (Unicode TR 31 section 2.3).
func unseen(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != joiner && r != nonJoiner &&
		(unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || r == utf8.RuneError)
}

// Folded is a text as people compare names: without case and accents.
func Folded(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(text)))
}

// SameName reports whether two names can be one person's: the same words, in
// whatever order, case and accents; or one has all of the other's, at least two,
// and more, such as a middle name.
func SameName(a, b string) bool {
	x, y := nameWords(a), nameWords(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	missing := func(w string) bool { return !slices.Contains(y, w) }
	return len(x) > 0 && (len(x) > 1 || len(y) == 1) && !slices.ContainsFunc(x, missing)
}

func nameWords(name string) []string {
	w := strings.FieldsFunc(Folded(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	slices.Sort(w)
	return slices.Compact(w)
}
