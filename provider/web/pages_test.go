package web

import (
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/templates"
)

// The structs fit their pages, in every language.
func TestPageData(t *testing.T) {
	g := newRig(t)
	at := time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)
	nora := MemberLine{ID: "p2", Name: "Nora Bell", Username: "nora", Role: "front_desk", Status: "locked", Until: at, Manage: true}
	for _, p := range []templates.Page{
		{Name: "login", Step: "identify", Flow: "f1", Data: flows.SignInPage{Identifier: "grace", App: "Chart", Passkey: "{}"}},
		{Name: "new_password", Action: "/id/reset-password", Data: flows.NewPasswordPage{Username: "grace", Min: 15, Max: 256}},
		{Name: "locked", Data: LockedPage{30, at}},
		{Name: "busy", Data: BusyPage{2}},
		{Name: "forgot", Data: ForgotPage{"a@b.example"}},
		{Name: "forgot_sent", Data: ForgotSentPage{"a@b.example", "no-reply@c.example", 60}},
		{Name: "link", Data: LinkPage{Fate: "superseded", NewerAt: at}},
		{Name: "cancel", Data: CancelPage{"t1"}},
		{Name: "support", Data: SupportPage{}},
		{Name: "case_status", Data: CasePage{Token: "t1", Reference: "AB12CD34", State: "open", Opened: at, Due: at, Overdue: true}},
		{Name: "desk", Data: DeskPage{Cases: []CaseLine{{ID: "AB12CD34", State: "waiting", Remedies: []string{"email"}, Until: at, Taken: true}}, Query: "X"}},
		{Name: "desk_case", Data: DeskCasePage{CaseLine: CaseLine{ID: "AB12CD34", State: "verifying", Name: "Grace", Yours: true, Taken: true}, Open: true, Begun: true,
			Known: true, Status: "active", Role: "owner", Facts: []FactLine{{"npi", "1234567893", "yes", ""}}, Checks: []CheckLine{{"facts", true}},
			People: []PersonChoice{{"p1", "username", true}}, Choices: []RemedyChoice{{"email", true}}, Lacks: []string{"identity"},
			Replies: []string{"confirm"}, Refusals: []string{"unproven"}, Log: []CaseLogLine{{At: at, Who: "amy", Action: "check", Item: "check.facts", Text: "Seen."}}}},
		{Name: "desk_trail", Data: DeskTrailPage{"AB12CD34", []ActivityLine{{What: "signed_in", At: at}}}},
		{Name: "case_notice", Action: "/account/case", Data: CaseNoticePage{Reference: "AB12CD34", Remedies: []string{"email"}, Waiting: true, Until: at, Release: true}},
		{Name: "support_sent", Data: SupportSentPage{"AB12CD34", at}},
		{Name: "home", Data: HomePage{"grace"}},
		{Name: "logout", App: "Chart", Data: LogoutPage{[]FormField{{"state", "s1"}}, "no ID token of ours"}},
		{Name: "logged_out", App: "Chart", Data: LoggedOutPage{[]Frame{{"Chart", "https://chart.example/out"}}, "https://chart.example/bye"}},
		{Name: "stale", Data: StalePage{}},
		{Name: "totp", Step: "totp", Flow: "f1", Data: flows.CodePage{App: "Chart"},
			Problems: []templates.Problem{{Field: "otp", Text: "Wrong."}}}, // without one the field has the focus
		{Name: "backup_code", Step: "backup-code", Flow: "f1", Data: flows.CodePage{App: "Chart"}},
		{Name: "passkey", Step: "passkey", Flow: "f1", Data: flows.PasskeyPage{App: "Chart", Options: "{}"}},
		{Name: "set_up_passkey", Step: "set-up-passkey", Flow: "f1", Data: flows.SetUpPasskeyPage{Username: "grace", Options: "{}"}},
		{Name: "remove_passkey", Data: RemovePage{Authenticator{"p1", "Laptop", at, at}, true}},
		{Name: "set_up_totp", Step: "set-up-totp", Flow: "f1", Data: flows.SetUpPage{Username: "grace", Key: "JBSWY3DPEHPK3PXP",
			URI: "otpauth://totp/Medximity:grace?secret=JBSWY3DPEHPK3PXP&issuer=Medximity", Name: "Phone", First: true}},
		{Name: "backup_codes", Step: "backup-codes", Flow: "f1", Data: flows.CodesPage{Codes: []string{"4X7K-9QWM-2BTFZ"}}},
		{Name: "offer_passkey", Step: "offer-passkey", Flow: "f1", Data: flows.OfferPasskeyPage{Options: "{}", Name: "Laptop"}},
		{Name: "more_codes", Step: "more-backup-codes", Flow: "f1", Data: flows.OfferPage{Left: 2}},
		{Name: "confirm", Step: "password", Flow: "f1", Data: flows.ConfirmPage{Username: "grace", App: "Chart", Changing: true}},
		{Name: "security", Notice: "Done.", Data: SecurityPage{Username: "grace", Email: "grace@b.example",
			NewEmail: "hopper@b.example", Language: "ko", OwnPassword: true, OwnProfile: true, Required: true,
			Authenticators: []Authenticator{{"a1", "Phone", at, at}}, CodesLeft: 3}},
		{Name: "join", Action: "/id/invite", Data: flows.JoinPage{Practice: "Riverside", Email: "ann@b.example", Role: "front_desk", Min: 15, Max: 256}},
		{Name: "invite_dead", Data: LinkPage{Fate: "superseded", NewerAt: at}},
		{Name: "invite", Data: InvitePage{Email: "ann", Role: "billing", Roles: []string{"front_desk", "billing"},
			Locations: []LocationChoice{{"l1", "Main Street", true}}}},
		{Name: "invites", Data: InvitesPage{[]InviteLine{{ID: "i1", Email: "ann@b.example", Role: "billing",
			Locations: []string{"Main Street"}, Sent: at, Until: at, Theirs: true}}}},
		{Name: "remove_authenticator", Data: RemovePage{Authenticator{"a1", "Phone", at, at}, true}},
		{Name: "sessions", Data: SessionsPage{[]SessionLine{{"s1", "Firefox on Windows", "192.0.2.7", at, at, true},
			{"s2", "", "", at, at, false}}}},
		{Name: "activity", Data: ActivityPage{[]ActivityLine{{What: "signed_in", At: at, Source: "192.0.2.7"}, {What: "lock_cleared", At: at, Other: true},
			{What: "lock_cleared", At: at, Team: true}}}},
		{Name: "email", Data: EmailPage{"grace@b.example", "hopper@b"}},
		{Name: "email_sent", Data: EmailSentPage{"grace@b.example", "hopper@b.example"}},
		{Name: "email_confirm", Data: EmailLinkPage{"t1", "hopper@b.example"}},
		{Name: "email_confirmed", Data: EmailConfirmedPage{Wait: "hopper@b.example"}},
		{Name: "email_cancel", Data: EmailLinkPage{"t1", "hopper@b.example"}},
		{Name: "not_me", Data: NotMePage{"t1"}},
		{Name: "team", Team: true, Data: TeamPage{Practice: "Riverside", Members: []MemberLine{nora}, Found: 60, Previous: 1, Next: 3}},
		{Name: "member", Data: MemberPage{MemberLine: nora, Email: "nora@b.example", Roles: []string{"billing", "front_desk"},
			Locations: []LocationChoice{{"l1", "Main Street", true}}, Heir: true}},
		{Name: "member_confirm", Data: MemberConfirmPage{nora, "deactivate"}},
		{Name: "ownership", Data: OwnershipPage{State: "agreed", Practice: "Riverside", Owner: "Grace", Heir: "Nora", Due: at}},
		{Name: "ownership_cancel", Data: NotMePage{"t1"}},
		{Name: "locations", Data: LocationsPage{Practice: "Riverside", Locations: []LocationChoice{{"l1", "Main Street", false}}}},
		{Name: "access", Data: AccessPage{"Riverside", at, []AccessLine{{nora, "nora@b.example", []string{"Main Street"}}}, 90}},
		{Name: "fault", Data: FaultPage{"AB12CD34"}},
		{Name: "unavailable", Data: FaultPage{"AB12CD34"}},
		{Name: "oauth_error", Data: OAuthErrorPage{"Chart", "invalid_scope", "no such scope"}},
		{Name: "form_post", Data: FormPostPage{"Chart", "https://chart.example/cb", []FormField{{"code", "c1"}}}},
	} {
		for _, lang := range templates.Languages() {
			r := get("/page")
			r.Header.Set("Accept-Language", lang)
			resp := g.handle(r, g.shows(200, p))
			out := body(t, resp)
			if resp.StatusCode != 200 || !strings.Contains(out, "<h1>") || inlineOf(t, out) != "" {
				t.Errorf("%s in %s: %d %s", p.Name, lang, resp.StatusCode, inlineOf(t, out))
			}
		}
	}
	if g.log.Len() > 0 {
		t.Errorf("log: %s", g.log)
	}
}
