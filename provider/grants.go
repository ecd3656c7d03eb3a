package provider

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/storage"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// work is the unit of work of one request. fosite reads and writes through it
// piecemeal, up to twelve calls a request; the store sees one statement when
// fosite commits.
type work struct {
	client  *store.Client    // who asks
	form    url.Values       // at the token endpoint: what was sent
	request *authRequest     // at the authorization endpoint: what is answered
	session *store.Session   // and for whom
	person  *directory.Entry // where a token tells or depends on who it is

	code   *code        // the code presented, opened
	grant  *store.Grant // what the code becomes, or the refresh token belongs to
	used   []byte       // SHA-256 of the code or refresh token presented
	tokens store.Tokens
	then   func(context.Context) error // what Commit does
}

type workKey struct{}

func withWork(ctx context.Context, w *work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

func working(ctx context.Context) *work { return ctx.Value(workKey{}).(*work) }

// session is fosite's view of a grant. fosite's own expiry times are ignored:
// they come from another clock than the store's.
type session struct {
	grant *store.Grant
	nonce string
}

func (s *session) SetExpiresAt(fosite.TokenType, time.Time)    {}
func (s *session) GetExpiresAt(fosite.TokenType) (t time.Time) { return t }
func (s *session) GetUsername() string                         { return "" }
func (s *session) Clone() fosite.Session                       { c := *s; return &c }
func (s *session) GetSubject() string {
	if s.grant == nil {
		return ""
	}
	return string(s.grant.Account)
}

// grants is fosite's storage over the one row that a family of tokens has.
type grants struct{ *oidc }

var (
	_ fosite.Storage                = (*grants)(nil)
	_ oauth2.CoreStorage            = (*grants)(nil)
	_ oauth2.TokenRevocationStorage = (*grants)(nil)
	_ pkce.PKCERequestStorage       = (*grants)(nil)
	_ storage.Transactional         = (*grants)(nil) // fosite finds it by assertion
)

// GetClient returns the client that is at work, which was looked up before.
func (g *grants) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	w := working(ctx)
	if w.client == nil || w.client.ID != id {
		return nil, fosite.ErrNotFound
	}
	return asker{w.client, w.request}, nil
}

// GetAuthorizeCodeSession opens a code. Codes of other clients do not open, and
// a redirect URI other than the request's makes a code worth nothing (RFC 6749
// section 4.1.3).
func (g *grants) GetAuthorizeCodeSession(ctx context.Context, sealed string, _ fosite.Session) (fosite.Requester, error) {
	w := working(ctx)
	if w.code == nil {
		c, err := g.openCode(sealed, w.client.ID)
		if err != nil {
			return nil, fosite.ErrNotFound.WithWrap(err)
		}
		to := sha256.Sum256([]byte(w.form.Get("redirect_uri")))
		if string(to[:]) != c.Redirect {
			return nil, fosite.ErrNotFound
		}
		grant := g.grantOf(c, w.client)
		w.code, w.grant, w.used = c, &grant, account.HashSecret(sealed)
	}
	return w.requester(), nil
}

// requester shows the grant at work to fosite.
func (w *work) requester() *fosite.Request {
	r := &fosite.Request{ID: w.grant.ID, Client: asker{w.client, nil}, Form: url.Values{},
		RequestedScope: w.grant.Scopes, GrantedScope: w.grant.Scopes, Session: &session{grant: w.grant}}
	if w.code != nil {
		r.Session = &session{grant: w.grant, nonce: w.code.Nonce}
	}
	return r
}

// GetPKCERequestSession returns the code's challenge. ErrNotFound means that it
// has none: then a verifier is refused, too (RFC 9700 section 4.8.2).
func (g *grants) GetPKCERequestSession(ctx context.Context, _ string, _ fosite.Session) (fosite.Requester, error) {
	w := working(ctx)
	if w.code == nil || w.code.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	r := w.requester()
	r.Form = url.Values{"code_challenge": {w.code.Challenge}, "code_challenge_method": {"S256"}}
	return r, nil
}

// InvalidateAuthorizeCodeSession has the code redeemed on Commit. It is the
// last thing that fosite does before it stores tokens, so everything about the
// request was checked by then. A code whose time is over gives nothing, and if
// it was redeemed in time, this is a replay all the same.
func (g *grants) InvalidateAuthorizeCodeSession(ctx context.Context, _ string) error {
	w := working(ctx)
	w.then = func(ctx context.Context) error {
		if !g.Now().Before(w.code.Until) {
			if err := g.Store.RevokeGrant(ctx, w.grant.ID, account.ReuseSeen); err != nil {
				return err
			}
			return store.ErrGone
		}
		return g.Store.RedeemCode(ctx, w.grant, w.used, w.tokens)
	}
	return nil
}

