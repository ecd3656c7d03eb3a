package settings

import (
	"context"
	"net/http"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// What Support is about to do to the account of a live session, which may stop it:
//
//	GET  /account/case           what it is
//	POST /account/case/stop      "this was not me"
//	POST /account/case/release   it was: no need to wait
//
// A session does for it, however old: who lost their second factor could not prove
// it anew, and to stop a theft must never be hard.

func (s *Settings) caseRoutes() []Route {
	const one = "/account/case"
	return []Route{
		{"GET /account/case", SignedIn, "", s.ownCase},
		{"POST /account/case/stop", SignedIn, one, s.toOwnCase(s.Store.FreezeCasesOf)},
		{"POST /account/case/release", SignedIn, one, s.toOwnCase(s.Store.ReleaseCaseOf)},
	}
}

// ownCase tells it.
func (s *Settings) ownCase(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	n, err := s.Store.NoticeOf(r.Context(), sess.Account)
	if err != nil {
		return err
	}
	if n == nil {
		return s.show(w, r, sess, templates.Page{Name: "case_over"})
	}
	return s.show(w, r, sess, templates.Page{Name: "case_notice", Action: "/account/case", Data: web.CaseNoticeOf(n, "")})
}

// toOwnCase does something to it, and shows how it stands then.
func (s *Settings) toOwnCase(do func(context.Context, *store.Session, account.Source) (bool, error)) serve {
	return func(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
		if _, err := do(r.Context(), sess, s.Site.Source(r)); err != nil {
			return err
		}
		s.Site.SeeOther(w, r, "/account/case")
		return nil
	}
}
