package provider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// typeAccess in a JWT's header says that it is an access token and no ID token
// (RFC 9068 section 2.1).
const typeAccess = "at+jwt"

// accessToken is the payload of an access token that resource servers read
// themselves (RFC 9068 section 2.2), for clients registered to have such.
type accessToken struct {
	Issuer   string     `json:"iss"`
	Subject  account.ID `json:"sub"`
	Audience string     `json:"aud"`
	Client   string     `json:"client_id"`
	Expires  int64      `json:"exp"`
	IssuedAt int64      `json:"iat"`
	ID       string     `json:"jti"` // the grant's, ".", and what makes it the token's
	Scope    string     `json:"scope,omitempty"`
	AuthTime int64      `json:"auth_time,omitempty"` // as all below: of people only
	ACR      string     `json:"acr,omitempty"`
	AMR      []string   `json:"amr,omitempty"`
}

// own reports whether nobody signed in for the token: it is the client's.
func (t *accessToken) own() bool { return t.AuthTime == 0 && string(t.Subject) == t.Client }

func wantsJWT(c *store.Client) bool { return c.AccessTokenFormat == "jwt" }

// signAccess makes an access token of a grant, good until a time.
func (o *oidc) signAccess(c *store.Client, g *store.Grant, scopes []string, until time.Time) (string, error) {
	t := accessToken{
		Issuer: o.issuer, Subject: whose(g), Audience: o.audience(g), Client: c.ID,
		Expires: until.Unix(), IssuedAt: o.Now().Unix(), ID: g.ID + "." + rand.Text(),
		Scope: strings.Join(scopes, " "), ACR: g.ACR, AMR: g.Methods,
	}
	if !g.AuthTime.IsZero() {
		t.AuthTime = g.AuthTime.Unix()
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	signed, err := o.Keys.SignAs(typeAccess, algorithm(c), payload)
	if err != nil {
		return "", fmt.Errorf("sign an access token: %w", err)
	}
	return signed, nil
}

var errNotAccess = errors.New("not an access token that we signed")

// readAccess returns the payload of an access token that we signed, expired or
// not, revoked or not.
func (o *oidc) readAccess(token string) (*accessToken, error) {
	payload, err := o.Keys.VerifyAs(typeAccess, token)
	if err != nil {
		return nil, err
	}
	t := new(accessToken)
	if json.Unmarshal(payload, t) != nil || t.Issuer != o.issuer {
		return nil, errNotAccess
	}
	return t, nil
}

// grantID names the grant that a token came from.
func (t *accessToken) grantID() string {
	id, _, _ := strings.Cut(t.ID, ".")
	return id
}

// accessOfJWT judges an access token that says itself what it is for. That of a
// person is live while its grant says so, which revocation and refresh change; a
// client's own is in no table, and ends with the client's registration.
func (o *oidc) accessOfJWT(ctx context.Context, token string, find lookUp) (*access, error) {
	t, err := o.readAccess(token)
	if err != nil || !o.Now().Before(time.Unix(t.Expires, 0)) {
		return nil, store.ErrGone
	}
	if t.own() {
		return o.ownAccess(ctx, t)
	}
	return o.granted(ctx, token, find, func(*store.Grant) []string { return strings.Fields(t.Scope) })
}

func (o *oidc) ownAccess(ctx context.Context, t *accessToken) (*access, error) {
	c, err := o.client(ctx, t.Client)
	if err != nil {
		return nil, err
	}
	if c == nil || !slices.Contains(allowedGrants(c), clientCredentials) {
		return nil, store.ErrGone
	}
	scopes := strings.Fields(t.Scope)
	return &access{scopes: scopes, grant: &store.Grant{
		ID: t.grantID(), Client: t.Client, Scopes: scopes, Requested: requestedClaims{Resource: t.Audience}.String(),
		CreatedAt: time.Unix(t.IssuedAt, 0), AccessUntil: time.Unix(t.Expires, 0),
	}}, nil
}
