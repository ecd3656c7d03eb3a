package account

import (
	"strings"
	"unicode"
)

// isPersonal reports whether the password, in lower case, is little more than
// one of the words: what remains beside them is shorter than MinPasswordWith2
// letters, so the words carried the length.
func isPersonal(password string, words []string) bool {
	rest := password
	found := false
	for _, w := range words {
		for _, part := range strings.FieldsFunc(strings.ToLower(w), notWord) {
			if len([]rune(part)) < 4 || !strings.Contains(rest, part) {
				continue
			}
			rest, found = strings.ReplaceAll(rest, part, ""), true
		}
	}
	return found && len([]rune(rest)) < MinPasswordWith2
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isTrivial reports whether the password is one short piece over and over, or
// a run of neighbouring characters ("aaaa…", "abcabc…", "123456…").
func isTrivial(password string) bool {
	r := []rune(password)
	for n := 1; n <= 4 && n < len(r); n++ {
		if repeats(r, n) {
			return true
		}
	}
	return runs(r)
}

func repeats(r []rune, n int) bool {
	for i := n; i < len(r); i++ {
		if r[i] != r[i-n] {
			return false
		}
	}
	return true
}

func runs(r []rune) bool {
	up, down := true, true
	for i := 1; i < len(r); i++ {
		up = up && (r[i] == r[i-1]+1 || r[i] == '0' && r[i-1] == '9')
		down = down && (r[i] == r[i-1]-1 || r[i] == '9' && r[i-1] == '0')
	}
	return up || down
}
