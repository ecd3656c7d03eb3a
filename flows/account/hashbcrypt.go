package account

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxBcryptCost  = 14 // doubles with each
	maxBcryptInput = 72 // bcrypt reads no further
	bcryptResult   = 53 // characters of salt and result
)

// bcryptWith reads 12$…, of which before makes what was hashed. Django hashes
// the hexadecimal SHA-256 of a password, so that none is too long.
//
// A password of more bytes than bcrypt reads is not verified by its beginning
// (NIST SP 800-63B-4 section 3.1.1.2: a verifier does not truncate): whoever has
// one chooses another by Forgot Password?.
func bcryptWith(before func([]byte) []byte) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		cost, tail, _ := strings.Cut(rest, "$")
		if len(cost) != 2 || len(tail) != bcryptResult {
			return nil, errHashShape
		}
		if _, err := number(strings.TrimPrefix(cost, "0"), "a cost", maxBcryptCost); err != nil {
			return nil, err
		}
		hash := []byte("$2b$" + rest)
		if _, err := bcrypt.Cost(hash); err != nil || strings.Trim(tail, bcryptAlphabet) != "" {
			return nil, errHashShape
		}
		return func(password []byte) bool {
			input := before(password)
			whole := len(input) <= maxBcryptInput
			return bcrypt.CompareHashAndPassword(hash, input[:min(len(input), maxBcryptInput)]) == nil && whole
		}, nil
	}
}

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func asTyped(password []byte) []byte { return password }

func hexSHA256(password []byte) []byte {
	sum := sha256.Sum256(password)
	return hex.AppendEncode(nil, sum[:])
}
