package account

import (
	"errors"
	"slices"
	"time"
)

// ErrReplayed is the store's verdict on a code that was right and is used up:
// somebody was quicker. It counts like a wrong one.
var ErrReplayed = errors.New("the code was used before")

// Second is what second factor an account has.
type Second struct {
	Authenticators int // apps
	Passkeys       int
	Codes          int  // backup codes not used yet
	LastWasBackup  bool // of apps and codes, a backup code was used last
	// AskPasskey is when they may be asked again whether they want a passkey; zero:
	// nobody asked yet.
	AskPasskey time.Time
}

// AskPasskeyEvery is how often somebody may be asked whether they want a passkey.
const AskPasskeyEvery = 30 * 24 * time.Hour

// NeverAsk is AskPasskey of whoever does not want to be asked.
var NeverAsk = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// Any reports whether there is a second factor at all. Backup codes alone are none.
func (s Second) Any() bool { return s.Authenticators+s.Passkeys > 0 }

// Burn is a right answer to be used up with what it leads to: a code of an
// authenticator, or the hash of a backup code.
type Burn struct {
	Match
	Backup []byte
}

// NewAuthenticator is an app that was confirmed by one of its codes, whose step
// is used up with it.
type NewAuthenticator struct {
	Name string
	Key  []byte
	Step int64
}

// Requirement says whose second factor is required, beyond what their practice
// and the app demand.
type Requirement struct {
	Everyone bool
	Roles    []string // such as owner, admin, front_desk, billing, support
}

// Of reports whether a second factor is required of people of the role.
func (r Requirement) Of(role string) bool {
	return r.Everyone || role == string(Support) || slices.Contains(r.Roles, role)
}
