package provider

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// Pushed authorization requests (RFC 9126): the app sends its request to us
// first, authenticated, and the browser only brings its name. What the browser
// brings beside that name is nothing to us.

const (
	pushedPrefix = "urn:ietf:params:oauth:request_uri:"
	pushedFor    = 90 * time.Second // until the browser must have come with it
	pushedAtMost = 24 * time.Hour   // until it must be answered: people sign in meanwhile

	// pushesAtMost a minute come from one source for clients without a secret:
	// each writes a row.
	pushesAtMost = 600
)

// push is the endpoint (RFC 9126 section 2). A request is checked here as it
// would be where the browser brings it, so that an app hears of its errors
// itself.
func (o *oidc) push(w http.ResponseWriter, r *http.Request) error {
	form, err := body(r)
	if err != nil {
		return err
	}
	client, err := o.authenticated(r.Context(), r, form)
	switch {
	case err != nil:
		return err
	case form.Has("request_uri"): // section 2.1
		return invalidRequest("request_uri must not be pushed")
	case client.Public && o.pushes.OnLimit(w, r, string(o.Source(r))):
		return &oauthError{Code: "temporarily_unavailable", Description: "too many requests are pushed from there",
			Status: http.StatusTooManyRequests}
	}
	form.Set("client_id", client.ID)
	req := &authRequest{arrived: o.Now(), pushed: "now"} // no visit yet, but not unpushed (pushedOnly)
	if err := o.read(r.Context(), req, form); err != nil {
		return err
	}
	query := req.form.Encode() // of what is known: no secret and no assertion
	if len(query) > maxQuery {
		return invalidRequest("the request is too long")
	}
	uri := pushedPrefix + rand.Text()
	if err := o.Store.Push(r.Context(), account.HashSecret(uri), client.ID, query, o.Now().Add(pushedFor)); err != nil {
		return err
	}
	return answerJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": int64(pushedFor.Seconds())})
}

// recall puts what was pushed in the place of what the browser brought.
func (o *oidc) recall(ctx context.Context, req *authRequest, brought url.Values) (url.Values, error) {
	if len(brought["request_uri"]) != 1 {
		return nil, invalidRequest("request_uri is given twice")
	}
	req.form = url.Values{"client_id": brought["client_id"]}
	if err := o.registered(ctx, req); err != nil {
		return nil, err
	}
	id := account.HashSecret(brought.Get("request_uri"))
	query, err := o.Store.Pushed(ctx, id, req.client.ID)
	if err != nil {
		return nil, noLonger(err)
	}
	req.pushed = visitTo(id)
	return url.ParseQuery(query)
}

// A visit is one browser's coming with a pushed request: flows and pages carry
// it, so that the same one may be answered twice, as after a double click, and
// no other may.

func visitTo(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) + "." + rand.Text() }

// used notes that the visit is answered, or refuses a second one.
func (o *oidc) used(ctx context.Context, req *authRequest) error {
	if req.pushed == "" {
		return nil
	}
	encoded, visit, _ := strings.Cut(req.pushed, ".")
	id, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	return noLonger(o.Store.UsePushed(ctx, id, req.client.ID, visit, req.arrived.Add(pushedAtMost)))
}

// noLonger says what ErrGone means here. It is a page and not for the app, which
// has its answer, or has given up.
func noLonger(err error) error {
	if errors.Is(err, store.ErrGone) {
		return &oauthError{Code: "invalid_request_uri", Status: http.StatusBadRequest, Page: true,
			Description: "the pushed request was answered, is over, or is not of this client"}
	}
	return err
}

// pushedOnly refuses what was not pushed, for clients that are registered so
// (RFC 9126 section 6).
func pushedOnly(_ context.Context, req *authRequest) error {
	if req.client.PushedOnly && req.pushed == "" {
		return invalidRequest("this client must push its requests (RFC 9126)")
	}
	return nil
}
