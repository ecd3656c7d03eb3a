// Package account holds the rules of a sign-in: when an account locks, which
// passwords and links are good, and for how long. It keeps no state and does
// no input or output of its own; callers bring the store, the answer and the
// time. It never decides what a person sees.
package account

import (
	"errors"
	"time"
)

// The limits promised on the help page, and those of NIST SP 800-63B-4
// section 3.2.2. They are constants because they are promises: a build with
// other figures would be another product.
const (
	MaxFailures       = 5                // failed sign-ins in a row that lock an account
	LockFor           = 30 * time.Minute // how long a lock lasts; never extended
	MaxWrongPasswords = 100              // wrong passwords since the last right one that disable it until a reset
	MaxWrongCodes     = 10               // wrong codes since the last right one that hold the second factor

	ChargeFor = 10 * time.Second // a charge not settled by then counts as a failure
	WaitFor   = 2 * time.Second  // how long an attempt waits for those in flight

	LinkFor      = 60 * time.Minute // how long a reset link is good
	LinksPerHour = 3                // reset mails an account gets in any hour

	SourceWindow   = 5 * time.Minute // failures of one source are counted over this
	SourceFailures = 20              // and refused beyond this many
	SourceLocks    = 3               // accounts that one source may lock in an hour
)

// Verdicts on an attempt. They are facts about people, not faults of the
// program: they are shown, counted and audited, never logged as errors.
var (
	ErrLocked   = errors.New("account is locked")
	ErrBusy     = errors.New("too many attempts in flight")
	ErrLimited  = errors.New("too many failures from this source")
	ErrDisabled = errors.New("password is disabled until it is reset")
	ErrHeld     = errors.New("second factor is held until Support releases it")
)

// ErrNoLease is returned by every verifier that is given a zero Lease: the
// caller forgot to charge the attempt first.
var ErrNoLease = errors.New("account: a secret may only be judged under a lease")

// ID names an account: a person in a directory, for as long as the directory
// knows them. It is opaque, stable, at most 255 ASCII characters, never an
// e-mail address, and it is the `sub` of every token.
type ID string

// PracticeID names a practice. It is empty for people without one.
type PracticeID string

// Source names where a request came from, as far as limits go: an IPv4
// address or an IPv6 /64, in text.
type Source string
