package provider

import (
	"context"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// access is a live access token: its grant, whose it is (nil: the client's own),
// and which of the grant's scopes it has.
type access struct {
	grant  *store.Grant
	person *directory.Entry
	scopes []string
}

// accessOf returns what a live access token stands for. Anything else is
// store.ErrGone: expired, revoked, of somebody who is gone, or not ours.
func (o *oidc) accessOf(ctx context.Context, token string) (*access, error) {
	if !strings.HasPrefix(token, accessPrefix) {
		return o.accessOfJWT(ctx, token)
	}
	_, mask, ok := o.opaque.read(accessPrefix, token)
	if !ok {
		return nil, store.ErrGone
	}
	return o.granted(ctx, token, func(g *store.Grant) []string { return masked(g.Scopes, mask) })
}

// granted looks a token of ours up, whose scopes are some of its grant's.
func (o *oidc) granted(ctx context.Context, token string, scopes func(*store.Grant) []string) (*access, error) {
	g, person, err := o.Store.GrantByAccess(ctx, account.HashSecret(token))
	if err != nil {
		return nil, err
	}
	a := &access{g, person, scopes(g)}
	if g.Account == "" {
		return a, nil
	}
	if person == nil { // of another directory than the built-in one
		if a.person, err = o.person(ctx, g.Account); err != nil {
			return nil, err
		}
	}
	if a.person == nil || a.person.Disabled {
		return nil, store.ErrGone
	}
	return a, nil
}
