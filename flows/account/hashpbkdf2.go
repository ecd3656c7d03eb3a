package account

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
)

// pbkdf2Hash is the hash that PBKDF2 goes round with, and how often at most. A
// result longer than the hash's takes as many rounds again.
type pbkdf2Hash struct {
	new    func() hash.Hash
	rounds int
}

var (
	sha1PBKDF2   = pbkdf2Hash{sha1.New, 6_000_000}
	sha256PBKDF2 = pbkdf2Hash{sha256.New, 6_000_000}
	sha512PBKDF2 = pbkdf2Hash{sha512.New, 2_000_000}
)

// matcher is that of a salt and a result, if they do not ask for too much.
func (h pbkdf2Hash) matcher(iterations uint64, salt, result []byte) (matcher, error) {
	if err := longEnough(salt, result); err != nil {
		return nil, err
	}
	size := h.new().Size()
	blocks := (len(result) + size - 1) / size
	n, err := bounded(iterations, "iterations for a result of that length", h.rounds/blocks)
	if err != nil {
		return nil, err
	}
	return func(password []byte) bool {
		got, err := pbkdf2.Key(h.new, string(password), salt, n, len(result))
		return err == nil && subtle.ConstantTimeCompare(got, result) == 1
	}, nil
}

// pbkdf2With reads 29000$salt$result, as passlib writes it, and
// i=29000$salt$result with or without ,l=32 as others do.
func pbkdf2With(h pbkdf2Hash) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 3 {
			return nil, errHashShape
		}
		salt, result, err := saltAndResult(parts[1], parts[2])
		if err != nil {
			return nil, err
		}
		iterations, _, _ := strings.Cut(strings.TrimPrefix(parts[0], "i="), ",l=")
		n, err := number(iterations, "iterations", h.rounds)
		if err != nil {
			return nil, err
		}
		return h.matcher(uint64(n), salt, result)
	}
}

// djangoPBKDF2With reads 600000$salt$result, where the salt is the text itself.
func djangoPBKDF2With(h pbkdf2Hash) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 3 {
			return nil, errHashShape
		}
		result, err := unbase64(parts[2])
		if err != nil {
			return nil, err
		}
		n, err := number(parts[0], "iterations", h.rounds)
		if err != nil {
			return nil, err
		}
		return h.matcher(uint64(n), []byte(parts[1]), result)
	}
}

// aspNet reads what PasswordHasher of ASP.NET Core Identity writes as its
// version 3, in base64: a byte 1; hash, iterations and length of the salt in
// four bytes each; salt; result. What is left of it here lacks the first bytes.
func aspNet(rest string) (matcher, error) {
	b, err := base64.StdEncoding.DecodeString("AQAAAA" + rest)
	const head = 13
	if err != nil || len(b) < head {
		return nil, errHashShape
	}
	kinds := []pbkdf2Hash{sha1PBKDF2, sha256PBKDF2, sha512PBKDF2}
	kind, size := binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[9:])
	if int64(kind) >= int64(len(kinds)) || int64(size) > int64(len(b)-head) {
		return nil, errHashShape
	}
	salt, result := b[head:head+size], b[head+size:]
	return kinds[kind].matcher(uint64(binary.BigEndian.Uint32(b[5:])), salt, result)
}
