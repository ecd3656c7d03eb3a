// Package seal encrypts what the database must not be able to read: signing
// keys, and the links inside mails that wait to be sent. Each sealed value is
// bound to its table, column and row, so that whoever can write the database
// cannot move one to another place. It never stores anything, and has no
// opinion where the key ring lives: that is the host's configuration.
//
// A ring holds one or more AES-256-GCM keys, the newest of which seals, while
// all of them open. Every replica needs the same ring.
package seal

import (
	"bytes"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Ring seals with its newest key and opens with any. It never changes, and is
// safe for concurrent use.
type Ring struct {
	keys *keyset.Handle
	aead tink.AEAD
}

// NewRing makes a ring of one random key, and its JSON for ParseRing. The JSON
// is the secret itself: it belongs in a file that only the server can read.
func NewRing() (*Ring, []byte, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	return export(h)
}

// ParseRing reads what NewRing or Rotate wrote. Its errors never quote it.
func ParseRing(json []byte) (*Ring, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(json)))
	if err != nil {
		return nil, fmt.Errorf("seal: this is no key ring (idp keys ring makes one)")
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("seal: the key ring holds a key that cannot seal")
	}
	return &Ring{keys: h, aead: a}, nil
}

// Rotate returns the JSON of this ring with a new newest key; the ring itself
// stays as it is. Give the result to every replica at about the same time: one
// that lacks the new key cannot open what another seals with it.
func (r *Ring) Rotate() ([]byte, error) {
	m := keyset.NewManagerFromHandle(r.keys)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	_, json, err := export(h)
	return json, err
}

// Seal encrypts a value for one place in the database. A nil value is sealed
// too: only the place itself says whether there is one.
func (r *Ring) Seal(plain []byte, table, column, row string) []byte {
	sealed, err := r.aead.Encrypt(plain, place(table, column, row))
	if err != nil {
		panic("seal: " + err.Error()) // only for a value of 64 GiB
	}
	return sealed
}

// Open decrypts what was sealed for the very same place, by any key of the
// ring. Anything else, one bit changed included, is an error.
func (r *Ring) Open(sealed []byte, table, column, row string) ([]byte, error) {
	plain, err := r.aead.Decrypt(sealed, place(table, column, row))
	if err != nil {
		return nil, fmt.Errorf("seal: %s.%s cannot be opened: another key ring, or a moved row", table, column)
	}
	return plain, nil
}

// place is what a value is bound to. Tables and columns hold no NUL, so no two
// places read alike.
func place(table, column, row string) []byte {
	return []byte(table + "\x00" + column + "\x00" + row)
}

func export(h *keyset.Handle) (*Ring, []byte, error) {
	a, err := aead.New(h)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	var json bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&json)); err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	return &Ring{keys: h, aead: a}, json.Bytes(), nil
}
