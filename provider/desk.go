package provider

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/support"
)

// desk assembles the support desk.
func (p *Provider) desk() *support.Desk {
	return &support.Desk{Site: p.site, Store: p.Store, Directory: p.Directory, Registered: p.registered}
}

// registered compares an NPI and a name with the registry: one that is not in it,
// or was deactivated, fits nobody. It is "" where there is no registry.
func (p *Provider) registered(npi, name string) (string, error) {
	if p.Registry == nil {
		return "", nil
	}
	e, found, err := p.Registry.Lookup(npi)
	if err != nil || !found || !e.Active || !e.Names(name) {
		return "no", err
	}
	return "yes", nil
}

// atDesk serves a page to agents who proved both factors. To anybody else, and
// from anywhere but the desk's networks, it is a page that is not there. It needs
// the built-in directory: in another one nothing of an account could be mended.
func (p *Provider) atDesk(rt support.Route) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if c := p.Directory.Capabilities(); !c.Team || !c.SetProfile || !p.inDesk(r) {
			return p.notFound(w, r)
		}
		back := r.URL.RequestURI()
		if r.Method == http.MethodPost {
			back = "/support"
			if id := r.PostForm.Get("id"); id != "" {
				back += "/case?id=" + url.QueryEscape(id)
			}
		}
		s, err := p.session(r)
		if errors.Is(err, store.ErrNoSession) {
			return p.beginFor(w, r, flows.Request{Arrived: p.engine.Now(), Return: back})
		}
		if err != nil {
			return err
		}
		e, err := p.Directory.Lookup(r.Context(), directory.ByID, string(s.Account))
		if errors.Is(err, directory.ErrNotFound) || err == nil && account.Role(e.Role) != account.Support {
			return p.notFound(w, r)
		}
		if err != nil {
			return err
		}
		if !flows.TwoFactors(s.ACR) || rt.Fresh && !p.fresh(s) {
			return p.again(w, r, s, back)
		}
		return rt.Serve(w, r, store.Agent{Account: s.Account, From: p.site.Source(r)})
	}
}

// inDesk reports whether a request comes from where agents work.
func (p *Provider) inDesk(r *http.Request) bool {
	if len(p.DeskNetworks) == 0 {
		return true
	}
	a := p.site.Address(r)
	for _, n := range p.DeskNetworks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
