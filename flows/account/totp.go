package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// What a time-based code is made of: SHA-1, six digits, a new one every 30
// seconds (RFC 6238 section 1.2), which is what all authenticator apps know.
// The neighbouring steps are accepted, too, for clocks that drift: a documented
// deviation from ASVS 6.5.5, and promised on the help page.
const (
	CodeEvery  = 30 * time.Second
	CodeDigits = 6
	codeDrift  = 1 // steps, either way
	keyBytes   = 20
)

// Authenticator is one app that makes an account's codes.
type Authenticator struct {
	ID       string
	Name     string // as its owner calls it
	Key      []byte // the shared secret, RFC 6238's K
	LastStep int64  // the newest of which a code was accepted
	AddedAt  time.Time
	UsedAt   time.Time
}

// NewKey returns a key of 160 bits, the length that RFC 4226 section 4
// recommends.
func NewKey() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails (crypto/rand since Go 1.24)
	return key
}

// KeyText is a key as people type it into their app: base32 without padding.
func KeyText(key []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
}

// KeyURI is a key as apps read it from a QR code
// (github.com/google/google-authenticator, "Key Uri Format").
func KeyURI(issuer, username string, key []byte) string {
	k, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: username, Secret: key,
		Period: uint(CodeEvery.Seconds()), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil { // an account without a name
		return ""
	}
	return k.URL()
}

// ShowCode is the code that an app with the key shows at a time.
func ShowCode(key []byte, at time.Time) string {
	code, err := hotp.GenerateCodeCustom(KeyText(key), uint64(at.Unix()/int64(CodeEvery.Seconds())),
		hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err) // of a key that KeyText did not write
	}
	return code
}

// Match is which code of which authenticator an answer is.
type Match struct {
	Authenticator string
	Step          int64 // RFC 6238's T
	Offset        int   // steps by which the app's clock is ahead of ours: -1, 0 or 1
}

// MatchCode judges a code under a lease. found reports that one of the apps
// shows it now or did so one step ago, or will one step on. used reports that a
// code of that step, or of a later one, was accepted before: each is good once
// (RFC 6238 section 5.2). It compares all steps of all apps, whatever it finds.
func MatchCode(l Lease, all []Authenticator, code string, now time.Time) (m Match, found, used bool, err error) {
	if !l.Valid() {
		return m, false, false, ErrNoLease
	}
	for _, a := range all {
		step, offset, ok := stepOf(a.Key, code, now)
		if !ok || found && !used {
			continue
		}
		found, used = true, step <= a.LastStep
		m = Match{Authenticator: a.ID, Step: step, Offset: offset}
	}
	return m, found, used, nil
}

// ConfirmCode reports whether a new app shows the code, and for which step. It
// needs no lease: whoever sets an app up has its key before them.
func ConfirmCode(key []byte, code string, now time.Time) (step int64, ok bool) {
	step, _, ok = stepOf(key, code, now)
	return step, ok
}

// stepOf finds the step of a code among those that are accepted at a time.
func stepOf(key []byte, code string, now time.Time) (step int64, offset int, ok bool) {
	current := now.Unix() / int64(CodeEvery.Seconds())
	for d := -codeDrift; d <= codeDrift; d++ {
		want := ShowCode(key, now.Add(time.Duration(d)*CodeEvery))
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, offset, ok = current+int64(d), d, true
		}
	}
	return step, offset, ok
}

// NormalCode is a code as typed, without the spaces and hyphens that apps and
// people put in, and in ASCII digits whatever the keyboard. It reports whether
// that is six digits; what is not cannot be right, and is no attempt.
func NormalCode(typed string) (code string, ok bool) {
	code = plain(typed)
	return code, len(code) == CodeDigits && strings.Trim(code, "0123456789") == ""
}

// plain drops what groups characters, and maps full-width forms to ASCII.
func plain(typed string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\uff01' && r <= '\uff5e' {
			r -= 0xfee0
		}
		switch {
		case r == ' ' || r == '-' || r == '\t' || r == '\u00a0' || r == '\u3000' || r >= '\u2010' && r <= '\u2014':
			return -1
		}
		return r
	}, typed)
}
