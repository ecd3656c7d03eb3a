package provider

import (
	"net/url"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
)

// try is what they ask for.
type try struct {
	name    string
	form    url.Values
	person  *member // whose ID is sent
	place   string  // of which practice's location
	invite  string  // of which practice's and role's invitation
	gift    account.Role
	act     string // what is confirmed
	at      string // of which practice the location is, where somebody is to work
	invited string // whose pending invitation the typed address has
}

// named is a try with an ID, and the rest as an honest form has it.
func named(name, id string) try {
	return try{name: name, gift: account.Billing, act: "deactivate", form: url.Values{"id": {id}, "role": {"billing"}, "act": {"deactivate"},
		"name": {"New place"}, "name-" + id: {"New name"}, "email": {"newcomer@zone.example"}, "token": {"x"}}}
}

func (t try) with(name, field, value string) try {
	form := url.Values{}
	for k, v := range t.form {
		form[k] = v
	}
	form.Set(field, value)
	t.name, t.form = t.name+", "+name, form
	return t
}

// tries are all targets, for every route alike, and what else a route's form
// can say.
func (w *practices) tries(pattern string) []try {
	none := named("nobody", "nobody-at-all")
	all := []try{none, named("no ID", "")}
	for i, s := range members {
		t := named(s.name, s.id())
		t.person = &members[i]
		all = append(all, t)
	}
	for practice, id := range w.place {
		t := named("location of "+practice, id)
		t.place = practice
		all = append(all, t)
	}
	for whose, id := range w.invite {
		t := named("invitation of "+whose, id)
		t.invite = whose
		all = append(all, t)
	}
	switch pattern {
	case "POST /account/team/role":
		all = each(all, w.gifts)
	case "GET /account/team/confirm":
		all = each(all, func(t try) (more []try) {
			for _, act := range []string{"reset-second", "transfer", "link"} {
				m := t.with(act, "act", act)
				m.act = act
				more = append(more, m)
			}
			return more
		})
	case "POST /account/team/locations-of":
		all = each(all, w.places)
	case "POST /account/team/invite":
		all = each(each([]try{none}, w.addresses), w.gifts)
		all = each(all, w.places)
	}
	slices.SortFunc(all, func(a, b try) int { return strings.Compare(a.name, b.name) })
	return all
}

func each(all []try, more func(try) []try) (out []try) {
	for _, t := range all {
		out = append(append(out, t), more(t)...)
	}
	return out
}

// gifts are the other roles that could be given, those above one's own too.
func (w *practices) gifts(t try) (more []try) {
	for _, role := range []account.Role{account.FrontDesk, account.Admin, account.Owner, account.Support, "nurse", ""} {
		m := t.with("as "+string(role), "role", string(role))
		m.gift = role
		more = append(more, m)
	}
	return more
}

func (w *practices) places(t try) (more []try) {
	for practice, id := range w.place {
		m := t.with("at "+practice, "location-"+id, "yes")
		m.at = practice
		more = append(more, m)
	}
	return more
}

// addresses are those of people, of both practices, and of pending invitations.
func (w *practices) addresses(t try) (more []try) {
	for _, name := range []string{"desk of river", "owner of harbor", "patient"} {
		more = append(more, t.with("to "+name, "email", memberOf(name).email()))
	}
	for _, practice := range []string{"river", "harbor"} {
		for _, role := range []string{"admin", "frontdesk"} {
			m := t.with("to who is invited as "+role+" of "+practice, "email", "invited"+role+practice+"z@zone.example")
			m.invited = practice + " " + strings.Replace(role, "frontdesk", "front_desk", 1)
			more = append(more, m)
		}
	}
	return more
}
