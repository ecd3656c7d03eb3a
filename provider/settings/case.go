package settings

import (
	"net/http"

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
		{"POST /account/case/stop", SignedIn, one, s.stopOwnCase},
		{"POST /account/case/release", SignedIn, one, s.releaseOwnCase},
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

// stopOwnCase stops whatever case waits, and shows it.
func (s *Settings) stopOwnCase(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	_, err := s.Store.FreezeCasesOf(r.Context(), sess, s.Site.Source(r))
	if err == nil {
		s.Site.SeeOther(w, r, "/account/case")
	}
	return err
}

// releaseOwnCase has the case that the page showed done at once.
func (s *Settings) releaseOwnCase(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	_, err := s.Store.ReleaseCaseOf(r.Context(), sess, r.PostForm.Get("case"), s.Site.Source(r))
	if err == nil {
		s.Site.SeeOther(w, r, "/account/case")
	}
	return err
}
