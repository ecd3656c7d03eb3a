package provider

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// introspection says what a token stands for (RFC 7662 section 2.2), and never
// who that is by name: a resource server asks userinfo if it may.
type introspection struct {
	Active   bool       `json:"active"`
	Issuer   string     `json:"iss,omitempty"`
	Subject  account.ID `json:"sub,omitempty"`
	Audience string     `json:"aud,omitempty"`
	Client   string     `json:"client_id,omitempty"`
	Scope    string     `json:"scope,omitempty"`
	Type     string     `json:"token_type,omitempty"` // none: not to be taken for an access token
	Expires  int64      `json:"exp,omitempty"`
	IssuedAt int64      `json:"iat,omitempty"`
	Session  string     `json:"sid,omitempty"`
}

// introspect tells a resource server about a token of any client (RFC 7662).
// Only those registered to ask are answered: to others tokens are opaque.
func (o *oidc) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := body(r)
	if err != nil {
		return err
	}
	client, err := o.authenticated(r.Context(), r, form)
	switch {
	case err != nil:
		return err
	case client.Public: // whoever knows its name could ask
		return invalidClient("a public client cannot ask about tokens")
	case !client.Introspect:
		return &oauthError{Code: "unauthorized_client", Description: "the client is not registered to ask about tokens",
			Status: http.StatusForbidden}
	}
	token := form.Get("token")
	if token == "" {
		return invalidRequest("token is missing")
	}
	about, err := o.about(r.Context(), token)
	if errors.Is(err, store.ErrGone) {
		// Nothing more, for whatever reason (RFC 7662 section 2.2).
		return answerJSON(w, http.StatusOK, introspection{})
	}
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, about)
}

// about returns what a live token stands for, or store.ErrGone. The token says
// itself of which kind it is, so token_type_hint is not needed.
func (o *oidc) about(ctx context.Context, token string) (*introspection, error) {
	if id, _, ok := o.opaque.read(refreshPrefix, token); ok {
		return o.aboutRefresh(ctx, id, account.HashSecret(token))
	}
	a, err := o.accessOf(ctx, token, o.Store.LiveGrant)
	if err != nil {
		return nil, err
	}
	about := o.aboutGrant(a.grant, a.scopes, a.grant.AccessUntil, o.life.Access)
	about.Type = "Bearer"
	return about, nil
}

// aboutRefresh judges a refresh token. To ask is not to use: one that was used
// before is inactive, and its family goes on.
func (o *oidc) aboutRefresh(ctx context.Context, id string, hash []byte) (*introspection, error) {
	g, current, live, err := o.Store.Grant(ctx, id)
	if err != nil {
		return nil, err
	}
	if !live || string(current) != string(hash) || !o.Now().Before(g.RefreshUntil) {
		return nil, store.ErrGone
	}
	person, err := o.person(ctx, g.Account)
	if err != nil {
		return nil, err
	}
	if person == nil {
		return nil, store.ErrGone
	}
	return o.aboutGrant(g, g.Scopes, g.RefreshUntil, o.life.Refresh), nil
}

// aboutGrant describes a token by its end: when it was made is not stored, and
// follows from how long it lives, but for the last of a family, which is cut
// short and so looks older than it is.
func (o *oidc) aboutGrant(g *store.Grant, scopes []string, until time.Time, life time.Duration) *introspection {
	return &introspection{
		Active: true, Issuer: o.issuer, Subject: whose(g), Audience: o.audience(g), Client: g.Client,
		Scope: strings.Join(scopes, " "), Expires: until.Unix(),
		IssuedAt: later(g.CreatedAt, until.Add(-life)).Unix(), Session: sid(g),
	}
}
