package templates

import "time"

const sampleURI = "otpauth://totp/Medximity:grace%40riverside?secret=JBSWY3DPEHPK3PXP&issuer=Medximity"

// settingsSamples are the pages of the second factor, of confirming who one is,
// and of Account Settings.
func settingsSamples(wrong func(...string) []Problem) []sample {
	type second struct{ App string }
	type setUp struct {
		Username, Key, URI, Name string
		Required, First          bool
	}
	type codes struct {
		Codes    []string
		Replaces bool
	}
	type more struct{ Left int }
	type confirm struct {
		Username, App string
		Changing      bool
	}
	type authenticator struct {
		ID, Name    string
		Added, Used time.Time
	}
	type security struct {
		Username, Email, NewEmail, Language string
		OwnPassword, OwnProfile, Required   bool
		Authenticators, Passkeys            []authenticator
		CanPasskey, Fixed                   bool
		CodesLeft                           int
	}
	type remove struct {
		ID, Name    string
		Added, Used time.Time
		Last        bool
	}
	type session struct {
		ID, Device, Address string
		Started, Seen       time.Time
		Current             bool
	}
	type sessions struct{ Sessions []session }
	type scope struct {
		Name  string
		Known bool
	}
	type app struct {
		Client, Name string
		Scopes       []scope
		Given        time.Time
	}
	type apps struct{ Apps []app }
	type line struct {
		What   string
		At     time.Time
		Source string
		Other  bool
		Team   bool
	}
	type activity struct{ Lines []line }
	type address struct{ Now, Email string }
	type sent struct{ Now, New string }
	type link struct{ Token, New string }
	type confirmed struct {
		Done bool
		Wait string
	}
	type token struct{ Token string }
	type place struct {
		ID, Name string
		Chosen   bool
	}
	type invite struct {
		Email, Role string
		Roles       []string
		Locations   []place
	}
	type pending struct {
		ID, Email, Role string
		Locations       []string
		Sent, Until     time.Time
		Expired, Theirs bool
	}
	type invites struct{ Invites []pending }

	ten := []string{"4X7K-9QWM-2BTFZ", "7H2M-K9WD-4QXRT", "PC5V-3JNE-8YGM2", "B6TA-W4HF-9KZSQ", "2RND-X8PJ-5VMCE",
		"QK3Y-7GBT-H6WA9", "9FJX-M2SC-4RDPV", "T8EH-5NKW-Y3QGB", "V4ZM-C7XA-2JTF6", "K9PS-6DRY-W8HNE"}
	phone := authenticator{"a1", "Phone", noon, noon}
	all := security{"grace", "grace@riverside.example", "grace@new.example", "ko", true, true, true,
		[]authenticator{phone, {"a2", "Tablet at the front desk", noon, time.Time{}}},
		[]authenticator{{"p1", "Laptop", noon, noon}}, true, false, 3}
	required := security{Username: "grace", Email: "grace@riverside.example", Required: true, CodesLeft: 10,
		Authenticators: []authenticator{phone}, CanPasskey: true, Fixed: true}
	keyOnly := required
	keyOnly.Authenticators, keyOnly.Passkeys = nil, []authenticator{{"p1", "Laptop", noon, noon}}
	free := required
	free.Fixed = false
	free.Required, free.CodesLeft = false, 1
	free.Authenticators = []authenticator{{ID: "a1", Added: noon}}
	var lines []line
	for _, what := range []string{"signed_in", "sign_in_failed.password", "sign_in_failed.second_factor", "locked",
		"lock_cleared", "locked.device", "password_disabled", "password_changed", "reset_requested", "reset_completed", "reset_cancelled",
		"session_ended", "grant_revoked", "account_disabled", "account_enabled", "second_factor_added",
		"second_factor_removed", "second_factor_reset", "second_factor_held", "second_factor_released",
		"backup_codes_made", "backup_code_used", "email_change_asked", "email_changed", "email_change_cancelled",
		"disavowed", "stepped_up", "language_changed", "consent_given", "consent_withdrawn", "support_asked", "account_added",
		"member_changed.role", "member_changed.locations", "passkey_added", "passkey_removed", "passkey_cloned", "access_reviewed",
		"ownership_offered", "ownership_agreed", "ownership_kept", "ownership_transferred"} {
		lines = append(lines, line{What: what, At: noon, Source: "192.0.2.7"})
	}
	lines[4].Source, lines[4].Other = "", true
	lines[len(lines)-7].Source, lines[len(lines)-7].Team = "", true

	step := func(name, step string, data any, problems ...Problem) Page {
		return Page{Name: name, Step: step, Flow: "f1", Action: "/id/login/" + step, Problems: problems, Data: data}
	}
	totp := func(problems ...Problem) Page {
		p := step("totp", "totp", second{App: "Chart"}, problems...)
		p.Ways = []string{"backup-code"}
		return p
	}
	backup := func(problems ...Problem) Page {
		p := step("backup_code", "backup-code", second{App: "Chart"}, problems...)
		p.Ways = []string{"totp"}
		return p
	}
	warned := totp(wrong("otp")...)
	warned.Warning = "Few attempts left."
	late := totp()
	late.Left = 150 * time.Second
	done := Page{Name: "security", Notice: "Done.", Data: all}
	key := setUp{"grace", "JBSWY3DPEHPK3PXP", sampleURI, "Phone", true, true}
	again := key
	again.Required, again.First = false, false

	return []sample{
		{"", totp()},
		{"wrong code", warned},
		{"near its end", late},
		{"no other way", step("totp", "totp", second{})},
		{"", backup()},
		{"refused", backup(wrong("backup_code")...)},
		{"required", step("set_up_totp", "set-up-totp", key)},
		{"refused", step("set_up_totp", "set-up-totp", again, wrong("otp", "authenticator")...)},
		{"", step("backup_codes", "backup-codes", codes{Codes: ten})},
		{"replaces", step("backup_codes", "backup-codes", codes{ten, true}, wrong("saved")...)},
		{"", step("more_codes", "more-backup-codes", more{3})},
		{"one", step("more_codes", "more-backup-codes", more{1})},
		{"none", step("more_codes", "more-backup-codes", more{0})},
		{"for an app", step("confirm", "confirm", confirm{Username: "grace", App: "Chart"})},
		{"refused", step("confirm", "confirm", confirm{Username: "grace"}, wrong("password")...)},
		{"changing", step("confirm", "confirm", confirm{Username: "grace", Changing: true})},
		{"", Page{Name: "held", Flow: "f1"}},
		{"nothing yet", Page{Name: "security", Data: security{Username: "grace", Email: "grace@riverside.example", OwnPassword: true}}},
		{"all", Page{Name: "security", Data: all}},
		{"all, after a change", done},
		{"required", Page{Name: "security", Data: required}},
		{"free", Page{Name: "security", Data: free}},
		{"a passkey alone", Page{Name: "security", Data: keyOnly}},
		{"", Page{Name: "remove_passkey", Data: remove{ID: "p1", Name: "Laptop", Added: noon, Used: noon}}},
		{"last", Page{Name: "remove_passkey", Data: remove{ID: "p1", Name: "Laptop", Added: noon, Last: true}}},
		{"", Page{Name: "remove_authenticator", Data: remove{ID: "a1", Name: "Phone", Added: noon, Used: noon}}},
		{"last", Page{Name: "remove_authenticator", Data: remove{ID: "a1", Name: "Phone", Added: noon, Last: true}}},
		{"", Page{Name: "sessions", Data: sessions{[]session{
			{"s1", "Firefox on Windows", "192.0.2.7", noon, noon, true},
			{"s2", "Safari on iPhone", "2001:db8::7", noon, noon, false}, {"s3", "", "", noon, noon, false}}}}},
		{"", Page{Name: "apps", Data: apps{[]app{{"law", "Harbor Law", []scope{{"openid", true}, {"npi", true}, {"files.read", false}}, noon},
			{"fit", "Fit & Well", []scope{{"openid", true}}, noon}}}}},
		{"none", Page{Name: "apps", Notice: "Done.", Data: apps{}}},
		{"one", Page{Name: "sessions", Data: sessions{[]session{{"s1", "Firefox on Windows", "", noon, noon, true}}}}},
		{"", Page{Name: "activity", Data: activity{lines}}},
		{"none", Page{Name: "activity", Data: activity{}}},
		{"", Page{Name: "email", Data: address{Now: "grace@riverside.example"}}},
		{"refused", Page{Name: "email", Problems: wrong("email"), Data: address{"grace@riverside.example", "grace"}}},
		{"", Page{Name: "email_sent", Data: sent{"grace@riverside.example", "grace@new.example"}}},
		{"", Page{Name: "email_confirm", Data: link{"t1", "grace@new.example"}}},
		{"done", Page{Name: "email_confirmed", Data: confirmed{Done: true}}},
		{"half", Page{Name: "email_confirmed", Data: confirmed{Wait: "grace@new.example"}}},
		{"", Page{Name: "email_cancel", Data: link{"t1", "grace@new.example"}}},
		{"", Page{Name: "email_cancelled"}},
		{"", Page{Name: "email_dead"}},
		{"", Page{Name: "invite", Data: invite{Roles: []string{"front_desk", "billing", "admin"},
			Locations: []place{{"L1", "Main Street", false}, {"L2", "North", true}}}}},
		{"refused", Page{Name: "invite", Problems: wrong("email"), Data: invite{Email: "ann", Role: "billing", Roles: []string{"front_desk", "billing"}}}},
		{"limited", Page{Name: "invite", Problems: wrong(""), Data: invite{Email: "ann@riverside.example", Roles: []string{"front_desk"}}}},
		{"", Page{Name: "invites", Notice: "Sent.", Data: invites{[]pending{
			{"i1", "ann@riverside.example", "front_desk", []string{"Main Street", "North"}, noon, noon, false, true},
			{"i2", "bob@riverside.example", "billing", nil, noon, noon, true, true},
			{"i3", "eve@riverside.example", "admin", nil, noon, noon, false, false}}}}},
		{"none", Page{Name: "invites", Problems: wrong(""), Data: invites{}}},
		{"", Page{Name: "not_me", Data: token{"t1"}}},
		{"", Page{Name: "not_me_done"}},
		{"", Page{Name: "not_me_dead"}},
	}
}
