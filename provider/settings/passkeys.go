package settings

import (
	"net/http"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
)

// passkeys are those of the account as pages show them.
func (s *Settings) passkeys(r *http.Request, id account.ID) ([]web.Authenticator, error) {
	all, err := s.Store.Passkeys(r.Context(), id)
	if err != nil {
		return nil, err
	}
	shown := make([]web.Authenticator, len(all))
	for i, p := range all {
		if p.Name == "" {
			p.Name = s.Site.Text(r, "passkey.unnamed", nil)
		}
		shown[i] = web.Authenticator{ID: p.ID, Name: p.Name, Added: p.AddedAt, Used: p.UsedAt}
	}
	return shown, nil
}

func (s *Settings) addPasskey(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	if !s.Passkeys {
		s.toSecurity(w, r, "")
		return nil
	}
	return s.Enrol(w, r, sess, flows.AddPasskey, "/account/security?notice=passkey_added")
}

// askToRemovePasskey asks whether a passkey is to go, if it may.
func (s *Settings) askToRemovePasskey(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	return s.askToRemoveOf(w, r, sess, s.passkeys, "remove_passkey")
}

func (s *Settings) removePasskey(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	was, err := s.Store.RemovePasskey(r.Context(), sess, r.PostForm.Get("id"), s.Required(p), s.Site.Source(r))
	if err != nil {
		return err
	}
	notice := ""
	if was {
		notice = "passkey_removed"
	}
	s.toSecurity(w, r, notice)
	return nil
}
