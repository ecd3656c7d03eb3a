package seal

import (
	"bytes"
	"testing"
)

// A key ring is read or refused, and one that was read seals, opens, and can be
// handed on. Its errors never quote it.
func FuzzParseRing(f *testing.F) {
	_, good, err := NewRing()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, s := range []string{"", "{}", "null", "[]", `{"primaryKeyId":1}`, `{"primaryKeyId":1,"key":[{}]}`,
		`{"primaryKeyId":1,"key":[{"keyId":1,"status":"ENABLED","outputPrefixType":"TINK","keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","keyMaterialType":"SYMMETRIC","value":"GhA="}}]}`,
		`{"primaryKeyId":1,"key":[{"keyId":1,"status":"ENABLED","outputPrefixType":"RAW","keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.HmacKey","keyMaterialType":"SYMMETRIC","value":""}}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, json []byte) {
		r, err := ParseRing(json)
		if err != nil {
			if len(json) > 24 && bytes.Contains([]byte(err.Error()), json[8:24]) {
				t.Errorf("the error quotes the ring: %v", err)
			}
			return
		}
		sealed := r.Seal([]byte("the link"), "mails", "data", "m1")
		if plain, err := r.Open(sealed, "mails", "data", "m1"); err != nil || string(plain) != "the link" {
			t.Fatalf("%q does not open what it seals: %v", json, err)
		}
		next, err := r.Rotate()
		if err != nil {
			return // such as one whose key ids are used up
		}
		rotated, err := ParseRing(next)
		if err != nil {
			t.Fatalf("rotated, %q cannot be read: %v", json, err)
		}
		if plain, err := rotated.Open(sealed, "mails", "data", "m1"); err != nil || string(plain) != "the link" {
			t.Errorf("rotated, %q does not open what it sealed: %v", json, err)
		}
	})
}

// What was not sealed by us for the very place does not open; what was, does,
// byte for byte.
func FuzzOpen(f *testing.F) {
	r, _, err := NewRing()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Seal([]byte("the link"), "mails", "data", "m1"), "mails", "data", "m1")
	f.Add([]byte{}, "", "", "")
	f.Add([]byte("\x01\x00\x00\x00\x00"), "mails", "data", "m1\x00x")
	f.Fuzz(func(t *testing.T, b []byte, table, column, row string) {
		if plain, err := r.Open(b, table, column, row); err == nil && string(plain) != "the link" {
			t.Errorf("%x opened as %q", b, plain)
		}
		sealed := r.Seal(b, table, column, row)
		if plain, err := r.Open(sealed, table, column, row); err != nil || !bytes.Equal(plain, b) {
			t.Fatalf("%x came back as %x, %v", b, plain, err)
		}
		if _, err := r.Open(sealed, table, column, row+"1"); err == nil {
			t.Error("and it opens in another row")
		}
		sealed[len(sealed)/2] ^= 0x10
		if _, err := r.Open(sealed, table, column, row); err == nil {
			t.Error("and it opens with a bit changed")
		}
	})
}
