package provider

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

const clientCredentials = "client_credentials"

// ofPeople are the grants by which apps come to people's tokens, and all that a
// client has unless it was registered with others.
var ofPeople = []string{"authorization_code", "refresh_token"}

// GrantTypes are all that a client may be registered with.
func GrantTypes() []string { return append(slices.Clone(ofPeople), clientCredentials) }

func allowedGrants(c *store.Client) []string {
	if len(c.GrantTypes) > 0 {
		return c.GrantTypes
	}
	return ofPeople
}

// clientToken gives a client a token for itself (RFC 6749 section 4.4). Nobody
// has signed in, so there is neither an ID token nor a refresh token: the
// client can ask again (section 4.4.3). fosite has no part in it.
func (o *oidc) clientToken(w http.ResponseWriter, r *http.Request, form url.Values) error {
	c, err := o.authenticated(r.Context(), r, form)
	if err != nil {
		return err
	}
	if c.Public || !slices.Contains(allowedGrants(c), clientCredentials) {
		return bad("unauthorized_client", "the client may not use this grant type")
	}
	scopes, err := ownScopes(c, form.Get("scope"))
	if err != nil {
		return err
	}
	resource, err := resourceOf(c, form.Get("resource"))
	if err != nil {
		return err
	}
	now := o.Now()
	token, err := o.ownToken(r.Context(), c, &store.Grant{
		ID: rand.Text(), Client: c.ID, Scopes: scopes, Requested: requestedClaims{Resource: resource}.String(),
		CreatedAt: now, AccessUntil: now.Add(o.life.Access),
	})
	if err != nil {
		return err
	}
	o.Issued(clientCredentials)
	answer := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int64(o.life.Access.Seconds())}
	if len(scopes) > 0 {
		answer["scope"] = strings.Join(scopes, " ")
	}
	return answerJSON(w, http.StatusOK, answer)
}

func (o *oidc) ownToken(ctx context.Context, c *store.Client, g *store.Grant) (string, error) {
	if wantsJWT(c) {
		return o.signAccess(c, g, g.Scopes, g.AccessUntil)
	}
	token := o.opaque.make(accessPrefix, g.ID, all)
	return token, o.Store.AddClientGrant(ctx, *g, account.HashSecret(token))
}

// ownScopes returns the scopes that a client may have for itself: none unless it
// asks, and never those that only mean something where a person signed in.
func ownScopes(c *store.Client, scope string) ([]string, error) {
	var scopes []string
	for _, s := range strings.Fields(scope) {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	switch {
	case len(scope) > longest["scope"]:
		return nil, invalidRequest("scope is too long")
	case !permits(c, scopes):
		return nil, invalidScope("the client is not registered for a requested scope")
	case slices.Contains(scopes, scopeOpenID), slices.Contains(scopes, scopeOffline):
		return nil, invalidScope("openid and offline_access are about a person, and there is none")
	}
	return scopes, nil
}
