package account

import (
	_ "embed" // the list
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// knownText is the blocklist, sorted, one password a line; lines with # say
// where it comes from and under which licence.
//
//go:embed known.txt
var knownText string

var knownList = sync.OnceValue(func() []string {
	list := strings.Split(strings.TrimSpace(knownText), "\n")
	return slices.DeleteFunc(list, func(s string) bool { return strings.HasPrefix(s, "#") })
})

// Known reports whether a password, in lower case, is a widely known one, or
// one in disguise: repeated, or with so little before and after it that the
// known part carries the length ("password", "Password2026!!",
// "sunshine-sunshine", "123qwertyuiop!!"). It never leaves the machine.
func Known(lower string) bool {
	if inList(lower) {
		return true
	}
	for n := range len(lower) {
		if piece, ok := repeated(lower, n); ok && disguised(piece) {
			return true
		}
	}
	return disguised(lower)
}

// repeated returns the first n bytes if the whole is nothing but them, again
// and again; the last time may be cut short.
func repeated(s string, n int) (string, bool) {
	if n == 0 || !utf8.RuneStart(s[n]) {
		return "", false
	}
	return s[:n], s[n:] == s[:len(s)-n]
}

// disguised reports whether the word inside is a known password and what
// stands around it adds nothing: fewer characters than a password has where a
// second factor is asked for, or a mere run such as 12345678.
func disguised(s string) bool {
	core := strings.TrimFunc(s, notLetter)
	if !inList(core) {
		// What ends in digits may be known with them: "abcd1234!!".
		core = strings.TrimFunc(s, notWord)
		if !inList(core) {
			return false
		}
	}
	around := []rune(strings.Replace(s, core, "", 1))
	return len(around) < MinPasswordWith2 || isTrivial(string(around))
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

func inList(s string) bool {
	_, found := slices.BinarySearch(knownList(), s)
	return found
}
