package account

import (
	"slices"
	"time"
)

// Role is what somebody is in their practice, or in the support desk. The names
// are the directory's, and the values of the roles claim.
type Role string

// The roles, the most powerful first. Another directory may have others: in a
// team they count as staff.
const (
	Owner     Role = "owner" // of the practice: the provider
	Admin     Role = "admin"
	FrontDesk Role = "front_desk"
	Billing   Role = "billing"
	Support   Role = "support" // an agent of the desk, in no practice's team
)

// Roles are those that the built-in directory knows.
var Roles = []Role{Owner, Admin, FrontDesk, Billing, Support}

// Given are the roles that a team gives, the most restrictive first. Ownership
// is not given but transferred.
var Given = []Role{FrontDesk, Billing, Admin}

// How a practice changes hands: the heir agrees to the offer, and then there is
// time to be sure that nobody acts in anybody's name.
const (
	OfferFor     = 72 * time.Hour // to agree
	TransferWait = 24 * time.Hour // from then on
)

// rank orders roles in a team.
func (r Role) rank() int {
	switch r {
	case Owner:
		return 3
	case Admin:
		return 2
	case Support, "":
		return 0
	}
	return 1
}

// Manages reports whether somebody with the role runs a team at all.
func (r Role) Manages() bool { return r.rank() >= Admin.rank() }

// MayManage reports whether somebody with the role resets, changes and
// deactivates a person of the same practice who has the other. Everybody
// manages those below them; an Owner also manages fellow Owners.
func (r Role) MayManage(other Role) bool {
	return r == Owner || r.Manages() && r.rank() > other.rank()
}

// MayGive reports whether somebody with the role makes others that: no role of
// their own rank or above, for they could not take it back.
func (r Role) MayGive(given Role) bool {
	return slices.Contains(Given, given) && r.Manages() && r.rank() > given.rank()
}
