// Package directory is the port to the existing IdP's people: who they are and
// whether a password is theirs. It never keeps people itself, and never
// decides what a wrong password means: that is flows/account's.
package directory

import (
	"context"
	"errors"
	"time"

	"github.com/medximity/idp/flows/account"
)

// By says what a value names a person by.
type By uint8

// Ways to name a person.
const (
	ByIdentifier By = iota // what was typed on the sign-in page: username or e-mail
	ByEmail
	ByID // account.ID
)

// Handle is the adapter's own key to a credential, such as a stored hash or a
// DN. It travels from Lookup to VerifyPassword and is opaque in between; it
// prints as "[redacted]".
type Handle string

// String hides the handle from logs.
func (Handle) String() string { return "[redacted]" }

// Entry is one person as the directory knows them now.
type Entry struct {
	ID            account.ID // immutable there; never an e-mail, UPN or DN
	Practice      account.PracticeID
	PracticeName  string // what no password of its people may be made of, or ""
	Role          string // owner, admin, front_desk, billing, support, or ""
	Username      string
	Email         string
	EmailVerified bool
	Name          string
	Locale        string         // BCP 47, or ""
	Claims        map[string]any // the standard claims it knows (OIDC Core section 5.1)
	Disabled      bool
	Recovered     time.Time // when somebody else last gave the account back to its person; zero: never, or unknown
	MustChange    bool      // the password is right but must be changed first
	ShortPassword bool      // the password is shorter than the minimum without 2FA
	RequireSecond bool      // the practice demands two factors
	Version       string    // changes whenever the password changes
	Handle        Handle
}

// Verdict is what a directory says of a password. People see one message for
// every verdict but OK.
type Verdict uint8

// The verdicts.
const (
	Wrong Verdict = iota // counts toward the lockout
	OK
	NoSuchUser  // counts, against the identifier
	LockedThere // the directory's own lock; does not count
	Disabled    // counts like a wrong password, so that it tells nothing
)

// Capabilities says what a directory can do beyond the least.
type Capabilities struct {
	SetPassword       bool   // a reset can finish here
	SetProfile        bool   // e-mail address and language can be changed here
	Team              bool   // practices, their people and what these are in them are kept here
	ChangePasswordURL string // where it can, if SetPassword is false
	OwnLockThreshold  int    // 0: none. At 5 or less, strangers can lock people there through us
}

// Errors of a directory.
var (
	ErrNotFound    = errors.New("directory: not found")
	ErrAmbiguous   = errors.New("directory: more than one entry")
	ErrUnavailable = errors.New("directory: unavailable") // a 503, never a failed login
	ErrReadOnly    = errors.New("directory: read only")
	ErrWeak        = errors.New("directory: password refused by policy")
	ErrConflict    = errors.New("directory: changed meanwhile")
)

// Directory is the least an existing IdP must give. Methods may be called
// concurrently. Identifiers come normalised (see account.Normalise).
type Directory interface {
	// ID names the directory, for configuration and metrics.
	ID() string
	Capabilities() Capabilities
	// Lookup returns the one entry, or ErrNotFound, ErrAmbiguous or an error
	// that wraps ErrUnavailable.
	Lookup(ctx context.Context, by By, value string) (*Entry, error)
	// VerifyPassword judges one password under a lease, and refuses a zero
	// one. A nil entry costs as much time as a wrong password and gives
	// NoSuchUser. It never gets an empty password.
	VerifyPassword(ctx context.Context, l account.Lease, e *Entry, password []byte) (Verdict, error)
	Ping(ctx context.Context) error
	Close() error
}

// PasswordSetter is a directory in which a reset can finish. The built-in one
// sets the password in the store's own transaction instead.
type PasswordSetter interface {
	// SetPassword sets it if the entry's Version is still expect (else
	// ErrConflict) and returns the new version.
	SetPassword(ctx context.Context, id account.ID, expect string, password []byte) (version string, err error)
}
