package provider

import (
	"errors"
	"net/http"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/settings"
	"github.com/medximity/idp/provider/store"
)

// settings assembles Account Settings.
func (p *Provider) settings() *settings.Settings {
	return &settings.Settings{
		Site: p.site, Store: p.Store, Directory: p.Directory,
		Enrol: p.enrol, Passkeys: p.engine.Passkeys != nil, Scopes: knownScopes,
		Required: func(e *directory.Entry) bool { return p.engine.Requires(e) },
	}
}

// admit serves a page to whoever brings what it needs. Others prove it first,
// and come back.
func (p *Provider) admit(rt settings.Route) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if rt.Needs == settings.Nothing {
			return rt.Serve(w, r, nil)
		}
		back := rt.Back
		if back == "" {
			back = r.URL.RequestURI()
		}
		s, err := p.session(r)
		if errors.Is(err, store.ErrNoSession) {
			return p.beginFor(w, r, flows.Request{Arrived: p.engine.Now(), Return: back})
		}
		if err != nil {
			return err
		}
		if rt.Needs == settings.Fresh {
			ok, err := p.freshest(r, s)
			if err != nil {
				return err
			}
			if !ok {
				return p.again(w, r, s, back)
			}
		}
		return rt.Serve(w, r, s)
	}
}

// freshest reports whether the session proved lately all that its account can.
func (p *Provider) freshest(r *http.Request, s *store.Session) (bool, error) {
	if !p.fresh(s) || flows.TwoFactors(s.ACR) {
		return p.fresh(s), nil
	}
	second, err := p.Store.Second(r.Context(), s.Account)
	return !second.Any(), err
}
