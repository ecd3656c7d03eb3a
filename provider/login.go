package provider

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Signing in has these routes, whatever its steps; stepping up and enrolling
// have the same:
//
//	GET  /login            shows what is asked next, way= in which of its ways
//	POST /login/{step}     answers it
//	GET  /login/continue   takes up the app's request again
//	POST /login/extend     gives more time
//	GET  /login/other      signs in as somebody else, for the same request
//	GET  /login/backup-codes.txt   the codes that the page shows, as a file
//
// Every answer goes to the engine, the one place that decides what comes
// next, so a step can be added, dropped or reordered in the policy alone.

// login shows what the flow asks now. Without a flow it is a visit of our own:
// whoever is signed in is told so, others may sign in.
func (p *Provider) login(w http.ResponseWriter, r *http.Request) error {
	if id := r.FormValue("flow"); id != "" {
		f, err := p.flow(r, signingIn...)
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

// signingIn are the flows that end in a session.
var signingIn = []flows.Kind{flows.Login, flows.StepUp, flows.Enroll}

// flow returns the flow that the request names, if it is of one of the kinds
// and bound to this browser.
func (p *Provider) flow(r *http.Request, kinds ...flows.Kind) (*flows.Flow, error) {
	browser, ok := p.site.BrowserIf(r)
	if !ok {
		return nil, web.ErrNoCookie
	}
	f, err := p.Store.Flow(r.Context(), r.FormValue("flow"), browser)
	if err == nil && !slices.Contains(kinds, f.Kind) {
		return nil, flows.ErrNoFlow
	}
	return f, err
}

func (p *Provider) show(w http.ResponseWriter, r *http.Request, f *flows.Flow) error {
	t, err := p.engine.Show(r.Context(), f, p.visit(r), flows.StepName(r.FormValue("way")))
	if err != nil {
		return err
	}
	return p.render(w, r, f, t)
}

// answer gives the form to a step and does what comes of it.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, signingIn...)
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
	v := flows.Visit{
		Source: p.site.Source(r),
		Exempt: p.site.Unlimited(r),
		Known:  p.site.Known(r),
		Session: flows.NewSession{
			Replaces: token,
			Device:   web.Device(r),
			Address:  p.site.Address(r),
		},
	}
	if p.KnownDevices {
		v.Devices = p.site.Devices(r)
	}
	return v
}

// signedIn gives the browser its session and the app its answer.
func (p *Provider) signedIn(w http.ResponseWriter, r *http.Request, f *flows.Flow, d *flows.Done) error {
	p.Metrics.FlowFinished(string(f.Kind), "done")
	if err := p.site.Sessions.Set(w, r, d.Session.Token); err != nil {
		return err
	}
	p.site.Remember(w, r, d.Account, f.Epoch)
	if f.Request.Authorize == "" {
		p.site.SeeOther(w, r, backTo(f.Request))
		return nil
	}
	return p.explained(w, r, p.oidc.resume(w, r, f.Request, &store.Session{
		ID: account.HashSecret(d.Session.Token), Account: d.Account, Practice: f.Practice,
		Epoch: f.Epoch, AuthTime: f.Finished, Methods: d.Session.Methods, ACR: d.Session.ACR,
		CreatedAt: f.Finished, SeenAt: f.Finished,
	}))
}

// takeUp goes back to the app's request of a flow, over or not, with whatever
// session the browser has by now: the way on from a page that was answered
// already, or is out of date.
func (p *Provider) takeUp(w http.ResponseWriter, r *http.Request) error {
	browser, ok := p.site.BrowserIf(r)
	if !ok {
		p.site.SeeOther(w, r, "/login")
		return nil
	}
	req, err := p.Store.Request(r.Context(), r.FormValue("flow"), browser)
	switch {
	case errors.Is(err, flows.ErrNoFlow):
		p.site.SeeOther(w, r, "/login")
	case err != nil:
		return err
	case req.Authorize != "":
		return p.explained(w, r, p.oidc.again(w, r, req))
	default:
		p.site.SeeOther(w, r, backTo(req))
	}
	return nil
}

// extend gives a person who needs longer another hour for the page that they are
// on. A reset link is good for 60 minutes and no longer, so its flow is not
// offered it.
func (p *Provider) extend(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, signingIn...)
	if err != nil {
		return err
	}
	if err := p.Store.Extend(r.Context(), f); err != nil {
		return err
	}
	p.site.SeeOther(w, r, "/login?"+url.Values{"flow": {f.ID}, "notice": {"extended"},
		"way": {r.PostForm.Get("way")}}.Encode())
	return nil
}

