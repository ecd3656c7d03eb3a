package provider

import (
	"cmp"
	"context"
	"slices"

	"github.com/medximity/idp/provider/store"
)

// A grant is for one resource server (RFC 8707): the one that the client named
// when it asked for a code or redeemed it, else the first that it is registered
// for, else ourselves. Refreshing does not change it.

func invalidTarget(description string) *oauthError { return bad("invalid_target", description) }

// audience is for whom a grant's access tokens are.
func (o *oidc) audience(g *store.Grant) string { return cmp.Or(requestedBy(g).Resource, o.issuer) }

// targeted reads resource (RFC 8707 section 2.1).
func targeted(_ context.Context, req *authRequest) error {
	var err error
	if resource := req.form.Get("resource"); resource != "" {
		req.claims.Resource, err = resourceOf(req.client, resource)
	}
	return err
}

// resourceOf returns the resource that a client asks for, if it is registered
// for it, or its first one, "" if it has none.
func resourceOf(c *store.Client, asked string) (string, error) {
	switch {
	case asked != "" && !slices.Contains(c.Audiences, asked):
		return "", invalidTarget("the client is not registered for the resource")
	case asked == "" && len(c.Audiences) > 0:
		return c.Audiences[0], nil
	}
	return asked, nil
}

// target settles for whom the tokens are that a code or a refresh token gives.
func (w *work) target() error {
	asked := w.form.Get("resource")
	if asked == "" && len(w.client.Audiences) == 0 && w.grant.Requested == "" {
		return nil
	}
	has := requestedBy(w.grant)
	if has.Resource == "" && w.code != nil {
		var err error
		if has.Resource, err = resourceOf(w.client, asked); err != nil {
			return err
		}
		w.grant.Requested = has.String()
	}
	if asked != "" && asked != has.Resource {
		return invalidTarget("the grant is for another resource")
	}
	if has.Resource != "" && !slices.Contains(w.client.Audiences, has.Resource) {
		return invalidTarget("the client is no longer registered for the resource")
	}
	return nil
}
