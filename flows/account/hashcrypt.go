package account

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// What one crypt(3) hash may cost. Each round reads the password again, so what
// is longer than maxCryptInput is not verified: nothing that long was ever typed
// at such a system.
const (
	minCryptRounds = 1000
	maxCryptRounds = 800_000
	maxCryptInput  = 256
	maxCryptSalt   = 16
)

// shaCrypt reads rounds=5000$salt$result, or salt$result, as crypt(3) writes
// it. The library does the rounds; what they cost is judged here.
func shaCrypt(prefix string) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		salted := rest
		if after, is := strings.CutPrefix(rest, "rounds="); is {
			rounds, tail, _ := strings.Cut(after, "$")
			n, err := number(rounds, "rounds", maxCryptRounds)
			if err != nil {
				return nil, err
			}
			if salted = tail; n < minCryptRounds {
				return nil, errHashShape
			}
		}
		salt, result, found := strings.Cut(salted, "$")
		size := map[string]int{"$5$": 43, "$6$": 86}[prefix]
		if !found || len(result) != size || len(salt) > maxCryptSalt || strings.Trim(result, bcryptAlphabet) != "" {
			return nil, errHashShape
		}
		if len(salt) < minSalt {
			return nil, errHashShort
		}
		digest, err := shacrypt.Decode(prefix + rest)
		if err != nil {
			return nil, errHashShape
		}
		return cryptMatcher(digest), nil
	}
}

func cryptMatcher(digest algorithm.Digest) matcher {
	return func(password []byte) bool {
		right := digest.MatchBytes(password[:min(len(password), maxCryptInput)])
		return right && len(password) <= maxCryptInput
	}
}

// salted is the hash of a password with its salt behind it.
type salted struct {
	new func() hash.Hash
}

var (
	sha1Salted   = salted{sha1.New}
	sha256Salted = salted{sha256.New}
	sha512Salted = salted{sha512.New}
)

// saltedWith reads what LDAP servers keep: base64 of the result, and then the
// salt. It is so quick that nothing of it is to be bounded; and so weak that it
// is good for nothing but one more sign-in.
func saltedWith(h salted) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		b, err := unbase64(rest)
		if err != nil {
			return nil, err
		}
		size := h.new().Size()
		if len(b) < size {
			return nil, errHashShort
		}
		result, salt := b[:size], b[size:]
		if err := longEnough(salt, result); err != nil {
			return nil, err
		}
		return func(password []byte) bool {
			sum := h.new()
			sum.Write(password)
			sum.Write(salt)
			return subtle.ConstantTimeCompare(sum.Sum(nil), result) == 1
		}, nil
	}
}
