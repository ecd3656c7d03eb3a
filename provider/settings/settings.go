// Package settings is Account Settings: what people see and change of their own
// account, and Team Members: what the Owner and the Admins of a practice do for
// its people. It never judges a secret: who has to prove anew who they are is sent
// to a flow, and comes back.
package settings

import (
	"errors"
	"net/http"
	"slices"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Settings serves the pages below /account, and those behind the links that
// their mails carry. It is safe for concurrent use.
type Settings struct {
	Site      *web.Site
	Store     *store.Store
	Directory directory.Directory
	// Enrol sends the browser to a flow that changes how the account is proven,
	// and comes back to the page of ours.
	Enrol func(w http.ResponseWriter, r *http.Request, s *store.Session, c flows.Change, back string) error
	// Passkeys can be made here.
	Passkeys bool
	// Scopes are those that have words.
	Scopes []string
	// Required reports whether the person must have a second factor.
	Required func(*directory.Entry) bool
}

// Needs is what a request must bring before a page is served.
type Needs uint8

// The needs.
const (
	Nothing  Needs = iota // a link's token is in the request, or nothing is at stake
	SignedIn              // a live session
	Fresh                 // one whose every proof was given in the last five minutes
)

// Routes are all pages; read it as the table of contents. A POST that lacked its
// need leads back to a page from which it can be sent once more.
func (s *Settings) Routes() []Route {
	const security, sessions, email = "/account/security", "/account/sessions", "/account/email"
	return slices.Concat(s.teamRoutes(), s.inviteRoutes(), s.ownershipRoutes(), s.caseRoutes(), []Route{
		{"GET /account", SignedIn, "", s.front},
		{"GET /account/security", SignedIn, "", s.security},
		{"POST /account/security/password", SignedIn, security, s.changePassword},
		{"POST /account/security/authenticators", SignedIn, security, s.addAuthenticator},
		{"POST /account/security/passkeys", SignedIn, security, s.addPasskey},
		{"GET /account/security/passkeys/remove", Fresh, "", s.askToRemovePasskey},
		{"POST /account/security/passkeys/remove", Fresh, security, s.removePasskey},
		{"POST /account/security/backup-codes", SignedIn, security, s.replaceCodes},
		{"GET /account/security/authenticators/remove", Fresh, "", s.askToRemove},
		{"POST /account/security/authenticators/remove", Fresh, security, s.remove},
		{"POST /account/language", SignedIn, security, s.ownProfile(s.language)},

		{"GET /account/sessions", SignedIn, "", s.sessions},
		{"POST /account/sessions/end", SignedIn, sessions, s.end},
		{"POST /account/sessions/end-others", SignedIn, sessions, s.endOthers},
		{"GET /account/activity", SignedIn, "", s.activity},
		{"GET /account/apps", SignedIn, "", s.apps},
		{"POST /account/apps/withdraw", SignedIn, "/account/apps", s.withdraw},

		{"GET /account/email", Fresh, "", s.ownProfile(s.email)},
		{"POST /account/email", Fresh, email, s.ownProfile(s.askEmail)},
		{"POST /account/email/withdraw", SignedIn, security, s.ownProfile(s.withdrawEmail)},

		{"GET /confirm-email", Nothing, "", s.confirmEmail},
		{"POST /confirm-email", Nothing, "", s.emailConfirmed},
		{"GET /confirm-email/cancel", Nothing, "", s.cancelEmail},
		{"POST /confirm-email/cancel", Nothing, "", s.emailCancelled},
		{"GET /not-me", Nothing, "", s.notMe},
		{"POST /not-me", Nothing, "", s.disavow},
	})
}

// Route is one page. Serve gets the session, or nil where none is needed.
type Route struct {
	Pattern string
	Needs   Needs
	Back    string // where a GET leads back to that lacked its need; "": the page itself
	Serve   serve
}

type serve = func(w http.ResponseWriter, r *http.Request, s *store.Session) error

// ownProfile serves a page only where address and language are changed here.
func (s *Settings) ownProfile(h serve) serve {
	return func(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
		if !s.Directory.Capabilities().SetProfile {
			s.toSecurity(w, r, "")
			return nil
		}
		return h(w, r, sess)
	}
}

// front leads to the first page.
func (s *Settings) front(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	s.toSecurity(w, r, "")
	return nil
}

// toSecurity leads there, to tell what has just been done, if anything.
func (s *Settings) toSecurity(w http.ResponseWriter, r *http.Request, notice string) {
	s.Site.SeeOther(w, r, "/account/security"+query(notice))
}

func query(notice string) string {
	if notice == "" {
		return ""
	}
	return "?notice=" + notice
}

// notices are all that a page may be asked to tell: a link to it cannot put
// other words there.
var notices = [...]string{"password_changed", "authenticator_added", "authenticator_removed",
	"passkey_added", "passkey_removed", "codes_made",
	"session_ended", "sessions_ended", "language_saved", "email_withdrawn", "app_withdrawn",
	"link_sent", "member_unlocked", "member_second_reset", "member_role", "member_locations", "member_signed_out",
	"member_deactivated", "member_reactivated", "location_added", "location_renamed", "location_removed",
	"transfer_offered", "transfer_agreed", "transfer_ended", "invite_sent", "invite_withdrawn"}

// notice returns the words for what has just been done, or "".
func (s *Settings) notice(r *http.Request) string {
	key := r.URL.Query().Get("notice")
	if !slices.Contains(notices[:], key) {
		return ""
	}
	return s.Site.Text(r, "notice."+key, nil)
}

// person returns whose session it is. Who is not in the directory any more has
// no settings.
func (s *Settings) person(r *http.Request, sess *store.Session) (*directory.Entry, error) {
	p, err := s.Directory.Lookup(r.Context(), directory.ByID, string(sess.Account))
	if errors.Is(err, directory.ErrNotFound) {
		return nil, flows.ErrNoFlow
	}
	return p, err
}

// render shows a page of Account Settings. It leads to the team those who run one,
// and tells of a case that waits.
func (s *Settings) render(w http.ResponseWriter, r *http.Request, p *directory.Entry, status int, page templates.Page) error {
	page.Team = s.runsTeam(p)
	var err error
	if page.Case, err = s.Store.CaseWaits(r.Context(), p.ID); err != nil {
		return err
	}
	return s.Site.Render(w, r, status, page)
}

// show does so where nothing else of the person is needed.
func (s *Settings) show(w http.ResponseWriter, r *http.Request, sess *store.Session, page templates.Page) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	return s.render(w, r, p, http.StatusOK, page)
}
