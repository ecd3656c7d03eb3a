package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
)

// rule is one thing that an authorization request must comply with.
type rule func(context.Context, *authRequest) error

// rules are all of them, in order: first whose request it is and where errors
// may go; then what is wrong with it.
func (o *oidc) rules() []rule {
	return []rule{
		o.registered, mayRedirect, answerable, pushedOnly, once, noObject, codeOnly, ofAPerson, sized,
		scoped, challenged, prompted, aged, classed, o.claimed, targeted, o.hinted, o.parsedBy,
	}
}

// registered finds the client.
func (o *oidc) registered(ctx context.Context, req *authRequest) error {
	if ids := req.form["client_id"]; len(ids) != 1 || ids[0] == "" || len(ids[0]) > 255 {
		return invalidRequest("client_id is missing or given twice")
	}
	var err error
	req.client, err = o.client(ctx, req.form.Get("client_id"))
	if err == nil && req.client == nil {
		err = bad("invalid_client", "no such client")
	}
	return err
}

// mayRedirect accepts the redirect URI. It comes before every error that is
// told to the client by redirect (RFC 9700 section 4.11.2).
func mayRedirect(_ context.Context, req *authRequest) error {
	uris := req.form["redirect_uri"]
	if len(uris) != 1 || !redirectURI(req.client, uris[0]) {
		return invalidRequest("redirect_uri is not one of those registered for this client")
	}
	req.redirect = uris[0]
	return nil
}

// answerable learns how to answer, errors included: the mode and the state.
func answerable(_ context.Context, req *authRequest) error {
	if s := req.form["state"]; len(s) == 1 && text(s[0]) && len(s[0]) <= maxState {
		req.state = s[0]
	}
	switch req.form.Get("response_mode") {
	case "", "query":
	case "form_post":
		if privateUse.MatchString(req.redirect) {
			return invalidRequest("nothing can be posted to the redirect_uri")
		}
		req.formPost = true
	default:
		return invalidRequest("response_mode is query or form_post")
	}
	return nil
}

// once refuses repeated parameters (RFC 6749 section 3.1) and what is no text,
// and drops empty ones, which count as omitted (same section).
func once(_ context.Context, req *authRequest) error {
	for name, v := range req.form {
		switch {
		case len(v) > 1:
			return invalidRequest(name + " is given twice")
		case !text(v[0]):
			return invalidRequest(name + " is not text")
		case v[0] == "":
			delete(req.form, name)
		}
	}
	return nil
}

// noObject refuses request objects by name (OIDC Core section 6), rather than
// to ignore what a client wanted signed.
func noObject(_ context.Context, req *authRequest) error {
	for _, name := range []string{"request", "request_uri", "registration"} {
		if req.form.Has(name) {
			return bad(name+"_not_supported", name+" is not supported")
		}
	}
	return nil
}

// codeOnly accepts the code flow and no other (RFC 9700 section 2.1.2).
func codeOnly(_ context.Context, req *authRequest) error {
	switch req.form.Get("response_type") {
	case "code":
		return nil
	case "":
		return invalidRequest("response_type is missing")
	}
	return bad("unsupported_response_type", "only response_type=code is supported")
}

// ofAPerson refuses clients that are registered for none of the grants by which
// apps come to people's tokens.
func ofAPerson(_ context.Context, req *authRequest) error {
	if !slices.Contains(allowedGrants(req.client), "authorization_code") {
		return bad("unauthorized_client", "the client may not have people signed in")
	}
	return nil
}

// longest bounds what would travel on in codes, tokens and flows.
var longest = map[string]int{"state": maxState, "nonce": 512, "scope": 1024, "redirect_uri": 2048,
	"login_hint": 320, "ui_locales": 256, "claims": 4096, "id_token_hint": 8192, "acr_values": 512}

const maxState = 4096

func sized(_ context.Context, req *authRequest) error {
	for name, most := range longest {
		if len(req.form.Get(name)) > most {
			return invalidRequest(name + " is too long")
		}
	}
	return nil
}

// scoped accepts scopes that the client is registered for, letter by letter.
func scoped(_ context.Context, req *authRequest) error {
	for s := range strings.SplitSeq(req.form.Get("scope"), " ") {
		if s != "" && !slices.Contains(req.scopes, s) {
			req.scopes = append(req.scopes, s)
		}
	}
	if !permits(req.client, req.scopes) || len(req.scopes) > 64 {
		return invalidScope("the client is not registered for a requested scope")
	}
	return nil
}

// challenged wants a PKCE challenge by S256, never by plain (RFC 7636, RFC 9700
// section 2.1.1), and well-formed: 32 bytes in base64url.
func challenged(_ context.Context, req *authRequest) error {
	challenge, method := req.form.Get("code_challenge"), req.form.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && !needsPKCE(req.client):
		return nil
	case challenge == "":
		return invalidRequest("code_challenge is missing; PKCE is required")
	case method != "S256":
		return invalidRequest("code_challenge_method must be S256")
	case len(challenge) != 43 || strings.Trim(challenge, base64url) != "":
		return invalidRequest("code_challenge is not 43 characters of base64url")
	}
	return nil
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// promptValues are those that we know (OIDC Core section 3.1.2.1). consent means
// something to apps of others alone (consent.go).
var promptValues = []string{"none", "login", "consent", "select_account"}

