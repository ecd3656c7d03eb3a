package account

import (
	"slices"
	"strings"
	"testing"
)

func TestKnown(t *testing.T) {
	for _, tc := range []struct {
		name, password string
		want           bool
	}{
		{"on the list", "password", true},
		{"long and on the list", "qwerty123456789", true},
		{"year and punctuation after it", "password2026!!!", true},
		{"digits before it", "1234567sunshine", true},
		{"a run as long as itself after it", "password12345678", true},
		{"twice", "sunshinesunshine", true},
		{"twice with a hyphen", "sunshine-sunshine", true},
		{"three times with a year", "dragon26dragon26dragon26", true},
		{"on the keyboard", "qwertyuiop12345", true},
		{"Korean, typed", "비밀번호비밀번호비밀번호비밀번호", true},
		{"Korean, on an English keyboard", "dkssudgktpdy2026", true},
		{"Spanish", "contraseña123456", true},
		{"four words, as the comic has it", "correcthorsebatterystaple", true},

		{"a word and eleven digits of no order", "love84739201847", false},
		{"four words of one's own", "velvet otter parade nine", false},
		{"known words among others", "my dragon drinks cocoa", false},
		{"no letters, no order", "839-204-117-5526", false},
		{"Korean sentence", "우리집고양이는밤마다노래를불러요", false},
		{"empty", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Known(tc.password); got != tc.want {
				t.Errorf("Known(%q) = %v, want %v", tc.password, got, tc.want)
			}
		})
	}
}

func TestKnownListIsSortedAndRefused(t *testing.T) {
	list := knownList()
	if !slices.IsSorted(list) {
		t.Fatal("known.txt is not in byte order: the search needs that")
	}
	if len(list) < 10000 {
		t.Fatalf("the list has only %d entries", len(list))
	}
	for _, w := range list {
		if w != strings.ToLower(w) || strings.ContainsAny(w, " \r") {
			t.Errorf("entry %q is not in lower case or has spaces", w)
		}
		if !Known(w) {
			t.Errorf("entry %q is not refused", w)
		}
	}
}

func FuzzKnown(f *testing.F) {
	f.Add("password2026!!!")
	f.Add("é\xff\x00")
	f.Fuzz(func(t *testing.T, s string) {
		if Known(s) && s == "" {
			t.Fatal("an empty password is not known, it is absent")
		}
	})
}
