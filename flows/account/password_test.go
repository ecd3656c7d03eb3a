package account_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/medximity/idp/flows/account"
)

func TestPasswordRules(t *testing.T) {
	rules := account.PasswordRules{Known: func(s string) bool { return s == "iloveyouforever" }}
	own := []string{"medximity", "grace.hopper@riverside.example", "Grace Hopper", "Riverside Family Practice"}
	for _, tt := range []struct {
		name, password string
		want           error
	}{
		{"fifteen characters", "violet kettle 9", nil},
		{"fourteen", "violet kettle ", account.ErrTooShort},
		{"fifteen Korean characters", "바다와 산과 들 그리고 커피한잔", nil},
		{"two hundred and fifty-six", strings.Repeat("ab7 ", 63) + "zxcv", nil},
		{"one more", strings.Repeat("ab7 ", 64) + "z", account.ErrTooLong},
		{"a known one, whatever its case", "ILoveYouForever", account.ErrCommon},
		{"one letter over and over", strings.Repeat("a", 20), account.ErrCommon},
		{"a short piece over and over", "abcabcabcabcabcabc", account.ErrCommon},
		{"a run", "abcdefghijklmnopqrs", account.ErrCommon},
		{"digits in a row", "01234567890123456", account.ErrCommon},
		{"the product and a year", "Medximity2026!!", account.ErrPersonal},
		{"the person's own name", "GraceHopper12345", account.ErrPersonal},
		{"the practice's", "riversidefamily1", account.ErrPersonal},
		{"one's name in a long sentence", "grace walked nine miles to school", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := rules.Judge([]byte(tt.password), own...); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// There are no composition rules: whatever is long enough, and neither known
// nor one's own nor a pattern, is taken (NIST SP 800-63B-4 section 3.1.1.2).
func TestNoCompositionRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringN(15, 256, -1).Filter(utf8.ValidString).Draw(t, "password")
		if err := (account.PasswordRules{}).Judge([]byte(p)); err != nil && !errors.Is(err, account.ErrCommon) {
			t.Errorf("%q: %v", p, err)
		}
	})
}

func TestNormalPassword(t *testing.T) {
	one, err1 := account.NormalPassword("caf\u00e9 on the corner")
	two, err2 := account.NormalPassword("cafe\u0301 on the corner")
	if err1 != nil || err2 != nil || string(one) != string(two) {
		t.Errorf("%q %v, %q %v: one password typed on two keyboards", one, err1, two, err2)
	}
	for name, p := range map[string]string{
		"1,025 bytes": strings.Repeat("a", 1025), "invalid UTF-8": "\xff\xfe", "NUL": "a\x00b",
	} {
		if _, err := account.NormalPassword(p); err == nil {
			t.Errorf("%s was taken for a password", name)
		}
	}
	if p, err := account.NormalPassword(" spaces count "); err != nil || string(p) != " spaces count " {
		t.Errorf("%q %v", p, err)
	}
}

// All spellings of one identifier are one, so they share one counter.
func TestNormalise(t *testing.T) {
	for _, typed := range []string{
		"grace@riverside.example", "  grace@riverside.example ", "Grace@Riverside.Example",
		"GRACE@RIVERSIDE.EXAMPLE\t", "ｇｒａｃｅ＠ｒｉｖｅｒｓｉｄｅ．ｅｘａｍｐｌｅ", "\u3000grace@riverside.example",
	} {
		if got := account.Normalise(typed); got != "grace@riverside.example" {
			t.Errorf("Normalise(%q) = %q", typed, got)
		}
	}
}
