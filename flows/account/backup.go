package account

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Backup codes get a person in without their authenticator: 65 random bits
// each, where NIST SP 800-63B-4 section 3.1.2.2 wants 64. A new set is offered
// when few are left.
const (
	BackupCodes   = 10
	FewCodes      = 3
	backupSymbols = 13
)

// crockford is Crockford's base32: no letter that is taken for a digit.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// MakeBackupCodes returns the ten codes that a seed stands for, shown 4-4-5. A
// seed is 32 random bytes, or as good: the same one gives the same codes, so
// that a page can be shown again without the codes being kept anywhere.
func MakeBackupCodes(seed []byte) []string {
	symbols, err := hkdf.Key(sha256.New, seed, nil, "backup codes", BackupCodes*backupSymbols)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give
	}
	codes := make([]string, BackupCodes)
	for i := range codes {
		c := make([]byte, backupSymbols)
		for j := range c {
			c[j] = crockford[symbols[i*backupSymbols+j]&31]
		}
		codes[i] = string(c[:4]) + "-" + string(c[4:8]) + "-" + string(c[8:])
	}
	return codes
}

// NormalBackupCode is a backup code as typed: hyphens, case and letters that
// are taken for digits make no difference. It reports whether that can be one;
// what cannot is no attempt.
func NormalBackupCode(typed string) (code string, ok bool) {
	code = strings.Map(func(r rune) rune {
		switch r {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, strings.ToUpper(plain(typed)))
	return code, len(code) == backupSymbols && strings.Trim(code, crockford) == ""
}

// BackupSet is a set of codes as it is kept: one salt, so that an answer costs
// one hash, and the hash of each code.
type BackupSet struct {
	Salt   []byte
	Unused [][]byte
	Used   [][]byte
}

// Match reports whether a hash is that of a code of the set, and whether that
// was used before.
func (s BackupSet) Match(hash []byte) (found, used bool) {
	return among(hash, s.Unused) || among(hash, s.Used), among(hash, s.Used)
}

func among(hash []byte, all [][]byte) bool {
	n := 0
	for _, h := range all {
		n += subtle.ConstantTimeCompare(h, hash)
	}
	return n > 0
}

// HashBackupCode returns what is kept of a backup code, judged under a lease:
// argon2id like a password's, since 65 bits are fewer than the 112 that a plain
// hash would do for (NIST SP 800-63B-4 section 3.1.2.2).
func (h *Hasher) HashBackupCode(ctx context.Context, l Lease, salt []byte, code string) ([]byte, error) {
	if !l.Valid() {
		return nil, ErrNoLease
	}
	release, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer release("verify")
	h.verified.Add(1)
	return backupHash(salt, code), nil
}

// NewBackupSet hashes new codes, one slot at a time.
func (h *Hasher) NewBackupSet(ctx context.Context, codes []string) (*BackupSet, error) {
	s := &BackupSet{Salt: make([]byte, 32)}
	_, _ = rand.Read(s.Salt) // never fails (crypto/rand since Go 1.24)
	for _, c := range codes {
		release, err := h.begin(ctx)
		if err != nil {
			return nil, err
		}
		code, _ := NormalBackupCode(c)
		s.Unused = append(s.Unused, backupHash(s.Salt, code))
		release("hash")
	}
	return s, nil
}

func backupHash(salt []byte, code string) []byte {
	return argon2.IDKey([]byte(code), salt, argonPasses, argonMemory, argonLanes, 32)
}
