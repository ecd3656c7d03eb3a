// Package passkeytest is an authenticator and a browser for tests, which say what
// they are told to: right answers, and each in one way wrong (WebAuthn Level 3
// sections 6 and 7). It knows nothing of the code that it tries.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

// Flags of authenticator data (section 6.1).
const (
	Present    byte = 1 << 0 // somebody touched it
	Verified   byte = 1 << 2 // it knew them by a PIN or a finger
	Eligible   byte = 1 << 3 // the passkey may leave it
	BackedUp   byte = 1 << 4 // and has
	Attested   byte = 1 << 6 // a credential follows
	Extensions byte = 1 << 7 // extensions follow
)

// Key is an authenticator with one passkey on it.
type Key struct {
	ID     []byte
	Handle []byte // of whom it is, once it was told
	Count  uint32 // goes up with each use
	Flags  byte
	Party  string
	Origin string
	Signer *ecdsa.PrivateKey
}

// New returns one that knows its person, for a page of the domain.
func New(domain string) *Key {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	return &Key{ID: id, Flags: Present | Verified, Party: domain, Origin: "https://" + domain, Signer: signer}
}

// Says is all that an answer is made of, before it is signed.
type Says struct {
	Client      map[string]any // the browser's
	ID          []byte
	Outer       []byte // the ID that the browser puts beside it; nil: the same
	Handle      []byte
	Party       string
	Flags       byte
	Count       uint32
	Algorithm   int64 // of a new one, as COSE names it
	Attestation []byte
	Tail        []byte            // after the authenticator data
	Signer      *ecdsa.PrivateKey // nil: a signature of zeros
	Spoil       func(signature []byte)
}

// says is what the key says to a challenge, with a lie if there is one.
func (k *Key) says(kind string, challenge []byte, lie func(*Says)) Says {
	s := Says{Client: map[string]any{"type": kind, "challenge": text(challenge), "origin": k.Origin, "crossOrigin": false},
		ID: k.ID, Handle: k.Handle, Party: k.Party, Flags: k.Flags, Count: k.Count, Algorithm: -7, Signer: k.Signer}
	if lie != nil {
		lie(&s)
	}
	return s
}

// Make answers a request to make a passkey, without attestation.
func (k *Key) Make(challenge []byte, lie func(*Says)) string {
	s := k.says("webauthn.create", challenge, lie)
	if s.Attestation == nil {
		s.Attestation = Attestation(append(s.data(Attested), s.credential()...))
	}
	return s.answer(map[string]any{"clientDataJSON": text(s.client()), "attestationObject": text(s.Attestation)})
}

// Use answers a request to use it.
func (k *Key) Use(challenge []byte, lie func(*Says)) string {
	k.Count++
	s := k.says("webauthn.get", challenge, lie)
	data, client := append(s.data(0), s.Tail...), s.client()
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature := make([]byte, 70)
	if s.Signer != nil {
		var err error
		if signature, err = ecdsa.SignASN1(rand.Reader, s.Signer, digest[:]); err != nil {
			panic(err) // no randomness
		}
	}
	if s.Spoil != nil {
		s.Spoil(signature)
	}
	said := map[string]any{"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature)}
	if len(s.Handle) > 0 {
		said["userHandle"] = text(s.Handle)
	}
	return s.answer(said)
}

func (s Says) answer(response map[string]any) string {
	id := s.ID
	if s.Outer != nil {
		id = s.Outer
	}
	b, err := json.Marshal(map[string]any{"id": text(id), "rawId": text(id), "type": "public-key", "response": response})
	if err != nil {
		panic(err) // a map of strings
	}
	return string(b)
}

func (s Says) client() []byte {
	b, err := json.Marshal(s.Client)
	if err != nil {
		panic(err) // a map of strings
	}
	return b
}

// data is the authenticator data (section 6.1).
func (s Says) data(more byte) []byte {
	party := sha256.Sum256([]byte(s.Party))
	return binary.BigEndian.AppendUint32(append(party[:], s.Flags|more), s.Count)
}

// credential is the attested credential data of the key (section 6.5.1), its public
// half as in RFC 9053 section 7.1.
func (s Says) credential() []byte {
	b := make([]byte, 16, 256) // no model
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.ID)))
	b = append(b, s.ID...)
	b = append(b, 0xa5, 0x01, 0x02, 0x03)
	b = append(b, number(s.Algorithm)...)
	point, err := s.Signer.PublicKey.Bytes()
	if err != nil {
		panic(err) // a key that was generated
	}
	b = append(append(b, 0x20, 0x01, 0x21, 0x58, 32), point[1:33]...)
	return append(append(b, 0x22, 0x58, 32), point[33:]...)
}

// number is a negative integer in CBOR.
func number(n int64) []byte {
	if n >= -24 {
		return []byte{0x20 | byte(-1-n)}
	}
	return binary.BigEndian.AppendUint16([]byte{0x39}, uint16(-1-n))
}

// Attestation is the object around authenticator data that attests nothing
// (section 8.7).
func Attestation(data []byte) []byte {
	b := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59")
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
