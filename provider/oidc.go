package provider

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/httprate"
	"github.com/ory/fosite"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// The OpenID half of the provider. fosite parses, dispatches and names errors;
// everything that decides is here, one concept a file:
//
//	request.go, rules.go   what an authorization request must be
//	satisfied.go           whether the session at hand answers it
//	authorize.go           the answer: a code, or an error, by redirect or form
//	pushed.go              requests that came before the browser
//	consent.go             what people are asked before apps of others get one
//	code.go, opaque.go     what codes and tokens are made of
//	token.go, grants.go    codes and refresh tokens against tokens
//	clienttoken.go         a client's token for itself
//	assertion.go, clientkeys.go  clients that sign who they are
//	client.go, redirect.go who asks, and where answers may go
//	pairwise.go            by which names apps know people
//	idtoken.go, claims.go  what apps are told about people
//	endsession.go          what a logout request must be
//	backchannel.go         how apps are told of a logout
//	accesstoken.go, resource.go  access tokens that others read, and who
//	access.go              what an access token stands for
//	userinfo.go, introspect.go, revoke.go, discovery.go   the rest of the endpoints

// lifetimes of what is given out. Zero fields have the defaults of fill.
type lifetimes struct {
	Code    time.Duration // of a code; 0: 60 s (RFC 9700 section 4.5: minutes at most)
	Access  time.Duration // of an access token; 0: 10 min
	ID      time.Duration // of an ID token; 0: as Access
	Refresh time.Duration // a refresh token's longest rest; 0: 30 days
	Family  time.Duration // a family of tokens' longest life; 0: 90 days
}

func (l lifetimes) fill() lifetimes {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	const day = 24 * time.Hour
	def(&l.Code, 60*time.Second)
	def(&l.Access, 10*time.Minute)
	def(&l.ID, l.Access)
	def(&l.Refresh, 30*day)
	def(&l.Family, 90*day)
	return l
}

// oidcConfig is what the OpenID half is made of.
type oidcConfig struct {
	Issuer     *url.URL
	Store      grantStore
	Keys       signer
	Directory  directory.Directory
	Now        func() time.Time
	Logger     *slog.Logger
	Lifetimes  lifetimes
	Locales    []string // of the pages, for ui_locales_supported
	Algorithms []string // that keys can sign with; RS256 among them

	// Outgoing makes the requests to apps, and fetches their keys.
	Outgoing *http.Client

	// Session returns the browser's live session, or store.ErrNoSession.
	Session func(*http.Request) (*store.Session, error)
	// Begin starts a login flow for the request, and answers the browser.
	Begin func(http.ResponseWriter, *http.Request, flows.Request) error
	// StepUp asks whoever is signed in to prove it anew, or for a second factor.
	StepUp func(w http.ResponseWriter, r *http.Request, s *store.Session, req flows.Request, anew bool) error
	// FormPost shows the page that posts an answer to the app.
	FormPost func(http.ResponseWriter, *http.Request, formPost) error
	// Consent shows the page that asks what an app of others may see.
	Consent func(http.ResponseWriter, *http.Request, consent) error
	// Source names where a request came from.
	Source func(*http.Request) account.Source
	// Count is told how a request to an endpoint ended: "" or an error code.
	Count func(endpoint, code string)
	// Issued is told of every answer with tokens, by grant_type.
	Issued func(grant string)
}

// oidc is the OpenID half of the provider. It is safe for concurrent use.
type oidc struct {
	oidcConfig
	issuer   string // exactly as in tokens
	life     lifetimes
	code     cipher.AEAD // seals codes
	opaque   minter      // makes access and refresh tokens
	pairs    []byte      // names people for pairwise clients
	fosite   fosite.OAuth2Provider
	remote   *remoteKeys // of clients
	pushes   *httprate.RateLimiter
	metadata []byte // the discovery document
}

// grantStore is what the OpenID half needs of *store.Store.
type grantStore interface {
	Client(ctx context.Context, id string) (*store.Client, error)
	RedeemCode(ctx context.Context, g *store.Grant, code []byte, t store.Tokens) error
	GrantByAccess(ctx context.Context, access []byte) (*store.Grant, *directory.Entry, error)
	LiveGrant(ctx context.Context, access []byte) (*store.Grant, *directory.Entry, error)
	Grant(ctx context.Context, id string) (g *store.Grant, refresh []byte, live bool, err error)
	Rotate(ctx context.Context, g *store.Grant, old []byte, t store.Tokens) error
	UseAssertion(ctx context.Context, client string, jti []byte, until time.Time) (first bool, err error)
	AddClientGrant(ctx context.Context, g store.Grant, access []byte) error
	RevokeGrant(ctx context.Context, id string, reason account.Reason) error
	Secret(ctx context.Context, name string, bytes int) ([]byte, error)
	Push(ctx context.Context, id []byte, client, request string, until time.Time) error
	Pushed(ctx context.Context, id []byte, client string) (request string, err error)
	UsePushed(ctx context.Context, id []byte, client, visit string, until time.Time) error
	Consent(ctx context.Context, id account.ID, client string) ([]string, error)
	GiveConsent(ctx context.Context, by *store.Session, client string, scopes []string, from account.Source) error
}

// open assembles the OpenID half.
func (c oidcConfig) open(ctx context.Context) (*oidc, error) {
	o := &oidc{oidcConfig: c, life: c.Lifetimes.fill()}
	o.issuer = strings.TrimSuffix(c.Issuer.String(), "/")
	o.remote = &remoteKeys{client: c.Outgoing, now: c.Now}
	o.pushes = httprate.NewRateLimiter(pushesAtMost, time.Minute, httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	if c.Count == nil {
		o.Count = func(string, string) {}
	}
	if c.Issued == nil {
		o.Issued = func(string) {}
	}
	key, err := c.Store.Secret(ctx, "codes", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("secret of codes: %w", err)
	}
	// XChaCha: its 24-byte nonces may be random for as long as the key lives.
	if o.code, err = chacha20poly1305.NewX(key); err != nil {
		return nil, fmt.Errorf("secret of codes: %w", err)
	}
	if o.opaque.key, err = c.Store.Secret(ctx, "tokens", 32); err != nil {
		return nil, fmt.Errorf("secret of tokens: %w", err)
	}
	if o.pairs, err = c.Store.Secret(ctx, "pairwise", 32); err != nil {
		return nil, fmt.Errorf("secret of pairwise subjects: %w", err)
	}
	if o.metadata, err = o.describe(); err != nil {
		return nil, err
	}
	o.fosite = newFosite(o)
	return o, nil
}

// client returns a registered client, or nil if there is none of that name.
func (o *oidc) client(ctx context.Context, id string) (*store.Client, error) {
	c, err := o.Store.Client(ctx, id)
	if errors.Is(err, store.ErrNoClient) {
		return nil, nil
	}
	return c, err
}

// person returns an account's entry as its directory has it now, or nil if it
// is gone or disabled there.
func (o *oidc) person(ctx context.Context, id account.ID) (*directory.Entry, error) {
	e, err := o.Directory.Lookup(ctx, directory.ByID, string(id))
	if errors.Is(err, directory.ErrNotFound) || err == nil && e.Disabled {
		return nil, nil
	}
	return e, err
}