// backTo is the page of ours that a flow was begun for.
func backTo(req flows.Request) string {
	if req.Return == "" {
		return "/login"
	}
	return req.Return
}

// render shows a step's page, or why there is none.
func (p *Provider) render(w http.ResponseWriter, r *http.Request, f *flows.Flow, t *flows.Turn) error {
	if t.Stop != nil {
		return p.stopped(w, r, f, t.Stop)
	}
	page := templates.Page{Name: pageOf[t.Step], Flow: f.ID, App: f.Request.ClientName,
		Step: string(t.Step), Action: p.base + "/login/" + string(t.Step), Data: t.Page}
	if _, ok := t.Page.(flows.ConfirmPage); ok {
		page.Name = "confirm"
	}
	for _, o := range t.Others {
		page.Ways = append(page.Ways, string(o))
	}
	switch f.Kind {
	case flows.Reset:
		page.Action = p.base + "/reset-password"
	case flows.Invite:
		page.Action = p.base + "/invite"
	default:
		page.Left = f.Expires.Sub(p.engine.Now())
	}
	status := http.StatusOK
	if t.Again != nil {
		status = p.mark(r, &page, t.Again)
	} else if key, ok := notices[r.FormValue("notice")]; ok {
		page.Notice = p.site.Text(r, key, nil)
	}
	web.Target(r, f.Request.Target)
	return p.site.Render(w, r, status, page)
}

// notices are what a step's page may say has just been done.
var notices = map[string]string{"saved": "notice.password_saved", "extended": "notice.more_time", "joined": "notice.joined"}

// pageOf is the page of each step.
var pageOf = map[flows.StepName]string{
	flows.Identify{}.Name():     "login",
	flows.Password{}.Name():     "login",
	flows.TOTP{}.Name():         "totp",
	flows.BackupCode{}.Name():   "backup_code",
	flows.SetUpTOTP{}.Name():    "set_up_totp",
	flows.Passkey{}.Name():      "passkey",
	flows.SetUpPasskey{}.Name(): "set_up_passkey",
	flows.OfferPasskey{}.Name(): "offer_passkey",
	flows.OfferCodes{}.Name():   "more_codes",
	flows.SaveCodes{}.Name():    "backup_codes",
	flows.NewPassword{}.Name():  "new_password",
	flows.Join{}.Name():         "join",
}

// mark puts on the page what was wrong, and returns the status: 401 for
// credentials that are not right, 422 for a field to mend.
func (p *Provider) mark(r *http.Request, page *templates.Page, a *flows.Again) int {
	if a.Message.Key == "" {
		return http.StatusUnprocessableEntity // the page asks once more, and that says it
	}
	page.Problems = []templates.Problem{{Field: a.Field, Text: p.site.Text(r, a.Message.Key, a.Message.Args)}}
	if a.Left > 0 {
		page.Warning = p.site.Text(r, "warn.attempts", map[string]any{"n": a.Left})
	}
	switch d := page.Data.(type) {
	case flows.SignInPage:
		if a.Typed != "" {
			d.Identifier = a.Typed
		}
		page.Data = d
	case flows.SetUpPage:
		d.Name = a.Typed
		page.Data = d
	case flows.SetUpPasskeyPage:
		d.Name = a.Typed
		page.Data = d
	case flows.OfferPasskeyPage:
		d.Name = a.Typed
		page.Data = d
	case flows.JoinPage:
		d.Name = a.Typed
		page.Data = d
	}
	if a.Denied {
		return http.StatusUnauthorized
	}
	return http.StatusUnprocessableEntity
}
