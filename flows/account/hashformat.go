package account

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Why a password hash cannot be kept. The name of its format is all of the hash
// that an error repeats.
var (
	ErrHashFormat = errors.New("not a password hash of a format that is verified")
	errHashShape  = errors.New("is malformed")
	errHashShort  = errors.New("has a salt or a result that is too short")
)

// What a hash has at least and at most. A salt of 4 bytes is that of old LDAP
// servers, and NIST SP 800-63B-4 section 3.1.1.2's minimum.
const (
	minSalt   = 4
	minResult = 16
	maxResult = 256
	maxHash   = 1024 // bytes of the whole text
)

// matcher compares a password with the hash it was made of. How long it takes,
// and how much memory, was bounded when it was made.
type matcher func(password []byte) bool

// hashFormat is one way in which systems write a password hash down.
type hashFormat struct {
	prefix string
	name   string
	parse  func(rest string) (matcher, error) // what comes after the prefix
}

// hashFormats are those that are verified. New hashes are always argon2id: the
// others come with people from elsewhere, and last until their next right
// password.
func hashFormats() []hashFormat {
	return []hashFormat{
		{"$argon2id$", "argon2id", argon2With(argon2id)},
		{"$argon2i$", "argon2i", argon2With(argon2i)},
		{"argon2$argon2id$", "Django's argon2id", argon2With(argon2id)},

		{"$2a$", "bcrypt", bcryptWith(asTyped)},
		{"$2b$", "bcrypt", bcryptWith(asTyped)},
		{"$2y$", "bcrypt", bcryptWith(asTyped)},
		{"bcrypt$$2b$", "Django's bcrypt", bcryptWith(asTyped)},
		{"bcrypt_sha256$$2b$", "Django's bcrypt_sha256", bcryptWith(hexSHA256)},

		{"$pbkdf2$", "pbkdf2-sha1", pbkdf2With(sha1PBKDF2)},
		{"$pbkdf2-sha1$", "pbkdf2-sha1", pbkdf2With(sha1PBKDF2)},
		{"$pbkdf2-sha256$", "pbkdf2-sha256", pbkdf2With(sha256PBKDF2)},
		{"$pbkdf2-sha512$", "pbkdf2-sha512", pbkdf2With(sha512PBKDF2)},
		{"pbkdf2_sha1$", "Django's pbkdf2_sha1", djangoPBKDF2With(sha1PBKDF2)},
		{"pbkdf2_sha256$", "Django's pbkdf2_sha256", djangoPBKDF2With(sha256PBKDF2)},
		{"AQAAAA", "ASP.NET Identity v3", aspNet},

		{"$scrypt$", "scrypt", phcScrypt},
		{"scrypt$", "Django's scrypt", djangoScrypt},

		{"$5$", "sha256-crypt", shaCrypt("$5$")},
		{"$6$", "sha512-crypt", shaCrypt("$6$")},
		{"{SSHA}", "{SSHA}", saltedWith(sha1Salted)},
		{"{SSHA256}", "{SSHA256}", saltedWith(sha256Salted)},
		{"{SSHA512}", "{SSHA512}", saltedWith(sha512Salted)},
	}
}

// CheckHash reports why a password hash that another system made cannot be
// verified here, or nil: its format is unknown, it is malformed, or a sign-in
// with it would cost more than is safe. It computes nothing of the kind.
func CheckHash(encoded string) error {
	_, err := parseHash(encoded)
	return err
}

// parseHash reads a hash of any of the formats. OpenLDAP's {CRYPT} is what it
// holds.
func parseHash(encoded string) (matcher, error) {
	if len(encoded) > maxHash || strings.ContainsFunc(encoded, notPrintable) {
		return nil, ErrHashFormat
	}
	encoded = strings.TrimPrefix(encoded, "{CRYPT}")
	for _, f := range hashFormats() {
		rest, is := strings.CutPrefix(encoded, f.prefix)
		if !is {
			continue
		}
		m, err := f.parse(rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		return m, nil
	}
	return nil, ErrHashFormat
}

func notPrintable(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == 0x7f }

// saltAndResult decodes the two, in base64 as PHC strings, Django, passlib and
// Keycloak have it: with padding or without, and with "." for "+".
func saltAndResult(salt, result string) (s, r []byte, err error) {
	if s, err = unbase64(salt); err != nil {
		return nil, nil, err
	}
	if r, err = unbase64(result); err != nil {
		return nil, nil, err
	}
	return s, r, longEnough(s, r)
}

func unbase64(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(s, ".", "+"), "="))
	if err != nil {
		return nil, errHashShape
	}
	return b, nil
}

// longEnough refuses what is so short that many passwords are right, and what
// is so long that it costs more than it says.
func longEnough(salt, result []byte) error {
	if len(salt) < minSalt || len(result) < minResult {
		return errHashShort
	}
	if len(result) > maxResult {
		return errHashShape
	}
	return nil
}

// number reads a decimal number from 1 to limit; what says what it is, for the
// error.
func number(s, what string, limit int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, errHashShape
	}
	return bounded(n, what, limit) // what is out of range is as high as can be
}

func bounded(n uint64, what string, limit int) (int, error) {
	switch {
	case n == 0:
		return 0, errHashShape
	case n > uint64(limit):
		return 0, fmt.Errorf("%s over %d", what, limit)
	}
	return int(n), nil
}

// parameters reads "m=19456,t=2,p=1": those names, each once, in any order.
func parameters(s string, names ...string) (map[string]string, error) {
	fields := strings.Split(s, ",")
	found := make(map[string]string, len(names))
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		found[name] = value
	}
	for _, name := range names {
		if found[name] == "" {
			return nil, errHashShape
		}
	}
	if len(fields) != len(names) || len(found) != len(names) {
		return nil, errHashShape
	}
	return found, nil
}
