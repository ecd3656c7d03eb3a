package account

import "time"

// The limits of invitations. The first is a promise of the help page.
const (
	InviteFor      = 72 * time.Hour // how long the link is good
	InvitesPerHour = 3              // mails an address gets from one practice in any hour
	InvitesPerDay  = 100            // mails a practice sends in any 24 hours
)

// Invitation is what the link of an invitation is worth when it is opened, and
// to what it leads if it is Valid.
type Invitation struct {
	Fate    Reason    // Valid, Expired, Superseded, Used, Withdrawn, Taken or Unknown
	NewerAt time.Time // of the newest link, when Superseded

	Email         string // normalised
	Practice      PracticeID
	PracticeName  string
	Role          Role
	RequireSecond bool // the practice demands two factors
}
