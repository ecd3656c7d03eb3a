package provider

import (
	"net/http"
	"strings"

	"github.com/medximity/idp/flows/account"
)

// ruling is what comes of a request to a page of the team.
type ruling struct {
	status  int
	changes bool
}

var (
	sees   = ruling{http.StatusOK, false}
	takes  = ruling{http.StatusOK, true} // sees, and the trail says so
	does   = ruling{http.StatusSeeOther, true}
	moot   = ruling{http.StatusSeeOther, false} // nothing of theirs is called that
	asks   = ruling{http.StatusSeeOther, false} // to sign in, or once more
	denied = ruling{http.StatusForbidden, false}
	absent = ruling{http.StatusNotFound, false}
	stands = ruling{http.StatusConflict, false} // it is so already, or cannot be
	wrong  = ruling{http.StatusUnprocessableEntity, false}
	over   = ruling{http.StatusGone, false}
)

// law says what somebody who runs a team (for ownership: anybody) may do.
type law func(a *member, t try) ruling

func always(v ruling) law { return func(*member, try) ruling { return v } }

// toMember is for what is done to a person: one of the same practice, whom the
// role may manage, and never oneself. Everybody else is not there.
func toMember(then law) law {
	return func(a *member, t try) ruling {
		if p := t.person; p == nil || p == a || p.practice != a.practice || !a.role.MayManage(p.role) {
			return absent
		}
		return then(a, t)
	}
}

func unlessGone(v ruling) law {
	return func(_ *member, t try) ruling {
		if t.person.gone {
			return stands
		}
		return v
	}
}

// ofOwn is for what is done to a location.
func ofOwn(a *member, t try) ruling {
	if t.place == "" || t.place != string(a.practice) {
		return moot
	}
	return does
}

// toInvite is for what is done to an invitation: an own one, whose role one gives.
func toInvite(a *member, t try) ruling {
	practice, role, _ := strings.Cut(t.invite, " ")
	switch {
	case practice == "" || practice != string(a.practice):
		return moot
	case !a.role.MayGive(account.Role(role)):
		return denied
	}
	return does
}

// laws are who may do what. What a role may is flows/account/role.go's to say.
var laws = map[string]law{
	"GET /account/team":             always(sees),
	"GET /account/team/access":      always(sees),
	"POST /account/team/access.csv": always(takes),
	"GET /account/team/locations":   always(sees),
	"GET /account/team/invites":     always(sees),
	"GET /account/team/invite":      always(sees),

	"GET /account/team/member": toMember(always(sees)),
	"GET /account/team/confirm": toMember(func(a *member, t try) ruling {
		if t.act == "link" || t.act == "transfer" && (a.role != account.Owner || t.person.role == account.Owner || t.person.gone) {
			return absent
		}
		return sees
	}),
	"POST /account/team/link":         toMember(unlessGone(does)),
	"POST /account/team/unlock":       toMember(always(does)),
	"POST /account/team/reset-second": toMember(always(does)),
	"POST /account/team/end-sessions": toMember(always(does)),
	"POST /account/team/deactivate":   toMember(unlessGone(does)),
	"POST /account/team/reactivate": toMember(func(_ *member, t try) ruling {
		if t.person.gone {
			return does
		}
		return stands
	}),
	"POST /account/team/role": toMember(func(a *member, t try) ruling {
		switch {
		case !a.role.MayGive(t.gift):
			return denied
		case t.person.role == t.gift:
			return stands
		}
		return does
	}),
	"POST /account/team/locations-of": toMember(func(a *member, t try) ruling {
		switch t.at {
		case "":
			return stands
		case string(a.practice):
			return does
		}
		return denied
	}),
	"POST /account/team/transfer": toMember(func(a *member, t try) ruling {
		switch {
		case a.role != account.Owner || t.person.role == account.Owner || t.person.gone:
			return denied
		case a.practice == "harbor": // it is offered to somebody
			return stands
		}
		return does
	}),

	"POST /account/team/locations":        always(does),
	"POST /account/team/locations/rename": ofOwn,
	"POST /account/team/locations/remove": ofOwn,

	"POST /account/team/invites/resend":   toInvite,
	"POST /account/team/invites/withdraw": toInvite,
	"POST /account/team/invite": func(a *member, t try) ruling {
		if !a.role.MayGive(t.gift) {
			return wrong
		}
		practice, role, _ := strings.Cut(t.invited, " ")
		if practice == string(a.practice) && !a.role.MayGive(account.Role(role)) {
			return denied // it would take away what somebody above them gave
		}
		return does
	},

	"GET /account/ownership": always(sees),
	"POST /account/ownership/agree": func(a *member, _ try) ruling {
		if a.name == "billing of harbor" {
			return does
		}
		return moot
	},
	"POST /account/ownership/end": func(a *member, _ try) ruling {
		if a.name == "billing of harbor" || a.name == "owner of harbor" {
			return does
		}
		return moot
	},
	"GET /ownership/cancel":  always(over), // with no link
	"POST /ownership/cancel": always(over),
}
