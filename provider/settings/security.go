package settings

import (
	"net/http"
	"slices"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// security shows how the account is proven, and what can be changed about it.
func (s *Settings) security(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	second, err := s.Store.Second(r.Context(), p.ID)
	if err != nil {
		return err
	}
	d := web.SecurityPage{Username: p.Username, Email: p.Email, Required: s.Required(p), CodesLeft: second.Codes}
	c := s.Directory.Capabilities()
	d.OwnPassword, d.OwnProfile = c.SetPassword, c.SetProfile
	d.Language, _ = s.Site.Templates.Speaks(p.Locale)
	if d.Authenticators, err = s.authenticators(r, p.ID); err != nil {
		return err
	}
	if d.Passkeys, err = s.passkeys(r, p.ID); err != nil {
		return err
	}
	d.CanPasskey, d.Fixed = s.Passkeys, d.Required && second.Authenticators+second.Passkeys == 1
	if d.NewEmail, err = s.Store.PendingEmail(r.Context(), p.ID); err != nil {
		return err
	}
	return s.render(w, r, p, http.StatusOK, templates.Page{Name: "security", Notice: s.notice(r), Data: d})
}

// authenticators are those of the account as pages show them: without keys.
func (s *Settings) authenticators(r *http.Request, id account.ID) ([]web.Authenticator, error) {
	all, err := s.Store.Authenticators(r.Context(), id)
	if err != nil {
		return nil, err
	}
	shown := make([]web.Authenticator, len(all))
	for i, a := range all {
		if a.Name == "" {
			a.Name = s.Site.Text(r, "authenticator.unnamed", nil)
		}
		shown[i] = web.Authenticator{ID: a.ID, Name: a.Name, Added: a.AddedAt, Used: a.UsedAt}
	}
	return shown, nil
}

func (s *Settings) changePassword(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	if !s.Directory.Capabilities().SetPassword {
		s.toSecurity(w, r, "")
		return nil
	}
	return s.Enrol(w, r, sess, flows.ChangePassword, "/account/security?notice=password_changed")
}

func (s *Settings) addAuthenticator(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	return s.Enrol(w, r, sess, flows.AddAuthenticator, "/account/security?notice=authenticator_added")
}

// replaceCodes is for whoever has an authenticator: backup codes stand in for
// one, and are no second factor of their own.
func (s *Settings) replaceCodes(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	second, err := s.Store.Second(r.Context(), sess.Account)
	if err != nil {
		return err
	}
	if !second.Any() {
		s.toSecurity(w, r, "")
		return nil
	}
	return s.Enrol(w, r, sess, flows.ReplaceBackupCodes, "/account/security?notice=codes_made")
}

// askToRemove asks whether an authenticator is to go, if it may.
func (s *Settings) askToRemove(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	return s.askToRemoveOf(w, r, sess, s.authenticators, "remove_authenticator")
}

// askToRemoveOf asks of one of a list, on a page: of the last second factor only
// where none is required.
func (s *Settings) askToRemoveOf(w http.ResponseWriter, r *http.Request, sess *store.Session,
	list func(*http.Request, account.ID) ([]web.Authenticator, error), page string) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	all, err := list(r, p.ID)
	if err != nil {
		return err
	}
	second, err := s.Store.Second(r.Context(), p.ID)
	if err != nil {
		return err
	}
	id := r.URL.Query().Get("id")
	i := slices.IndexFunc(all, func(a web.Authenticator) bool { return a.ID == id })
	last := second.Authenticators+second.Passkeys == 1
	if i < 0 || last && s.Required(p) {
		s.toSecurity(w, r, "")
		return nil
	}
	return s.render(w, r, p, http.StatusOK, templates.Page{Name: page,
		Data: web.RemovePage{Authenticator: all[i], Last: last}})
}

func (s *Settings) remove(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	was, err := s.Store.RemoveAuthenticator(r.Context(), sess, r.PostForm.Get("id"), s.Required(p), s.Site.Source(r))
	if err != nil {
		return err
	}
	if !was {
		s.toSecurity(w, r, "")
		return nil
	}
	s.toSecurity(w, r, "authenticator_removed")
	return nil
}
