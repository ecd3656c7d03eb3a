package provider

import (
	"context"
	"errors"
	"net/http"

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

// loggedOut ends the session of this browser, and leads on to where an app
// wanted it to, if that was good: what was wrong was said on the page before.
func (p *Provider) loggedOut(w http.ResponseWriter, r *http.Request) error {
	req, err := p.oidc.logoutRequest(r.Context(), r.PostForm)
	if _, refused := errors.AsType[*oauthError](err); err != nil && !refused {
		return err
	}
	s, err := p.session(r)
	if err != nil && !errors.Is(err, store.ErrNoSession) {
		return err
	}
	return p.signOut(w, r, s, req)
}

// endSession is the end session endpoint (OpenID Connect RP-Initiated Logout 1.0
// section 2):
//
//	a hint at this browser's session    it ends, and the browser goes on
//	a hint, and no session here         the session it names ends, and its apps
//	                                    if it is over by itself: an app may say
//	                                    so on its own, without a browser
//	a hint at another session           asked first, then the browser goes on
//	no hint, or a request that is wrong asked first, and then nowhere
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) error {
	form := r.Form // of a GET its query
	if r.Method == http.MethodPost {
		form = r.PostForm
	}
	req, err := p.oidc.logoutRequest(r.Context(), form)
	refused, is := errors.AsType[*oauthError](err)
	if err != nil && !is {
		return err
	}
	s, err := p.session(r)
	if err != nil && !errors.Is(err, store.ErrNoSession) {
		return err
	}
	if refused != nil {
		p.Metrics.OIDC("end_session", refused.Code)
		return p.askFirst(w, r, s, req, refused)
	}
	p.Metrics.OIDC("end_session", "")
	if req.hint == nil || s != nil && !p.oidc.names(&req, s) {
		return p.askFirst(w, r, s, req, nil)
	}
	if s == nil {
		s, err = p.hinted(r.Context(), req)
		if err != nil && !errors.Is(err, store.ErrNoSession) {
			return err
		}
	}
	return p.signOut(w, r, s, req)
}

// hinted is the session that a hint is of.
func (p *Provider) hinted(ctx context.Context, req logoutRequest) (*store.Session, error) {
	id := req.hint.Subject
	if pairwise(req.client) {
		owner, err := p.Store.OwnerOf(ctx, req.hint.Session)
		if err != nil {
			return nil, err
		}
		if p.oidc.subjectFor(req.client, owner) != id {
			return nil, store.ErrNoSession
		}
		id = owner
	}
	return p.Store.SessionNamed(ctx, id, req.hint.Session)
}

// endSessionPosted is endSession for a form. If an app's page had a browser send
// it, our SameSite=Lax cookie was kept back: the browser comes again with a GET.
func (p *Provider) endSessionPosted(w http.ResponseWriter, r *http.Request) error {
	if p.site.Foreign(r) {
		return p.explained(w, r, p.oidc.toGET(w, r, "/end-session", logoutParams))
	}
	return p.endSession(w, r)
}

// askFirst shows the page that asks, or that there is nothing to ask. A refusal
// is a 400 on either: programs must not take it for the end of a session.
func (p *Provider) askFirst(w http.ResponseWriter, r *http.Request, s *store.Session, req logoutRequest, refused *oauthError) error {
	page, status := templates.Page{Name: "logged_out"}, http.StatusOK
	d := web.LogoutPage{Fields: req.fields()}
	if refused != nil {
		status, d.Problem = http.StatusBadRequest, refused.Description
	}
	if s != nil {
		page.Name, page.App, page.Data = "logout", req.app(), d
	}
	web.Target(r, origin(req.to))
	return p.site.Render(w, r, status, page)
}

// signOut ends a session, nil for none, and the browser's cookie, and leads on:
// at once, or by a page whose frames tell apps.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request, s *store.Session, req logoutRequest) error {
	var frames []web.Frame
	if s != nil {
		apps, err := p.Store.AppsOf(r.Context(), s)
		if err != nil {
			return err
		}
		frames = p.oidc.frames(apps, s)
		if err := p.Store.SignOut(r.Context(), s); err != nil {
			return err
		}
	}
	p.site.Sessions.End(w, r)
	// ASVS 14.3.1. Not "cookies": the device cookie spares the person limits.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	if req.to != "" && len(frames) == 0 {
		seeOther(w, req.to)
		return nil
	}
	page := templates.Page{Name: "logged_out"}
	if len(frames) > 0 {
		page.App, page.Data = req.app(), web.LoggedOutPage{Frames: frames, To: req.to}
	}
	if req.to != "" {
		w.Header().Set("Refresh", framesFor+";url="+req.to)
	}
	return p.site.Render(w, r, http.StatusOK, page)
}

// framesFor is how many seconds apps have to load in their frames before the
// browser goes on by itself.
const framesFor = "3"
