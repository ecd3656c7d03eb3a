package provider

import (
	"errors"
	"net/http"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// What the OpenID half needs of the pages: a session, and somewhere to say
// what must not be said by redirect.

// authorize is the authorization endpoint. What cannot go back to the app,
// because it is not known to be one, is a page.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	return p.explained(w, r, p.oidc.authorize(w, r))
}

func (p *Provider) explained(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*pageError](err)
	if !ok {
		return err
	}
	return p.site.Render(w, r, http.StatusBadRequest, templates.Page{Name: "oauth_error", App: e.App,
		Data: web.OAuthErrorPage{App: e.App, Code: e.Code, Description: e.Description}})
}

// session returns the browser's live session, or store.ErrNoSession.
func (p *Provider) session(r *http.Request) (*store.Session, error) {
	s, _, err := p.site.Sessions.Current(r)
	return s, err
}

// formPost shows the page that posts an answer to the app.
func (p *Provider) formPost(w http.ResponseWriter, r *http.Request, f formPost) error {
	d := web.FormPostPage{Action: f.Action}
	for _, field := range f.Fields {
		d.Fields = append(d.Fields, web.FormField(field))
	}
	web.Target(r, f.Target)
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "form_post", App: f.App, Data: d})
}

// consent shows the page that asks what an app of others may see.
func (p *Provider) consent(w http.ResponseWriter, r *http.Request, c consent) error {
	d := web.ConsentPage{Site: c.Site, Scopes: web.ScopeLines(c.Scopes, knownScopes), Request: c.Request}
	s, err := p.session(r)
	if err != nil {
		return err
	}
	switch person, err := p.Directory.Lookup(r.Context(), directory.ByID, string(s.Account)); {
	case err == nil:
		d.Username = person.Username
	case !errors.Is(err, directory.ErrNotFound):
		return err
	}
	web.Target(r, c.Target)
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "consent", App: c.App, Data: d})
}

// consented takes the person's answer.
func (p *Provider) consented(w http.ResponseWriter, r *http.Request) error {
	return p.explained(w, r, p.oidc.decided(w, r))
}
