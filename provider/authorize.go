package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

// authorize is the authorization endpoint (RFC 6749 section 3.1):
//
//	GET   a good request and a session that satisfies it: a code, or first
//	      the question whether an app of others may have one (consent.go)
//	      a good request, no such session: a login flow, and resume when it ends
//	      else: an error, to the app if that may be
//	POST  the same, by way of GET
func (o *oidc) authorize(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost {
		return o.toGET(w, r, "/authorize", known)
	}
	req, err := o.parse(r)
	if err != nil {
		return o.refuse(w, r, req, err)
	}
	return o.judge(w, r, req)
}

// again takes up a request that led to a page of ours, with whatever session the
// browser has by now.
func (o *oidc) again(w http.ResponseWriter, r *http.Request, fr flows.Request) error {
	req, err := o.restore(r.Context(), fr)
	if err != nil {
		return o.refuse(w, r, req, err)
	}
	return o.judge(w, r, req)
}

func (o *oidc) judge(w http.ResponseWriter, r *http.Request, req *authRequest) error {
	s, err := o.Session(r)
	if err != nil && !errors.Is(err, store.ErrNoSession) {
		return err
	}
	switch v := o.satisfied(req, s); v {
	case pass:
		return o.allowed(w, r, req, s)
	case signIn:
		return o.Begin(w, r, req.flow())
	case anew, more:
		return o.StepUp(w, r, s, req.flow(), v == anew)
	}
	return o.refuse(w, r, req, o.unmet(req, s))
}

// unmet names what a session lacks (OIDC Core section 3.1.2.6).
func (o *oidc) unmet(req *authRequest, s *store.Session) error {
	switch {
	case s == nil || !o.fresh(req, s):
		return loginRequired()
	case req.second && !flows.TwoFactors(s.ACR):
		return bad("interaction_required", "a second factor is needed")
	case req.reached(s.ACR) == "" && req.resumed:
		return bad("unmet_authentication_requirements", "the essential acr was not reached")
	case req.reached(s.ACR) == "":
		return bad("interaction_required", "the essential acr needs another sign-in")
	}
	return loginRequired()
}

// resume answers a request that led to a sign-in, with the session it made.
func (o *oidc) resume(w http.ResponseWriter, r *http.Request, fr flows.Request, s *store.Session) error {
	req, err := o.restore(r.Context(), fr)
	if err != nil {
		return o.refuse(w, r, req, err)
	}
	req.resumed = true
	if o.satisfied(req, s) != pass {
		return o.refuse(w, r, req, o.unmet(req, s))
	}
	return o.allowed(w, r, req, s)
}

// answer gives the app a code. It writes nothing to the store, unless the
// request was pushed: what the code stands for is sealed inside it.
func (o *oidc) answer(w http.ResponseWriter, r *http.Request, req *authRequest, s *store.Session) error {
	code, err := o.newCode(r.Context(), req, s)
	if err == nil {
		err = o.used(r.Context(), req)
	}
	if err != nil {
		return o.refuse(w, r, req, err)
	}
	o.Count("authorize", "")
	return o.send(w, r, req, url.Values{"code": {code}})
}

func (o *oidc) newCode(ctx context.Context, req *authRequest, s *store.Session) (string, error) {
	id := rand.Text()
	req.parsed.SetID(id)
	for _, scope := range req.scopes {
		req.parsed.GrantScope(scope)
	}
	ctx = withWork(ctx, &work{client: req.client, request: req, session: s})
	resp, err := o.fosite.NewAuthorizeResponse(ctx, req.parsed, &session{})
	if err != nil {
		return "", err
	}
	return resp.GetCode(), nil
}

// refuse tells the app what is wrong with its request, or returns a *pageError
// for the person where that must not be redirected. Faults of ours come back
// as they are.
func (o *oidc) refuse(w http.ResponseWriter, r *http.Request, req *authRequest, err error) error {
	e := explain(err)
	if e.Status >= http.StatusInternalServerError {
		return err
	}
	o.Count("authorize", e.Code)
	if e.Page || req == nil || req.redirect == "" {
		p := &pageError{Code: e.Code, Description: e.Description}
		if req != nil && req.client != nil {
			p.App = req.client.Name
		}
		return p
	}
	return o.send(w, r, req, url.Values{"error": {e.Code}, "error_description": {wire(e.Description)}})
}

// send answers the app as it wished, with its state and our name: iss keeps a
// client of several servers from being told a code of one by another (RFC 9207
// section 2).
func (o *oidc) send(w http.ResponseWriter, r *http.Request, req *authRequest, answer url.Values) error {
	answer.Set("iss", o.issuer)
	if req.state != "" {
		answer.Set("state", req.state)
	}
	if req.formPost {
		return o.FormPost(w, r, formPostOf(req, answer))
	}
	seeOther(w, extend(req.redirect, answer))
	return nil
}
