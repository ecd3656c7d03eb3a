package provider

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Joining a practice:
//
//	GET  /invite?token=   opens an invitation: into a flow, then a clean URL
//	GET  /invite?flow=    asks for a name and a password
//	POST /invite          makes the account, and leads to the sign-in page
//
// A GET never uses an invitation up: mail scanners follow links. Nobody is
// signed in by one: who joined signs in, with a second factor where one is due.

// openInvite turns the link's token into a flow of this browser.
func (p *Provider) openInvite(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	if token == "" {
		return p.askToJoin(w, r)
	}
	hash := account.HashSecret(token)
	i, err := p.Store.OpenInvitation(r.Context(), hash, p.site.Source(r))
	if err != nil {
		return err
	}
	if i.Fate != account.Valid {
		return p.deadInvite(w, r, i)
	}
	f := &flows.Flow{
		ID: account.NewSecret(), Kind: flows.Invite, Browser: p.site.Browser(w, r),
		Practice: i.Practice, Link: hash,
		Facts:   []flows.Fact{{Kind: flows.HoldsLink, Step: "link", At: p.engine.Now()}},
		Request: flows.Request{Arrived: p.engine.Now()},
	}
	p.Metrics.FlowStarted(string(f.Kind))
	if err := p.engine.Begin(r.Context(), f); err != nil {
		return err
	}
	p.site.SeeOther(w, r, "/invite?flow="+url.QueryEscape(f.ID))
	return nil
}

// askToJoin asks for name and password.
func (p *Provider) askToJoin(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Invite)
	if err != nil {
		return err
	}
	return p.orDead(w, r, f, p.show(w, r, f))
}

// join makes the account. Its person's language from now on is that of the page.
func (p *Provider) join(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Invite)
	if err != nil {
		return err
	}
	f.Request.Locales = p.site.Lang(r)
	t, err := p.engine.Submit(r.Context(), f, p.visit(r), flows.Join{}.Name(), r.PostForm)
	if err != nil {
		return p.orDead(w, r, f, err)
	}
	if t.Done == nil {
		return p.render(w, r, f, t)
	}
	i, err := p.Store.Invitation(r.Context(), f.Link)
	if err != nil {
		return err
	}
	if t.Done.Link != account.Valid {
		i.Fate = t.Done.Link
		return p.deadInvite(w, r, i)
	}
	p.Metrics.FlowFinished(string(f.Kind), "done")
	return p.joined(w, r, f, i.Email)
}

// joined leads to the sign-in page, with the address filled in: to the app that
// this browser came from, if it still holds its request.
func (p *Provider) joined(w http.ResponseWriter, r *http.Request, f *flows.Flow, email string) error {
	login, err := p.Store.LastLogin(r.Context(), f.Browser)
	if err != nil && !errors.Is(err, flows.ErrNoFlow) {
		return err
	}
	if err != nil || login.Request.Authorize == "" {
		login = &flows.Flow{Request: flows.Request{Arrived: p.engine.Now(), Hint: email}}
		if err := p.begin(w, r, login); err != nil {
			return err
		}
	}
	p.site.SeeOther(w, r, "/login?notice=joined&flow="+url.QueryEscape(login.ID))
	return nil
}

// orDead shows what became of an invitation since it was opened, if that is why
// its flow leads nowhere.
func (p *Provider) orDead(w http.ResponseWriter, r *http.Request, f *flows.Flow, err error) error {
	if !errors.Is(err, flows.ErrNoFlow) {
		return err
	}
	i, broken := p.Store.Invitation(r.Context(), f.Link)
	if broken != nil {
		return broken
	}
	if i.Fate == account.Valid {
		return err
	}
	return p.deadInvite(w, r, i)
}

// deadInvite says what became of an invitation, and what to do.
func (p *Provider) deadInvite(w http.ResponseWriter, r *http.Request, i account.Invitation) error {
	d := web.LinkPage{Fate: string(i.Fate), NewerAt: i.NewerAt}
	return p.site.Render(w, r, http.StatusGone, templates.Page{Name: "invite_dead", Data: d})
}
