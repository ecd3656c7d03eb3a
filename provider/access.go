package provider

import (
	"context"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// lookUp finds the grant of a live access token, and as much of the person as is
// needed: GrantByAccess or LiveGrant.
type lookUp func(ctx context.Context, access []byte) (*store.Grant, *directory.Entry, error)

// access is a live access token: its grant, whose it is (nil: the client's own),
// and which of the grant's scopes it has.
type access struct {
	grant  *store.Grant
	person *directory.Entry
	scopes []string
}

// accessOf returns what a live access token stands for. Anything else is
// store.ErrGone: expired, revoked, of somebody who is gone, or not ours.
func (o *oidc) accessOf(ctx context.Context, token string, find lookUp) (*access, error) {
	if !strings.HasPrefix(token, accessPrefix) {
		return o.accessOfJWT(ctx, token, find)
	}
	_, mask, ok := o.opaque.read(accessPrefix, token)
	if !ok {
		return nil, store.ErrGone
	}
	return o.granted(ctx, token, find, func(g *store.Grant) []string { return masked(g.Scopes, mask) })
}

// granted looks a token of ours up, whose scopes are some of its grant's.
func (o *oidc) granted(ctx context.Context, token string, find lookUp, scopes func(*store.Grant) []string) (*access, error) {
	g, person, err := find(ctx, account.HashSecret(token))
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
