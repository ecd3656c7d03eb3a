package settings

import (
	"net/http"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// apps lists the apps of others that the person allowed to see something.
func (s *Settings) apps(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	all, err := s.Store.Consents(r.Context(), sess.Account)
	if err != nil {
		return err
	}
	lines := make([]web.AppLine, len(all))
	for i, c := range all {
		lines[i] = web.AppLine{Client: c.Client, Name: c.Name, Scopes: web.ScopeLines(c.Scopes, s.Scopes), Given: c.GivenAt}
	}
	return s.show(w, r, sess, templates.Page{Name: "apps", Notice: s.notice(r), Data: web.AppsPage{Apps: lines}})
}

// withdraw takes back what an app was allowed.
func (s *Settings) withdraw(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	was, err := s.Store.WithdrawConsent(r.Context(), sess, r.PostForm.Get("client"), s.Site.Source(r))
	if err != nil {
		return err
	}
	notice := ""
	if was {
		notice = "app_withdrawn"
	}
	s.Site.SeeOther(w, r, "/account/apps"+query(notice))
	return nil
}