// CreateAccessTokenSession notes the new access token.
func (g *grants) CreateAccessTokenSession(ctx context.Context, token string, _ fosite.Requester) error {
	w := working(ctx)
	w.tokens.Access = account.HashSecret(token)
	w.tokens.AccessUntil = g.accessUntil(w.grant)
	w.grant.AccessUntil = w.tokens.AccessUntil
	if w.code != nil {
		// Until a refresh token makes it longer; but a used code is known for
		// as long as it could be used again.
		w.grant.ExpiresAt = later(w.tokens.AccessUntil, w.code.Until.Add(time.Minute))
	}
	return nil
}

// accessUntil is how long an access token of a grant is good that is made now.
func (o *oidc) accessUntil(g *store.Grant) time.Time {
	return earlier(o.Now().Add(o.life.Access), g.ExpiresAt)
}

// CreateRefreshTokenSession notes the new refresh token: good for a while after
// each use, and for no longer than its family.
func (g *grants) CreateRefreshTokenSession(ctx context.Context, token, _ string, _ fosite.Requester) error {
	w, now := working(ctx), g.Now()
	if w.code != nil {
		w.grant.ExpiresAt = w.grant.CreatedAt.Add(g.life.Family)
	}
	w.tokens.Refresh = account.HashSecret(token)
	w.tokens.RefreshUntil = earlier(now.Add(g.life.Refresh), w.grant.ExpiresAt)
	w.grant.RefreshUntil = w.tokens.RefreshUntil
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// GetRefreshTokenSession finds the family of a refresh token. A token that we
// made for this client and is not the family's current one was used before:
// the answer, ErrInactiveToken, makes fosite revoke the family. That stays the
// right of the client that it belongs to.
func (g *grants) GetRefreshTokenSession(ctx context.Context, token string, _ fosite.Session) (fosite.Requester, error) {
	w := working(ctx)
	id, _, ok := g.opaque.read(refreshPrefix, token)
	if !ok {
		return nil, fosite.ErrNotFound
	}
	grant, current, live, err := g.Store.Grant(ctx, id)
	if errors.Is(err, store.ErrGone) || err == nil && (!live || grant.Client != w.client.ID) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	w.grant, w.used = grant, account.HashSecret(token)
	if string(current) != string(w.used) {
		return w.requester(), fosite.ErrInactiveToken
	}
	return w.requester(), nil
}

// RotateRefreshToken has the family's tokens replaced on Commit.
func (g *grants) RotateRefreshToken(ctx context.Context, _, _ string) error {
	w := working(ctx)
	w.then = func(ctx context.Context) error { return g.Store.Rotate(ctx, w.grant, w.used, w.tokens) }
	return nil
}

// RevokeRefreshToken has the whole family revoked on Commit.
func (g *grants) RevokeRefreshToken(ctx context.Context, id string) error {
	working(ctx).then = func(ctx context.Context) error {
		return g.Store.RevokeGrant(ctx, id, account.ReuseSeen)
	}
	return nil
}

// BeginTX has nothing to begin: all that was noted becomes one statement.
func (g *grants) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }

// Rollback forgets what was noted.
func (g *grants) Rollback(ctx context.Context) error {
	working(ctx).then = nil
	return nil
}

// Commit does it.
func (g *grants) Commit(ctx context.Context) error {
	w := working(ctx)
	if w.then == nil {
		return nil
	}
	do := w.then
	w.then = nil
	return do(ctx)
}

// What else fosite calls has nothing to do, or is not wired at all.

func (g *grants) CreateAuthorizeCodeSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (g *grants) CreatePKCERequestSession(context.Context, string, fosite.Requester) error {
	return nil
}

// DeletePKCERequestSession keeps the challenge: fosite calls it before it has
// checked the verifier, and a second try without one would then pass.
func (g *grants) DeletePKCERequestSession(context.Context, string) error  { return nil }
func (g *grants) DeleteRefreshTokenSession(context.Context, string) error { return nil }
func (g *grants) RevokeAccessToken(context.Context, string) error         { return nil }
func (g *grants) DeleteAccessTokenSession(context.Context, string) error  { return nil }
func (g *grants) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errUnused
}
func (g *grants) ClientAssertionJWTValid(context.Context, string) error          { return errUnused }
func (g *grants) SetClientAssertionJWT(context.Context, string, time.Time) error { return errUnused }
