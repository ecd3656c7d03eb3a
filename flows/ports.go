package flows

import (
	"context"
	"net/netip"
	"time"

	"github.com/medximity/idp/flows/account"
)

// Store is what flows need remembered. It is shared by all replicas; every
// method is one statement or one transaction, decides in its WHERE, and tells
// committed events onward itself.
type Store interface {
	account.GuardStore
	FlowStore
	SecondStore
	PasskeyStore
	ResetStore
	InviteStore
}

// FlowStore keeps flows and what they end in.
type FlowStore interface {
	// Begin writes a new flow.
	Begin(ctx context.Context, f *Flow) error
	// Flow returns a live flow of the browser, or ErrNoFlow.
	Flow(ctx context.Context, id string, browser []byte) (*Flow, error)
	// Advance writes what was proven, settles the lease as right, and raises
	// f.Revision, all if the flow is still at f.Revision; else ErrStale. A code
	// that was used up meanwhile is account.ErrReplayed, and changes nothing.
	Advance(ctx context.Context, f *Flow, p Progress) error
	// Finish does what Advance does for the last time and makes the session.
	// A flow gives one session ever; a second finish is ErrStale, and so is one
	// whose session to be raised has ended. A lease or an epoch overtaken by a
	// reset is account.ErrBusy. It sets f.Epoch and f.Finished to those of the
	// session.
	Finish(ctx context.Context, f *Flow, p Progress, s NewSession) error
}

// Progress is what one request proved.
type Progress struct {
	Lease account.Lease // settled as right if valid
	Burn  *account.Burn // used up, or nil
	Hash  string        // a new password's hash to write, or ""
	Short bool          // see Passed
	Name  string        // of the person to add, or ""

	// Changes of the second factor. They void all that was proven before, this
	// flow and its session excepted.
	Authenticator *account.NewAuthenticator
	Codes         *account.BackupSet
	NewPasskey    *account.NewPasskey // account.ErrReplayed if somebody has it by now

	AskPasskey time.Time          // when to ask again for a passkey; zero: nobody was asked
	Passkey    *account.Assertion // whose count and time are to be kept, or nil
}

// NewSession is a session about to be made.
type NewSession struct {
	Token    string // the cookie's secret; stored as SHA-256
	Replaces string // the token of the session this browser had, or ""
	Methods  []string
	ACR      string
	AuthTime time.Time  // zero: now
	Device   string     // what the browser calls itself, in short
	Address  netip.Addr // where it came from; shown to its owner
	Idle     time.Duration
	Absolute time.Duration
}

// SecondStore keeps second factors. What changes them is Progress.
type SecondStore interface {
	// Second tells what the account has.
	Second(ctx context.Context, id account.ID) (account.Second, error)
	// Authenticators returns the account's, with their keys.
	Authenticators(ctx context.Context, id account.ID) ([]account.Authenticator, error)
	// BackupSet returns the account's set; the zero set if it has none.
	BackupSet(ctx context.Context, id account.ID) (account.BackupSet, error)
}

// PasskeyStore keeps passkeys. What changes them is Progress.
type PasskeyStore interface {
	// Passkeys returns the account's, the oldest first.
	Passkeys(ctx context.Context, id account.ID) ([]account.Passkey, error)
	// PasskeyHolder returns whose credential it is, by its ID; nil if nobody has it.
	PasskeyHolder(ctx context.Context, credential []byte) (*PasskeyHolder, error)
	// RefusePasskey tells the trail why one was not believed, and counts that
	// against where it came from, as a wrong password would be. An account's
	// counters do not move: there is nothing to guess. It is account.ErrLimited
	// if the source has had its failures: then nothing is told.
	RefusePasskey(ctx context.Context, r PasskeyRefusal) error
}

// PasskeyHolder is an account that has passkeys, as it stands.
type PasskeyHolder struct {
	Account     account.ID
	Passkeys    []account.Passkey
	Epoch       int64
	Locks       int64
	LockedUntil time.Time // zero if it is not
}

// account is "" for nobody.
func (h *PasskeyHolder) account() account.ID {
	if h == nil {
		return ""
	}
	return h.Account
}

// PasskeyRefusal is a passkey that was not believed.
type PasskeyRefusal struct {
	Account account.ID // whose it would have been; "" for nobody's
	Step    StepName
	Cause   account.Reason
	Source  account.Source
	Exempt  bool // from limits by source
}

// ResetStore keeps reset links.
type ResetStore interface {
	// AskReset makes the subject's one live link, supersedes the one before,
	// and queues the mail, unless the subject had LinksPerHour in the last
	// hour: then it changes nothing. A shadow subject is served alike; its
	// mail has no recipient and is dropped by the worker.
	AskReset(ctx context.Context, a ResetAsk) error
	// OpenLink tells what the link is worth, and the trail from where it was
	// opened. It changes nothing but counters.
	OpenLink(ctx context.Context, hash []byte, from account.Source) (account.Link, error)
	// Redeem ends the flow's link and, in the same transaction, writes the new
	// password, clears lock and counters, ends every session, refresh family
	// and unfinished flow of the account, and queues the notice. It returns
	// the link's fate: Valid if it did all that, else why it did nothing. It
	// sets f.Epoch to the one that begins.
	Redeem(ctx context.Context, f *Flow, p Progress) (account.Reason, error)
	// CancelReset ends the live link that the notice belongs to ("this was
	// not me"). It reports whether there was one.
	CancelReset(ctx context.Context, cancel []byte, from account.Source) (bool, error)
}

// InviteStore keeps invitations, as far as whoever was invited goes.
type InviteStore interface {
	// Invitation tells what the link is worth, and to what it leads. It changes
	// nothing.
	Invitation(ctx context.Context, link []byte) (account.Invitation, error)
	// Accept ends the flow's invitation and, in the same transaction, adds the
	// person: with the progress's name and password, and all else as they were
	// invited. Of any number of times, together too, one does; and the address
	// may be somebody's meanwhile. It returns the link's fate: Valid if it did
	// all that, else why it did nothing.
	Accept(ctx context.Context, f *Flow, p Progress) (account.Reason, error)
}

// ResetAsk is a request for a reset link.
type ResetAsk struct {
	Subject string // an account's ID or a shadow key
	Shadow  bool
	Locale  string // of the page it was asked on, should the account have none
	By      account.By
	Actor   string // who asked in their stead, for the trail; "" for nobody
	Case    string // of the support desk in which they did, for the trail
	Source  account.Source
}
