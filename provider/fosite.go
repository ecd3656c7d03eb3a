package provider

import (
	"context"
	"crypto/sha512"
	"errors"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"
)

// newFosite wires fosite: the code flow with PKCE, refresh, and nothing else.
// Every field is set here, since fosite fills in missing ones lazily, which
// races, and with defaults that we do not want (wildcard scopes, bcrypt).
func newFosite(o *oidc) *fosite.Fosite {
	c := &fosite.Config{
		AccessTokenLifespan:          o.life.Access,
		RefreshTokenLifespan:         o.life.Refresh,
		AuthorizeCodeLifespan:        o.life.Code,
		IDTokenLifespan:              o.life.ID,
		IDTokenIssuer:                o.issuer,
		AccessTokenIssuer:            o.issuer,
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     fosite.ExactAudienceMatchingStrategy,
		RedirectSecureChecker:        func(_ context.Context, u *url.URL) bool { return CheckNativeURI(u.String()) == nil },
		ClientAuthenticationStrategy: o.authenticate,
		ClientSecretsHasher:          noHasher{},
		JWKSFetcherStrategy:          noFetcher{},
		RefreshTokenScopes:           []string{scopeOffline},
		EnforcePKCE:                  true, // and see pkceRules
		OmitRedirectScopeParam:       true,
		MinParameterEntropy:          1, // state and nonce are the client's own affair
		TokenEntropy:                 32,
		HMACHasher:                   sha512.New512_256,
		JWTScopeClaimKey:             jwt.JWTScopeFieldString,
		ResponseModeHandlerExtension: &fosite.DefaultResponseModeHandler{},
		UserCodeSymbols:              []rune("BCDFGHJKLMNPQRSTVWXZ"),
	}
	g, s := &grants{o}, secrets{o}
	codes := &oauth2.AuthorizeExplicitGrantHandler{AccessTokenStrategy: s, RefreshTokenStrategy: s,
		AuthorizeCodeStrategy: s, CoreStorage: g, TokenRevocationStorage: g, Config: c}
	proof := &pkce.Handler{AuthorizeCodeStrategy: s, Storage: g, Config: pkceRules{}}
	refresh := &oauth2.RefreshTokenGrantHandler{AccessTokenStrategy: s, RefreshTokenStrategy: s,
		TokenRevocationStorage: g, Config: c}
	c.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{codes, proof}
	// The ID token comes last: it hashes the access token, and is signed when
	// the store has let go of its transaction.
	c.TokenEndpointHandlers = fosite.TokenEndpointHandlers{codes, proof, refresh, idTokens{o}}
	return &fosite.Fosite{Store: g, Config: c}
}

// pkceRules ask S256 of every client but those registered as exceptions, and
// never make one of a public client (RFC 9700 section 2.1.1).
type pkceRules struct{}

func (pkceRules) GetEnforcePKCE(ctx context.Context) bool                { return needsPKCE(working(ctx).client) }
func (pkceRules) GetEnforcePKCEForPublicClients(context.Context) bool    { return true }
func (pkceRules) GetEnablePKCEPlainChallengeMethod(context.Context) bool { return false }

var errUnused = errors.New("provider: fosite took a path that we do not use")

// noHasher stands where fosite would have bcrypt: authenticate does that work.
type noHasher struct{}

func (noHasher) Compare(context.Context, []byte, []byte) error { return errUnused }
func (noHasher) Hash(context.Context, []byte) ([]byte, error)  { return nil, errUnused }

// noFetcher stands where fosite would fetch clients' keys. It is never called,
// for there are no request objects, and asserted judges client assertions.
type noFetcher struct{ fosite.JWKSFetcherStrategy }
