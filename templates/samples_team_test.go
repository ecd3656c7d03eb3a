package templates

import "time"

// teamSamples are the pages of Team Members.
func teamSamples(wrong func(...string) []Problem) []sample {
	type line struct {
		ID, Name, Username, Role, Status string
		Until, SignedIn                  time.Time
		Second, Dormant, You, Manage     bool
	}
	type team struct {
		Practice, Query       string
		Members               []line
		Found, Previous, Next int
	}
	type choice struct {
		ID, Name string
		Chosen   bool
	}
	type member struct {
		line
		Email      string
		NoPassword bool
		Roles      []string
		Locations  []choice
		Heir       bool
	}
	type confirm struct {
		line
		Act string
	}
	type locations struct {
		Practice                string
		Locations               []choice
		Name, Renaming, NewName string
		Full                    bool
	}
	type reviewed struct {
		line
		Email     string
		Locations []string
	}
	type access struct {
		Practice string
		At       time.Time
		Members  []reviewed
		Days     int
	}

	const practice = "Riverside Family Practice"
	grace := line{ID: "p1", Name: "Grace Okafor", Username: "grace", Role: "owner", Status: "active", SignedIn: noon, Second: true, You: true}
	nora := line{ID: "p2", Name: "Nora Bell", Username: "nora", Role: "front_desk", Status: "locked", Until: noon, SignedIn: noon, Manage: true}
	held := line{ID: "p3", Name: "Daniel Park", Username: "daniel", Role: "admin", Status: "held", Second: true, Manage: true, SignedIn: noon}
	gone := line{ID: "p4", Name: "Mateo Silva", Username: "mateo", Role: "billing", Status: "deactivated", Manage: true}
	stopped := line{ID: "p5", Name: "Camille Roy", Username: "camille", Role: "front_desk", Status: "stopped", Manage: true}
	dormant := line{ID: "p6", Name: "Ann Ito", Username: "ann", Role: "therapist", Status: "active", Manage: true, Dormant: true}
	invited := line{ID: "i1", Name: "zoe@riverside.example", Role: "billing", Status: "invited", Until: noon}
	all := []line{grace, nora, held, gone, stopped, dormant}
	places := []choice{{"l1", "Main Street", true}, {"l2", "Harbor Clinic", false}}
	roles := []string{"front_desk", "billing", "admin"}
	review := access{practice, noon, nil, 90}
	for _, l := range all {
		review.Members = append(review.Members, reviewed{l, l.Username + "@riverside.example", []string{"Main Street", "Harbor Clinic"}})
	}
	review.Members[1].Locations = nil

	page := func(name string, data any) Page { return Page{Name: name, Team: true, Data: data} }
	told := page("member", member{line: nora, Email: "nora@riverside.example", Roles: roles, Locations: places, Heir: true})
	told.Notice = "Done."
	refused := told
	refused.Notice, refused.Problems = "", []Problem{{Text: "No link was sent."}}
	add := page("locations", locations{Practice: practice, Locations: places, Name: "Main Street"})
	add.Problems = wrong("name")
	rename := page("locations", locations{Practice: practice, Locations: places, Renaming: "l2", NewName: "Main Street"})
	rename.Problems = wrong("name-l2")

	type ownership struct {
		State, Practice, Owner, Heir string
		Expires, Due                 time.Time
	}
	type token struct{ Token string }
	changes := ownership{"asked", practice, "Grace Okafor", "Daniel Park", noon, time.Time{}}
	offered, agreed := changes, changes
	offered.State = "offered"
	agreed.State, agreed.Due = "agreed", noon

	return []sample{
		{"none", page("ownership", ownership{State: "none", Practice: practice})},
		{"asked", page("ownership", changes)},
		{"offered", page("ownership", offered)},
		{"agreed", page("ownership", agreed)},
		{"", Page{Name: "ownership_cancel", Data: token{"t1"}}},
		{"", Page{Name: "ownership_cancelled"}},
		{"", Page{Name: "ownership_dead"}},
		{"transfer", page("member_confirm", confirm{held, "transfer"})},
		{"", page("team", team{practice, "", append(all, invited), 120, 1, 3})},
		{"nobody found", page("team", team{practice, "zoe", nil, 0, 0, 0})},
		{"locked", told},
		{"refused", refused},
		{"held", page("member", member{line: held, Email: "daniel@riverside.example", Roles: roles, NoPassword: true})},
		{"deactivated", page("member", member{line: gone, Email: "mateo@riverside.example"})},
		{"stopped", page("member", member{line: stopped, Email: "camille@riverside.example"})},
		{"second step", page("member_confirm", confirm{held, "reset-second"})},
		{"deactivate", page("member_confirm", confirm{nora, "deactivate"})},
		{"", page("locations", locations{Practice: practice, Locations: places})},
		{"none", page("locations", locations{Practice: practice})},
		{"full", page("locations", locations{Practice: practice, Locations: places, Full: true})},
		{"refused", add},
		{"not renamed", rename},
		{"", page("access", review)},
		{"", Page{Name: "no_team"}},
	}
}
