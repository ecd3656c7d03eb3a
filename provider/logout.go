package provider

import (
	"errors"
	"net/http"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// home tells whoever is signed in that they are.
func (p *Provider) home(w http.ResponseWriter, r *http.Request, s *store.Session) error {
	d := web.HomePage{}
	person, err := p.Directory.Lookup(r.Context(), directory.ByID, string(s.Account))
	switch {
	case err == nil:
		d.Username = person.Username
	case !errors.Is(err, directory.ErrNotFound):
		return err
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "home", Data: d})
}

// logout asks first: a link to it on a stranger's page signs nobody out.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	name := "logout"
	if _, _, err := p.site.Sessions.Current(r); errors.Is(err, store.ErrNoSession) {
		name = "logged_out"
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: name})
}

// loggedOut ends the session of this browser.
func (p *Provider) loggedOut(w http.ResponseWriter, r *http.Request) error {
	_, token, err := p.site.Sessions.Current(r)
	switch {
	case err == nil:
		if err := p.Store.EndSession(r.Context(), token, account.SignedOut); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNoSession):
		return err
	}
	p.site.Sessions.End(w, r)
	// ASVS 14.3.1. Not "cookies": the device cookie spares the person limits.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "logged_out"})
}
