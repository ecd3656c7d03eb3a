package provider

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// asker is fosite's view of a client. Its only redirect URI is the one of the
// request at hand, which redirectURI has accepted: fosite's own rules for them
// are looser than ours.
type asker struct {
	client  *store.Client
	request *authRequest // nil away from the authorization endpoint
}

func (a asker) GetID() string                      { return a.client.ID }
func (a asker) IsPublic() bool                     { return a.client.Public }
func (a asker) GetHashedSecret() []byte            { return nil }
func (a asker) GetScopes() fosite.Arguments        { return allowedScopes(a.client) }
func (a asker) GetAudience() fosite.Arguments      { return nil }
func (a asker) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (a asker) GetGrantTypes() fosite.Arguments    { return allowedGrants(a.client) }
func (a asker) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFormPost}
}
func (a asker) GetRedirectURIs() []string {
	if a.request == nil {
		return nil
	}
	return []string{a.request.redirect}
}

// allowedScopes returns what the client may ask for; the standard ones unless
// it was registered with others.
func allowedScopes(c *store.Client) []string {
	if len(c.Scopes) > 0 {
		return c.Scopes
	}
	return standardScopes
}

// needsPKCE reports whether the client must prove that it began the flow. A
// public client always must (RFC 9700 section 2.1.1).
func needsPKCE(c *store.Client) bool { return c.Public || !c.PKCEOptional }

// authenticate says which client sent a request: by HTTP Basic or in the body, as
// the client likes; by an assertion if it is registered for those; or by its mere
// name if it is public. It is fosite's ClientAuthenticationStrategy.
func (o *oidc) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := o.authenticated(ctx, r, form)
	if err != nil {
		return nil, err
	}
	working(ctx).client = c
	return asker{c, nil}, nil
}

func (o *oidc) authenticated(ctx context.Context, r *http.Request, form url.Values) (*store.Client, error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return o.asserted(ctx, r, form)
	}
	id, secret, err := credentials(r, form)
	if err != nil {
		return nil, err
	}
	c, err := o.client(ctx, id)
	if err != nil {
		return nil, err
	}
	if c == nil {
		// One answer and one amount of work, whether or not there is such a
		// client. Its secret is random, so plain SHA-256 is enough and a flood
		// of wrong ones costs nothing.
		c = &store.Client{SecretHash: make([]byte, 32)}
	}
	right := subtle.ConstantTimeCompare(account.HashSecret(secret), c.SecretHash) == 1
	switch {
	case c.Public && secret == "":
		return c, nil
	case c.Public, asserts(c), c.ID == "", len(c.SecretHash) == 0, secret == "", !right:
		return nil, invalidClient("unknown client, or its secret is missing or wrong")
	}
	return c, nil
}

func invalidClient(description string) *oauthError {
	return &oauthError{Code: "invalid_client", Description: description,
		Status: http.StatusUnauthorized, Challenge: "Basic"}
}

// credentials returns the one pair that the request has. More than one way at
// once is refused (RFC 6749 section 2.3).
func credentials(r *http.Request, form url.Values) (id, secret string, err error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if id = form.Get("client_id"); id == "" {
			return "", "", invalidClient("client authentication is missing")
		}
		return id, form.Get("client_secret"), nil
	}
	if len(headers) > 1 || form.Has("client_secret") {
		return "", "", invalidRequest("more than one way of client authentication")
	}
	id, secret, ok := basic(headers[0])
	switch {
	case !ok:
		return "", "", invalidClient("the Authorization header is not valid HTTP Basic")
	case form.Has("client_id") && form.Get("client_id") != id:
		return "", "", invalidRequest("client_id is not the authenticated client")
	}
	return id, secret, nil
}

// basic reads HTTP Basic credentials. Both parts are form-urlencoded first (RFC
// 6749 section 2.3.1), so a colon or a plus sign in either is no trouble.
func basic(header string) (id, secret string, ok bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	if !ok {
		return "", "", false
	}
	var bad [2]error
	id, bad[0] = url.QueryUnescape(id)
	secret, bad[1] = url.QueryUnescape(secret)
	return id, secret, bad[0] == nil && bad[1] == nil && id != ""
}

// permits reports whether the client may ask for all of the scopes.
func permits(c *store.Client, scopes []string) bool {
	allowed := allowedScopes(c)
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(allowed, s) })
}
