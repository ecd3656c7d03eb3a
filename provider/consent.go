package provider

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

// Apps of the practice's own are not asked about. An app of others is, before it
// gets its answer: once for what it then may see, and again when it wants more,
// or asks to (prompt=consent; OIDC Core sections 3.1.2.1 and 3.1.2.4).

// consent is the page that asks. Its form brings back what it asks about.
type consent struct {
	App     string
	Site    string   // the host that the answer goes to
	Scopes  []string // what is asked for, each to be said in words
	Request string   // sealed
	Target  string   // the origin that the answer may redirect to
}

// wanted are the scopes that a request asks for, those of claims that it asks
// for one by one among them.
func (req *authRequest) wanted() []string {
	scopes := slices.Clone(req.scopes)
	for _, name := range slices.Concat(req.claims.Userinfo, req.claims.IDToken) {
		for _, scope := range knownScopes {
			if slices.Contains(scopeClaims[scope], name) && !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// consented reports whether the person need not be asked.
func (o *oidc) consented(ctx context.Context, req *authRequest, s *store.Session) (bool, error) {
	if !req.client.ThirdParty {
		return true, nil
	}
	if req.prompt["consent"] {
		return false, nil
	}
	given, err := o.Store.Consent(ctx, s.Account, req.client.ID)
	if err != nil || given == nil {
		return false, err
	}
	missing := func(scope string) bool { return !slices.Contains(given, scope) }
	return !slices.ContainsFunc(req.wanted(), missing), nil
}

// allowed answers a request that a session satisfies, or asks the person first.
func (o *oidc) allowed(w http.ResponseWriter, r *http.Request, req *authRequest, s *store.Session) error {
	ok, err := o.consented(r.Context(), req, s)
	switch {
	case err != nil:
		return err
	case ok:
		return o.answer(w, r, req, s)
	case req.prompt["none"]:
		return o.refuse(w, r, req, bad("consent_required", "the person must be asked"))
	}
	to, err := url.Parse(req.redirect)
	if err != nil {
		return err
	}
	page := consent{App: req.client.Name, Site: cmp.Or(to.Host, to.Scheme), Scopes: req.wanted(), Target: origin(req.redirect)}
	if page.Request, err = o.sealAsked(req, s); err != nil {
		return err
	}
	return o.Consent(w, r, page)
}

// asked is a request that waits for the person's consent. It travels in the
// page's form, sealed and bound to the session, so that nothing is stored of
// what may never be answered.
type asked struct {
	Query   string
	Arrived time.Time
	Pushed  string `json:",omitempty"`
	Resumed bool
}

// boundTo binds the seal to a session. No client_id begins so, so that this is
// never taken for a code.
func boundTo(s *store.Session) []byte { return append([]byte("\x00consent\x00"), s.ID...) }

func (o *oidc) sealAsked(req *authRequest, s *store.Session) (string, error) {
	plain, err := json.Marshal(asked{req.form.Encode(), req.arrived, req.pushed, req.resumed})
	if err != nil {
		return "", err
	}
	nonce := make([]byte, o.code.NonceSize(), len(plain)+64)
	_, _ = rand.Read(nonce) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(o.code.Seal(nonce, nonce, plain, boundTo(s))), nil
}

func (o *oidc) openAsked(sealed string, s *store.Session) (*asked, bool) {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	n := o.code.NonceSize()
	if err != nil || len(b) < n {
		return nil, false
	}
	plain, err := o.code.Open(nil, b[:n], b[n:], boundTo(s))
	if err != nil {
		return nil, false
	}
	a := new(asked)
	return a, json.Unmarshal(plain, a) == nil
}

// decided takes the person's answer, and gives the app its own. What was asked
// in another session, or lay too long, is asked anew.
func (o *oidc) decided(w http.ResponseWriter, r *http.Request) error {
	s, err := o.Session(r)
	if errors.Is(err, store.ErrNoSession) {
		return flows.ErrNoFlow
	}
	if err != nil {
		return err
	}
	a, ok := o.openAsked(r.PostForm.Get("request"), s)
	if !ok {
		return flows.ErrNoFlow
	}
	req, err := o.restore(r.Context(), flows.Request{Authorize: a.Query, Arrived: a.Arrived, Pushed: a.Pushed})
	if err != nil {
		return o.refuse(w, r, req, err)
	}
	req.resumed = a.Resumed
	if o.satisfied(req, s) != pass {
		req.resumed = false
		return o.judge(w, r, req)
	}
	if r.PostForm.Get("answer") != "allow" {
		return o.refuse(w, r, req, bad("access_denied", "the person did not allow it"))
	}
	if err := o.Store.GiveConsent(r.Context(), s, req.client.ID, req.wanted(), o.Source(r)); err != nil {
		return err
	}
	return o.answer(w, r, req, s)
}
