package templates

import (
	"slices"
	"time"
)

var noon = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

// sample is a page with everything on it that it can have. The structs are
// those of the handlers by shape; package web proves that its own fit.
type sample struct {
	name string
	page Page
}

func samples() []sample {
	wrong := func(fields ...string) []Problem {
		var p []Problem
		for _, f := range fields {
			p = append(p, Problem{Field: f, Text: "Something is wrong with " + f})
		}
		return p
	}
	type signIn struct{ Identifier, App, Passkey string }
	type password struct {
		Username string
		Min, Max int
		Reset    bool
	}
	type locked struct {
		Minutes int
		Until   time.Time
	}
	type busy struct{ Seconds int }
	type email struct{ Email string }
	type sent struct {
		Email, From string
		Minutes     int
	}
	type link struct {
		Fate    string
		NewerAt time.Time
	}
	type join struct {
		Practice, Email, Role, Name string
		Min, Max                    int
	}
	type token struct{ Token string }
	type form struct{ Name, Practice, NPI, Username, Email, Happened string }
	type caseStatus struct {
		Token, Reference, State              string
		Opened, Due                          time.Time
		Answered, Overdue, Confirmed, Closed bool
		Until                                time.Time
		Reply                                string
	}
	type passkey struct{ App, Options string }
	type newPasskey struct{ Username, Options, Name string }
	type offer struct{ Options, Name string }
	type due struct {
		Reference string
		Due       time.Time
	}
	type user struct{ Username string }
	type reference struct{ Reference string }
	type stale struct{ Expired bool }
	type oauth struct{ App, Code, Description string }
	type field struct{ Name, Value string }
	type post struct {
		App, Action string
		Fields      []field
	}
	type scope struct {
		Name  string
		Known bool
	}
	type consent struct {
		Username, Site string
		Scopes         []scope
		Request        string
	}
	all := []scope{{"openid", true}, {"profile", true}, {"email", true}, {"address", true}, {"phone", true}, {"practice", true},
		{"npi", true}, {"offline_access", true}, {"files.read", false}}
	type logout struct {
		Fields  []field
		Problem string
	}
	type frame struct{ App, URI string }
	type loggedOut struct {
		Frames []frame
		To     string
	}
	return append(slices.Concat(settingsSamples(wrong), teamSamples(wrong), deskSamples(wrong)), []sample{
		{"", Page{Name: "consent", App: "Harbor Law", Data: consent{"grace", "files.harbor.example", all, "r1"}}},
		{"first visit", Page{Name: "login", Step: "identify", Flow: "f1", App: "Chart", Data: signIn{App: "Chart"}}},
		{"after saving a password", Page{Name: "login", Step: "identify", Flow: "f1", Notice: "Saved.", Data: signIn{}}},
		{"wrong password", Page{Name: "login", Step: "password", Flow: "f1", App: "Chart", Problems: wrong(""),
			Warning: "Few attempts left.", Data: signIn{"grace", "Chart", "{}"}}},
		{"nothing typed", Page{Name: "login", Step: "identify", Flow: "f1", Problems: wrong("identifier", "password"), Data: signIn{}}},
		{"Internet Explorer", Page{Name: "login", Step: "identify", Flow: "f1", Outdated: true, Data: signIn{}}},
		{"", Page{Name: "new_password", Flow: "f1", Action: "/id/reset-password", Data: password{"grace", 15, 256, true}}},
		{"to be changed", Page{Name: "new_password", Flow: "f1", Action: "/id/login/new-password", Data: password{"grace", 15, 256, false}}},
		{"refused", Page{Name: "new_password", Flow: "f1", Action: "/id/reset-password",
			Problems: wrong("new_password", "confirm_password"), Data: password{"grace", 15, 256, true}}},
		{"30 minutes", Page{Name: "locked", Flow: "f1", Data: locked{30, noon}}},
		{"1 minute", Page{Name: "locked", Flow: "f1", Data: locked{1, noon}}},
		{"", Page{Name: "disabled", Flow: "f1"}},
		{"seconds", Page{Name: "busy", Flow: "f1", Data: busy{2}}},
		{"minutes", Page{Name: "busy", Data: busy{300}}},
		{"", Page{Name: "forgot", Flow: "f1", Data: email{}}},
		{"refused", Page{Name: "forgot", Problems: wrong("email"), Data: email{"grace"}}},
		{"", Page{Name: "forgot_sent", Flow: "f1", Data: sent{"grace@riverside.example", "no-reply@medximity.example", 60}}},
		{"expired", Page{Name: "link", Data: link{Fate: "expired"}}},
		{"superseded", Page{Name: "link", Data: link{"superseded", noon}}},
		{"used", Page{Name: "link", Data: link{Fate: "used"}}},
		{"unknown", Page{Name: "link", Data: link{Fate: "unknown"}}},
		{"", Page{Name: "join", Flow: "f1", Action: "/id/invite", Data: join{"Riverside", "ann@riverside.example", "front_desk", "", 15, 256}}},
		{"refused", Page{Name: "join", Flow: "f1", Action: "/id/invite", Problems: wrong("name", "new_password", "confirm_password"),
			Data: join{"Riverside", "ann@riverside.example", "admin", "Ann", 8, 256}}},
		{"expired", Page{Name: "invite_dead", Data: link{Fate: "expired"}}},
		{"superseded", Page{Name: "invite_dead", Data: link{"superseded", noon}}},
		{"used", Page{Name: "invite_dead", Data: link{Fate: "used"}}},
		{"withdrawn", Page{Name: "invite_dead", Data: link{Fate: "withdrawn"}}},
		{"taken", Page{Name: "invite_dead", Data: link{Fate: "taken"}}},
		{"unknown", Page{Name: "invite_dead", Data: link{Fate: "unknown"}}},
		{"", Page{Name: "cancel", Data: token{"t1"}}},
		{"", Page{Name: "cancelled"}},
		{"", Page{Name: "not_cancelled"}},
		{"", Page{Name: "support", Flow: "f1", Data: form{}}},
		{"", Page{Name: "case_status", Data: caseStatus{Token: "t1", Reference: "AB12CD34", State: "open", Opened: noon, Due: noon}}},
		{"overdue", Page{Name: "case_status", Data: caseStatus{Token: "t1", Reference: "AB12CD34", State: "open", Opened: noon, Due: noon, Overdue: true, Confirmed: true}}},
		{"waiting", Page{Name: "case_status", Data: caseStatus{Token: "t1", Reference: "AB12CD34", State: "waiting", Opened: noon, Due: noon, Until: noon,
			Answered: true, Confirmed: true, Reply: "identity"}}},
		{"withdrawn", Page{Name: "case_status", Data: caseStatus{Token: "t1", Reference: "AB12CD34", State: "withdrawn", Opened: noon, Closed: true}}},
		{"refused", Page{Name: "support", Problems: wrong("name", "practice", "npi", "username", "email"),
			Data: form{"Grace", "Riverside", "123", "grace", "grace", "Lost my phone."}}},
		{"", Page{Name: "support_sent", Data: due{"AB12CD34", noon}}},
		{"", Page{Name: "passkey", Flow: "f1", Action: "/id/login/passkey", Ways: []string{"password", "backup-code"}, Data: passkey{"", "{}"}}},
		{"refused", Page{Name: "passkey", Flow: "f1", Action: "/id/login/passkey", Ways: []string{"identify"}, Problems: wrong(""), Data: passkey{"Chart", "{}"}}},
		{"", Page{Name: "set_up_passkey", Flow: "f1", Action: "/id/login/set-up-passkey", Data: newPasskey{"grace", "{}", ""}}},
		{"", Page{Name: "offer_passkey", Flow: "f1", Action: "/id/login/offer-passkey", Data: offer{"{}", ""}}},
		{"refused", Page{Name: "offer_passkey", Flow: "f1", Action: "/id/login/offer-passkey", Problems: wrong("name"), Data: offer{"{}", "Laptop"}}},
		{"late", Page{Name: "offer_passkey", Flow: "f1", Action: "/id/login/offer-passkey", Data: offer{}}},
		{"refused", Page{Name: "set_up_passkey", Flow: "f1", Action: "/id/login/set-up-passkey", Problems: wrong("name"), Data: newPasskey{"grace", "{}", "Laptop"}}},
		{"", Page{Name: "home", Data: user{"grace"}}},
		{"", Page{Name: "logout"}},
		{"asked by an app", Page{Name: "logout", App: "Chart", Data: logout{[]field{{"id_token_hint", "j.w.t"}, {"state", "s"}}, ""}}},
		{"asked wrongly", Page{Name: "logout", Data: logout{Problem: "no ID token of ours"}}},
		{"", Page{Name: "logged_out"}},
		{"with frames", Page{Name: "logged_out", Data: loggedOut{Frames: []frame{{"Chart", "https://chart.example/cb"}}}}},
		{"leading on", Page{Name: "logged_out", App: "Chart", Data: loggedOut{[]frame{{"Chart", "https://chart.example/cb"}}, "https://chart.example/cb"}}},
		{"answered", Page{Name: "stale", Flow: "f1", Data: stale{}}},
		{"expired", Page{Name: "stale", Flow: "f1", Data: stale{true}}},
		{"", Page{Name: "lost_cookie"}},
		{"", Page{Name: "fault", Data: reference{"AB12CD34"}}},
		{"flooded", Page{Name: "unavailable"}},
		{"", Page{Name: "unavailable", Data: reference{"AB12CD34"}}},
		{"", Page{Name: "not_found"}},
		{"", Page{Name: "too_large"}},
		{"", Page{Name: "bad_request"}},
		{"known app", Page{Name: "oauth_error", Data: oauth{"Chart", "invalid_scope", "no such scope"}}},
		{"unknown app", Page{Name: "oauth_error", Data: oauth{Code: "invalid_client"}}},
		{"", Page{Name: "form_post", Data: post{"Chart", "https://chart.example/cb", []field{{"code", "c"}, {"state", "s"}}}}},
	}...)
}
