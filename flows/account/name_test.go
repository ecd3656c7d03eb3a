package account

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalName(t *testing.T) {
	for typed, want := range map[string]string{
		"Grace Okafor":           "Grace Okafor",
		"  Grace\t Okafor\r\n":   "Grace Okafor",
		"Rene\u0301e":            "Ren\u00e9e",
		"김민준":                    "김민준",
		"O'Neil-Śmith, Jr.":      "O'Neil-Śmith, Jr.",
		"<b>=1+1":                "<b>=1+1", // harmless where it is shown, not here
		"می\u200cخواهم":          "می\u200cخواهم",
		strings.Repeat("é", 100): strings.Repeat("é", 100),
	} {
		if got, err := NormalName(typed); got != want || err != nil {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]error{
		"":                       ErrNoName,
		" \t\u2028":              ErrNoName,
		strings.Repeat("x", 101): ErrLongName,
		"a\u202eb":               ErrBadName, // turns text around
		"a\u200bb":               ErrBadName, // nobody sees it
		"a\x00b":                 ErrBadName,
		"a\x1b[31mb":             ErrBadName,
		"\ue000":                 ErrBadName,
		"\xff":                   ErrBadName,
	} {
		if got, err := NormalName(typed); !errors.Is(err, want) || got != "" {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}

func FuzzNormalName(f *testing.F) {
	f.Add("Grace  Okafor")
	f.Add("a\u202eb")
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := NormalName(typed)
		if err != nil {
			return
		}
		if again, err := NormalName(name); again != name || err != nil {
			t.Errorf("%q became %q, and that %q, %v", typed, name, again, err)
		}
	})
}

func TestSameName(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"Grace Okafor", "grace OKAFOR", true},
		{"Okafor, Grace", "Grace Okafor", true},
		{"Grace Okafor", "Grace Adaeze Okafor", true},
		{"José Núñez", "Jose Nunez", true},
		{"Grace Okafor", "Grace Park", false},
		{"Grace", "Grace Okafor", false}, // one word fits too many
		{"Grace", "grace", true},
		{"Grace Grace", "Grace Okafor", false}, // so does one that is said twice
		{"", "", false},
		{"Grace Okafor", "", false},
		{"---", "---", false},
		{"박민준", "박민준", true},
	} {
		if got := SameName(tt.a, tt.b); got != tt.same {
			t.Errorf("%q and %q: %v", tt.a, tt.b, got)
		}
		if got := SameName(tt.b, tt.a); got != tt.same {
			t.Errorf("%q and %q: %v", tt.b, tt.a, got)
		}
	}
}
