package settings

import (
	"net/http"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// notMe asks whether a change was somebody else's. It changes nothing: mail
// scanners follow links.
func (s *Settings) notMe(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	token := r.URL.Query().Get("token")
	live, err := s.Store.Disavowable(r.Context(), account.HashSecret(token))
	if err != nil {
		return err
	}
	if !live {
		return s.gone(w, r, "not_me_dead")
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "not_me", Data: web.NotMePage{Token: token}})
}

// disavow secures the account.
func (s *Settings) disavow(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	was, err := s.Store.Disavow(r.Context(), account.HashSecret(r.PostForm.Get("token")), s.Site.Source(r))
	if err != nil {
		return err
	}
	if !was {
		return s.gone(w, r, "not_me_dead")
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "not_me_done"})
}
