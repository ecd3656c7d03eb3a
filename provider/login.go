package provider

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Signing in has three routes, whatever its steps:
//
//	GET  /login            shows what is asked next
//	POST /login/{step}     answers it
//	GET  /login/continue   takes up the app's request again
//
// Every answer goes to the engine, the one place that decides what comes
// next, so a step can be added, dropped or reordered in the policy alone.

// login shows what the flow asks now. Without a flow it is a visit of our own:
// whoever is signed in is told so, others may sign in.
func (p *Provider) login(w http.ResponseWriter, r *http.Request) error {
	if id := r.FormValue("flow"); id != "" {
		f, err := p.flow(r, flows.Login)
		if err != nil {
			return err
		}
		return p.show(w, r, f)
	}
	if s, _, err := p.site.Sessions.Current(r); err == nil {
		return p.home(w, r, s)
	} else if !errors.Is(err, store.ErrNoSession) {
		return err
	}
	f := &flows.Flow{Request: flows.Request{Arrived: p.engine.Now()}}
	if err := p.begin(w, r, f); err != nil {
		return err
	}
	return p.show(w, r, f)
}

// begin starts a login flow in this browser.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, f *flows.Flow) error {
	f.ID, f.Kind, f.Browser = account.NewSecret(), flows.Login, p.site.Browser(w, r)
	p.Metrics.FlowStarted(string(f.Kind))
	return p.engine.Begin(r.Context(), f)
}

// beginFor starts a login flow for an app's request and sends the browser to
// the sign-in page.
func (p *Provider) beginFor(w http.ResponseWriter, r *http.Request, req flows.Request) error {
	f := &flows.Flow{Request: req}
	if err := p.begin(w, r, f); err != nil {
		return err
	}
	p.site.SeeOther(w, r, "/login?flow="+url.QueryEscape(f.ID))
	return nil
}

// flow returns the flow that the request names, if it is of the kind and
// bound to this browser.
func (p *Provider) flow(r *http.Request, k flows.Kind) (*flows.Flow, error) {
	browser, ok := p.site.BrowserIf(r)
	if !ok {
		return nil, web.ErrNoCookie
	}
	f, err := p.Store.Flow(r.Context(), r.FormValue("flow"), browser)
	if err == nil && f.Kind != k {
		return nil, flows.ErrNoFlow
	}
	return f, err
}

func (p *Provider) show(w http.ResponseWriter, r *http.Request, f *flows.Flow) error {
	t, err := p.engine.Show(r.Context(), f, p.visit(r))
	if err != nil {
		return err
	}
	return p.render(w, r, f, t)
}

// answer gives the form to a step and does what comes of it.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Login)
	if err != nil {
		return err
	}
	t, err := p.engine.Submit(r.Context(), f, p.visit(r), flows.StepName(r.PathValue("step")), r.PostForm)
	if err != nil {
		return err
	}
	if t.Done != nil {
		return p.signedIn(w, r, f, t.Done)
	}
	if t.Again == nil && t.Stop == nil {
		p.site.SeeOther(w, r, "/login?flow="+url.QueryEscape(f.ID))
		return nil
	}
	return p.render(w, r, f, t)
}

// visit is what the engine may know of this request.
func (p *Provider) visit(r *http.Request) flows.Visit {
	_, token, _ := p.site.Sessions.Current(r)
	return flows.Visit{
		Source: p.site.Source(r),
		Exempt: p.site.Unlimited(r),
		Known:  p.site.Known(r),
		Session: flows.NewSession{
			Replaces: token,
			Device:   web.Device(r),
			Address:  p.site.Address(r),
		},
	}
}

// signedIn gives the browser its session and the app its answer.
func (p *Provider) signedIn(w http.ResponseWriter, r *http.Request, f *flows.Flow, d *flows.Done) error {
	p.Metrics.FlowFinished(string(f.Kind), "done")
	if err := p.site.Sessions.Set(w, r, d.Session.Token); err != nil {
		return err
	}
	p.site.Remember(w, r, d.Account)
	if f.Request.Authorize == "" {
		p.site.SeeOther(w, r, "/login")
		return nil
	}
	return p.explained(w, r, p.oidc.resume(w, r, f.Request, &store.Session{
		ID: account.HashSecret(d.Session.Token), Account: d.Account, Practice: f.Practice,
		Epoch: f.Epoch, AuthTime: f.Finished, Methods: d.Session.Methods, ACR: d.Session.ACR,
		CreatedAt: f.Finished, SeenAt: f.Finished,
	}))
}

// takeUp goes back to the app's request of a flow, with whatever session the
// browser has by now: the way on from a page that was answered already.
func (p *Provider) takeUp(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, flows.Login)
	if err == nil && f.Request.Authorize != "" {
		p.site.SeeOther(w, r, "/authorize?"+f.Request.Authorize)
		return nil
	}
	p.site.SeeOther(w, r, "/login")
	return nil
}

// render shows a step's page, or why there is none.
func (p *Provider) render(w http.ResponseWriter, r *http.Request, f *flows.Flow, t *flows.Turn) error {
	if t.Stop != nil {
		return p.stopped(w, r, f, t.Stop)
	}
	page := templates.Page{Name: pageOf[t.Step], Flow: f.ID, App: f.Request.ClientName,
		Step: string(t.Step), Action: p.base + "/login/" + string(t.Step), Data: t.Page}
	if f.Kind == flows.Reset {
		page.Action = p.base + "/reset-password"
	}
	status := http.StatusOK
	if t.Again != nil {
		status = p.mark(r, &page, t.Again)
	} else if r.FormValue("notice") == "saved" {
		page.Notice = p.site.Text(r, "notice.password_saved", nil)
	}
	web.Target(r, f.Request.Target)
	return p.site.Render(w, r, status, page)
}

// pageOf is the page of each step.
var pageOf = map[flows.StepName]string{
	flows.Identify{}.Name():    "login",
	flows.Password{}.Name():    "login",
	flows.NewPassword{}.Name(): "new_password",
}

// mark puts on the page what was wrong, and returns the status: 401 for
// credentials that are not right, 422 for a field to mend.
func (p *Provider) mark(r *http.Request, page *templates.Page, a *flows.Again) int {
	page.Problems = []templates.Problem{{Field: a.Field, Text: p.site.Text(r, a.Message.Key, a.Message.Args)}}
	if a.Left > 0 {
		page.Warning = p.site.Text(r, "warn.attempts", map[string]any{"n": a.Left})
	}
	if d, ok := page.Data.(flows.SignInPage); ok && a.Typed != "" {
		d.Identifier = a.Typed
		page.Data = d
	}
	if a.Field == "" {
		return http.StatusUnauthorized
	}
	return http.StatusUnprocessableEntity
}