func prompted(_ context.Context, req *authRequest) error {
	req.prompt = map[string]bool{}
	for _, p := range strings.Fields(req.form.Get("prompt")) {
		if !slices.Contains(promptValues, p) {
			return invalidRequest("prompt has an unknown value")
		}
		req.prompt[p] = true
	}
	if req.prompt["none"] && len(req.prompt) > 1 {
		return invalidRequest("prompt=none allows no other prompt")
	}
	return nil
}

// aged reads max_age, in which 0 is a value like any other.
func aged(_ context.Context, req *authRequest) error {
	v := req.form.Get("max_age")
	if v == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return invalidRequest("max_age is not a number of seconds")
	}
	age := time.Duration(min(seconds, 1<<32)) * time.Second
	req.maxAge = &age
	return nil
}

// classed reads acr_values, in which the first one known is what is preferred
// (OIDC Core section 3.1.2.1): we ask for a second factor where that is it. A
// client may want it always.
func classed(_ context.Context, req *authRequest) error {
	req.second = req.client.RequireMFA
	for _, acr := range strings.Fields(req.form.Get("acr_values")) {
		if slices.Contains(acrValues, acr) {
			req.second = req.second || flows.TwoFactors(acr)
			return nil
		}
	}
	return nil
}

// claimed reads the claims parameter (OIDC Core section 5.5).
func (o *oidc) claimed(_ context.Context, req *authRequest) error {
	v := req.form.Get("claims")
	if v == "" {
		return nil
	}
	asked, err := readClaims(v)
	if err != nil {
		return invalidRequest("claims is not the JSON of OIDC Core section 5.5")
	}
	reaches := func(acr string) bool { return slices.Contains(asked.mustReach, any(acr)) }
	if asked.mustReach != nil && !slices.ContainsFunc(acrValues, reaches) {
		return bad("unmet_authentication_requirements", "the essential acr cannot be reached")
	}
	if asked.mustReach != nil && !reaches(flows.ACR1FA) {
		req.second = true
	}
	req.subject, req.mustReach = asked.subject, asked.mustReach
	req.claims = asked.within(req.client)
	return nil
}

// hinted reads id_token_hint: an ID token of ours, expired or not, that was
// given to this client, says who is expected.
func (o *oidc) hinted(_ context.Context, req *authRequest) error {
	hint := req.form.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	subject, err := o.subjectOf(hint, req.client.ID)
	switch {
	case err != nil && req.prompt["none"]:
		return loginRequired() // the app can ask for a sign-in instead
	case err != nil:
		return invalidRequest("id_token_hint is not an ID token of ours for this client")
	case req.subject != "" && req.subject != subject:
		return invalidRequest("id_token_hint and claims name two people")
	}
	req.subject = subject
	return nil
}

// parsedBy has fosite parse what is left, which is fine by all rules above. It
// asks for a state, and gets one that never leaves here.
func (o *oidc) parsedBy(ctx context.Context, req *authRequest) error {
	form := url.Values{"state": {"unused-and-unsent"}}
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope",
		"code_challenge", "code_challenge_method"} {
		if v, ok := req.form[name]; ok {
			form[name] = v
		}
	}
	r := &http.Request{Method: http.MethodGet, Form: form, PostForm: url.Values{}, Header: http.Header{}}
	var err error
	ctx = withWork(ctx, &work{client: req.client, request: req})
	req.parsed, err = o.fosite.NewAuthorizeRequest(ctx, r)
	return err
}

func loginRequired() error {
	return bad("login_required", "the person must sign in")
}

// hint is what an ID token of ours says when an app shows it again.
type hint struct {
	Issuer   string     `json:"iss"`
	Subject  account.ID `json:"sub"`
	Audience string     `json:"aud"`
	Session  string     `json:"sid"`
	Expires  int64      `json:"exp"` // none: signed userinfo
}

var errNotAHint = errors.New("an ID token of somebody else")

// hintOf reads an ID token that we signed, expired or not.
func (o *oidc) hintOf(token string) (*hint, error) {
	h := new(hint)
	if err := o.verify(token, h); err != nil {
		return nil, err
	}
	if h.Issuer != o.issuer || h.Subject == "" || h.Expires == 0 {
		return nil, errNotAHint
	}
	return h, nil
}

// subjectOf returns whom an ID token of ours is about.
func (o *oidc) subjectOf(token, client string) (account.ID, error) {
	h, err := o.hintOf(token)
	if err == nil && h.Audience != client {
		err = errNotAHint
	}
	if err != nil {
		return "", err
	}
	return h.Subject, nil
}
