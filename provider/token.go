package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/ory/fosite"
)

// token is the token endpoint (RFC 6749 section 3.2): codes and refresh tokens
// against tokens, and clients' own.
func (o *oidc) token(w http.ResponseWriter, r *http.Request) error {
	form, err := body(r)
	if err != nil {
		return err
	}
	if form.Get("grant_type") == clientCredentials {
		return o.clientToken(w, r, form)
	}
	if err := complete(form); err != nil {
		return err
	}
	job := &work{form: form}
	ctx := withWork(r.Context(), job)
	req, err := o.fosite.NewAccessRequest(ctx, r, &session{})
	if err != nil {
		return err
	}
	if err := o.admit(ctx, job, req.(*fosite.AccessRequest)); err != nil {
		return err
	}
	resp, err := o.fosite.NewAccessResponse(ctx, req)
	if err != nil {
		return err
	}
	o.Issued(form.Get("grant_type"))
	resp.SetTokenType("Bearer")
	resp.SetExpiresIn(job.tokens.AccessUntil.Sub(o.Now()))
	return answerJSON(w, http.StatusOK, resp.ToMap())
}

// complete refuses what lacks its grant, by the name that RFC 6749 section 5.2
// has for it.
func complete(form map[string][]string) error {
	needs := map[string]string{"authorization_code": "code", "refresh_token": "refresh_token"}
	grant := strings.Join(form["grant_type"], " ")
	if grant == "" {
		return invalidRequest("grant_type is missing")
	}
	need, ok := needs[grant]
	if !ok {
		return bad("unsupported_grant_type", "grant_type is authorization_code, refresh_token or client_credentials")
	}
	if strings.Join(form[need], "") == "" {
		return invalidRequest(need + " is missing")
	}
	return nil
}

// admit does what has to be done between reading a request and granting it, and
// before anything is used up: settle the resource and the subject, narrow the scopes, and look
// the person up where the answer depends on them.
func (o *oidc) admit(ctx context.Context, w *work, req *fosite.AccessRequest) error {
	if err := w.target(); err != nil {
		return err
	}
	if w.code != nil && pairwise(w.client) {
		has := requestedBy(w.grant)
		has.Pairwise = o.subjectFor(w.client, w.grant.Account)
		w.grant.Requested = has.String()
	}
	refresh := w.code == nil
	if refresh {
		if err := narrow(req, w.form.Get("scope")); err != nil {
			return err
		}
	}
	if !refresh && len(idTokenClaims(w.client, w.grant, w.grant.Scopes)) == 0 {
		return nil // the store checks the session and the account as it redeems
	}
	var err error
	w.person, err = o.person(ctx, w.grant.Account)
	if err != nil {
		return err
	}
	if w.person == nil {
		return invalidGrant("the account is gone or disabled")
	}
	return nil
}

// narrow gives the new access token fewer scopes, where fewer are asked for. The
// refresh token keeps them all (RFC 6749 section 6).
func narrow(req *fosite.AccessRequest, scope string) error {
	wanted := strings.Fields(scope)
	if len(wanted) == 0 {
		return nil
	}
	has := req.GetGrantedScopes()
	if slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(has, s) }) {
		return invalidScope("a scope was not granted before")
	}
	// In the order of the grant, so that all of them again is no narrowing.
	dropped := func(s string) bool { return !slices.Contains(wanted, s) }
	req.GrantedScope = slices.DeleteFunc(slices.Clone(has), dropped)
	return nil
}

// answerJSON answers a program. Nothing that comes from here may be cached (RFC
// 6749 section 5.1).
func answerJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if this fails
	return nil
}
