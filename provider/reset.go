package provider

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Getting back in:
//
//	GET  /forgot-password        asks for the registered e-mail address
//	POST /forgot-password        answers everybody alike
//	GET  /reset-password?token=  opens a link: into a flow, then a clean URL
//	GET  /reset-password?flow=   asks for the new password
//	POST /reset-password         saves it
//	GET, POST /reset-password/cancel   "this was not me"
//
// A GET never uses a link up: mail scanners follow links.

// forgot asks for the address.
func (p *Provider) forgot(w http.ResponseWriter, r *http.Request) error {
	d := web.ForgotPage{}
	id := r.FormValue("flow")
	if f, err := p.flow(r, flows.Login); err == nil {
		d.Email = f.Request.Hint
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "forgot", Flow: id, Data: d})
}

// ask makes a link and queues its mail. Whether the address is registered
// changes neither the page, nor the status, nor the work done for it.
func (p *Provider) ask(w http.ResponseWriter, r *http.Request) error {
	typed := r.PostForm.Get("email")
	page := templates.Page{Name: "forgot", Flow: r.FormValue("flow"), Data: web.ForgotPage{Email: typed}}
	name := account.Normalise(typed)
	if key := emailProblem(name); key != "" {
		page.Problems = []templates.Problem{{Field: "email", Text: p.site.Text(r, key, nil)}}
		return p.site.Render(w, r, http.StatusUnprocessableEntity, page)
	}
	a := flows.ResetAsk{Subject: p.engine.Shadow(name), Shadow: true,
		Locale: p.site.Lang(r), By: account.BySelf, Source: p.site.Source(r)}
	person, err := p.Directory.Lookup(r.Context(), directory.ByEmail, name)
	switch {
	case err == nil && person.EmailVerified && !person.Disabled:
		a.Subject, a.Shadow = string(person.ID), false
	case err != nil && !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrAmbiguous):
		return err
	}
	if err := p.Store.AskReset(r.Context(), a); err != nil {
		return err
	}
	page.Name = "forgot_sent"
	page.Data = web.ForgotSentPage{Email: typed, From: p.From, Minutes: int(account.LinkFor.Minutes())}
	return p.site.Render(w, r, http.StatusOK, page)
}

// emailProblem names what is wrong with an address as typed, or nothing. Only
// the shape is judged; whether anybody has it is not told.
func emailProblem(name string) string {
	switch {
	case name == "":
		return "err.email_empty"
	case !web.LooksLikeEmail(name):
		return "err.email_shape"
	}
	return ""
}

// open turns the link's token into a flow of this browser and leaves it behind
// with a clean URL, so that no history, referrer or log keeps it.
func (p *Provider) open(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	if token == "" {
		return p.choosePassword(w, r)
	}
	hash := account.HashSecret(token)
	link, err := p.Store.OpenLink(r.Context(), hash, p.site.Source(r))
	if err != nil {
		return err
	}
	if link.Fate != account.Valid {
		return p.deadLink(w, r, link)
	}
	f := &flows.Flow{
		ID: account.NewSecret(), Kind: flows.Reset, Browser: p.site.Browser(w, r),
		Account: account.ID(link.Subject), Link: hash,
		Facts:   []flows.Fact{{Kind: flows.HoldsLink, Step: "link", At: p.engine.Now()}},
		Request: flows.Request{Arrived: p.engine.Now()},
	}
	p.Metrics.FlowStarted(string(f.Kind))
	if err := p.engine.Begin(r.Context(), f); err != nil {
		return err
	}
	p.site.SeeOther(w, r, "/reset-password?flow="+url.QueryEscape(f.ID))
	return nil
}

// choosePassword asks for the new password.
func (p *Provider) choosePassword(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Reset)
	if err != nil {
		return err
	}
	return p.show(w, r, f)
}

// savePassword saves it, and sends the person to sign in with it: to the app
// they came from, if this browser still holds its request.
func (p *Provider) savePassword(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Reset)
	if err != nil {
		return err
	}
	t, err := p.engine.Submit(r.Context(), f, p.visit(r), flows.NewPassword{}.Name(), r.PostForm)
	if err != nil {
		return err
	}
	if t.Done == nil {
		return p.render(w, r, f, t)
	}
	if t.Done.Link != account.Valid {
		link, err := p.Store.OpenLink(r.Context(), f.Link, p.site.Source(r))
		if err != nil {
			return err
		}
		return p.deadLink(w, r, link)
	}
	p.Metrics.FlowFinished(string(f.Kind), "done")
	p.site.Renew(w, r, f.Account, f.Epoch)
	to := "/login?notice=saved"
	if login, err := p.Store.LastLogin(r.Context(), f.Browser); err == nil {
		to += "&flow=" + url.QueryEscape(login.ID)
	}
	p.site.SeeOther(w, r, to)
	return nil
}

// deadLink says what became of a link, and offers a new one.
func (p *Provider) deadLink(w http.ResponseWriter, r *http.Request, l account.Link) error {
	d := web.LinkPage{Fate: string(l.Fate), NewerAt: l.NewerAt}
	return p.site.Render(w, r, http.StatusGone, templates.Page{Name: "link", Data: d})
}

// cancel asks whether the request was not the person's own.
func (p *Provider) cancel(w http.ResponseWriter, r *http.Request) error {
	d := web.CancelPage{Token: r.URL.Query().Get("token")}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "cancel", Data: d})
}

// cancelled ends the link. Where that comes too late, the page says so: whoever
// used the link may be in the account.
func (p *Provider) cancelled(w http.ResponseWriter, r *http.Request) error {
	was, err := p.Store.CancelReset(r.Context(), account.HashSecret(r.PostForm.Get("token")), p.site.Source(r))
	if err != nil {
		return err
	}
	if !was {
		return p.site.Render(w, r, http.StatusGone, templates.Page{Name: "not_cancelled"})
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "cancelled"})
}
