package seal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func ring(t *testing.T) (*Ring, []byte) {
	t.Helper()
	r, json, err := NewRing()
	if err != nil {
		t.Fatal(err)
	}
	return r, json
}

func TestOpen(t *testing.T) {
	r, _ := ring(t)
	other, _ := ring(t)
	sealed := r.Seal([]byte("the link"), "mails", "data", "m1")
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name               string
		ring               *Ring
		sealed             []byte
		table, column, row string
		ok                 bool
	}{
		{"its own place", r, sealed, "mails", "data", "m1", true},
		{"another row", r, sealed, "mails", "data", "m2", false},
		{"another column", r, sealed, "mails", "recipient", "m1", false},
		{"another table", r, sealed, "secrets", "data", "m1", false},
		{"the same letters cut elsewhere", r, sealed, "mail", "sdata", "m1", false},
		{"one bit changed", r, flipped, "mails", "data", "m1", false},
		{"cut short", r, sealed[:8], "mails", "data", "m1", false},
		{"blanked", r, nil, "mails", "data", "m1", false},
		{"another ring", other, sealed, "mails", "data", "m1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, err := c.ring.Open(c.sealed, c.table, c.column, c.row)
			if c.ok != (err == nil) {
				t.Fatalf("err = %v", err)
			}
			if c.ok && string(plain) != "the link" {
				t.Errorf("plain = %q", plain)
			}
		})
	}
}

func TestRotateKeepsOldValuesReadable(t *testing.T) {
	first, json := ring(t)
	old := first.Seal([]byte("old"), "t", "c", "r")
	for i := range 3 {
		r, err := ParseRing(json)
		if err != nil {
			t.Fatal(err)
		}
		if json, err = r.Rotate(); err != nil {
			t.Fatal(err)
		}
		newest, err := ParseRing(json)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := newest.Open(old, "t", "c", "r"); err != nil || string(plain) != "old" {
			t.Fatalf("rotation %d: %q, %v", i, plain, err)
		}
		if _, err := first.Open(newest.Seal(nil, "t", "c", "r"), "t", "c", "r"); err == nil {
			t.Errorf("rotation %d: the old key still seals", i)
		}
	}
}

func TestSealedValuesDiffer(t *testing.T) {
	r, _ := ring(t)
	seen := map[string]bool{}
	for range 1000 {
		seen[string(r.Seal([]byte("same"), "t", "c", "r"))] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 differ", len(seen))
	}
}

func TestParseRingRefuses(t *testing.T) {
	_, json := ring(t)
	for name, text := range map[string]string{
		"nothing":      "",
		"no JSON":      "key: value",
		"no keys":      "{}",
		"half a ring":  string(json[:len(json)/2]),
		"another type": strings.Replace(string(json), "AesGcmKey", "HmacKey", 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRing([]byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			if len(text) > 10 && strings.Contains(err.Error(), text[:10]) {
				t.Errorf("quotes the ring: %v", err)
			}
		})
	}
}

func TestRingPrintsNoKey(t *testing.T) {
	r, json := ring(t)
	_, value, _ := strings.Cut(string(json), `"value":"`)
	value, _, _ = strings.Cut(strings.ReplaceAll(value, " ", ""), `"`)
	if s := fmt.Sprintf("%v %+v", r, r); value == "" || strings.Contains(s, value) {
		t.Errorf("printed %q", s)
	}
}
