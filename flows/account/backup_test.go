package account_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
)

var shape = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}$`)

// ASVS 6.5.2 and NIST SP 800-63B-4 section 3.1.2.2: ten codes of 65 bits, which
// a seed gives again and another seed does not.
func TestBackupCodes(t *testing.T) {
	seed := []byte(strings.Repeat("s", 32))
	codes := account.MakeBackupCodes(seed)
	if len(codes) != account.BackupCodes || !slices.Equal(codes, account.MakeBackupCodes(seed)) {
		t.Fatalf("%q, then others", codes)
	}
	seen := map[string]bool{}
	for n := range 2000 {
		for _, c := range account.MakeBackupCodes([]byte{byte(n), byte(n >> 8)}) {
			if !shape.MatchString(c) || seen[c] {
				t.Fatalf("%q: of another shape, or twice", c)
			}
			seen[c] = true
		}
	}
	// Every symbol in every place: no bit is lost.
	for place := range 15 {
		at := map[byte]bool{}
		for c := range seen {
			at[c[place]] = true
		}
		if want := 32; len(at) != want && place != 4 && place != 9 {
			t.Errorf("place %d has %d symbols", place, len(at))
		}
	}
}

func TestBackupCodesAsTyped(t *testing.T) {
	for typed, want := range map[string]string{
		"4X7K-9QWM-2BTFZ": "4X7K9QWM2BTFZ", " 4x7k 9qwm 2btfz ": "4X7K9QWM2BTFZ", "4X7K9QWM2BTFZ": "4X7K9QWM2BTFZ",
		"oilO-0000-00000": "0110000000000", "４Ｘ７Ｋ９ＱＷＭ２ＢＴＦＺ": "4X7K9QWM2BTFZ",
		"4X7K-9QWM-2BTF": "", "4X7K-9QWM-2BTFZZ": "", "4U7K-9QWM-2BTFZ": "", "": "", "4X7K-9QWM-2BTF\x00": "",
	} {
		got, ok := account.NormalBackupCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
}

// What is kept of a set recognises each of its codes with one hash, and no
// other's; it holds none of them.
func TestBackupSet(t *testing.T) {
	h := &account.Hasher{}
	codes := account.MakeBackupCodes([]byte("one"))
	set, err := h.NewBackupSet(t.Context(), codes)
	if err != nil {
		t.Fatal(err)
	}
	other, err := h.NewBackupSet(t.Context(), codes)
	if err != nil || slices.Equal(set.Salt, other.Salt) || len(set.Unused) != account.BackupCodes {
		t.Fatalf("%d hashes, %v, or the same salt twice", len(set.Unused), err)
	}
	match := func(typed string) (found, used bool) {
		code, _ := account.NormalBackupCode(typed)
		before := h.Verified()
		hash, err := h.HashBackupCode(t.Context(), lease(t), set.Salt, code)
		if err != nil || h.Verified() != before+1 {
			t.Fatalf("%d judged, %v", h.Verified()-before, err)
		}
		return set.Match(hash)
	}
	for i, c := range codes {
		if found, used := match(strings.ToLower(c)); !found || used {
			t.Errorf("code %d: %v, %v", i, found, used)
		}
	}
	set.Used, set.Unused = set.Unused[:1], set.Unused[1:]
	if found, used := match(codes[0]); !found || !used {
		t.Errorf("a used one: %v, %v", found, used)
	}
	for _, c := range account.MakeBackupCodes([]byte("two"))[:2] {
		if found, _ := match(c); found {
			t.Errorf("a code of another set was found")
		}
	}
}
