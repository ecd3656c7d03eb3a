package account

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of a password, in Unicode code points after NFC (NIST SP 800-63B-4
// section 3.1.1.2: at least 15 where it is the only factor, 8 where a second
// one is always asked for).
const (
	MinPassword      = 15
	MinPasswordWith2 = 8
	MaxPassword      = 256
	MaxPasswordBytes = 1024 // more is refused unread: it is no password
)

// Why a new password is refused. The page names the reason.
var (
	ErrTooShort = errors.New("password is too short")
	ErrTooLong  = errors.New("password is too long")
	ErrCommon   = errors.New("password is in a list of known passwords")
	ErrPersonal = errors.New("password contains the person's, the practice's or the product's name")
	ErrNotText  = errors.New("password is not text")
)

// Normalise puts an identifier, as typed, into the one form in which it is
// looked up, counted and limited: NFKC, lower case, without surrounding
// space. All spellings of one identifier share one counter. What it returns it
// leaves as it is: lower case may be composed once more.
func Normalise(identifier string) string {
	lower := strings.ToLower(norm.NFKC.String(identifier))
	return strings.TrimSpace(norm.NFKC.String(lower))
}

// NormalPassword returns the password's NFC bytes, so that one character typed
// on two keyboards is one password (NIST SP 800-63B-4 section 3.1.1.2). It is
// neither trimmed, nor truncated, nor case-folded. ErrTooLong and ErrNotText
// mean that there is nothing to verify.
func NormalPassword(password string) ([]byte, error) {
	switch {
	case len(password) > MaxPasswordBytes:
		return nil, ErrTooLong
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return nil, ErrNotText
	}
	return norm.NFC.Bytes([]byte(password)), nil
}

// PasswordRules judges new passwords: how long, and not a known one. There are
// no composition rules, and nothing expires.
type PasswordRules struct {
	Min   int               // code points; 0 means MinPassword
	Known func(string) bool // the blocklist; gets the password in lower case
}

// Judge returns nil, or why the password cannot be the new one. own are words
// of this person's: name, e-mail, practice, product.
func (r PasswordRules) Judge(password []byte, own ...string) error {
	minimum := r.Min
	if minimum == 0 {
		minimum = MinPassword
	}
	n := utf8.RuneCount(password)
	switch {
	case n < minimum:
		return ErrTooShort
	case n > MaxPassword:
		return ErrTooLong
	}
	lower := strings.ToLower(string(password))
	if isPersonal(lower, own) {
		return ErrPersonal
	}
	if isTrivial(lower) || r.Known != nil && r.Known(lower) {
		return ErrCommon
	}
	return nil
}
