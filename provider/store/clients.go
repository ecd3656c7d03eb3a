package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ErrNoClient means that no client is registered under the name.
var ErrNoClient = errors.New("store: no such client")

// Client is an app that may ask us who somebody is. Its zero fields have
// strict defaults: no redirect URI is good, and PKCE is needed.
type Client struct {
	ID         string `json:"-"`
	Name       string `json:"-"` // as people see it
	SecretHash []byte `json:"-"` // SHA-256 of a random secret; nil for a public client
	FromConfig bool   `json:"-"` // kept by the configuration file, not by commands

	Public            bool            `json:"public,omitempty"` // it has no secret to keep (RFC 6749 section 2.1)
	RedirectURIs      []string        `json:"redirect_uris,omitempty"`
	PostLogoutURIs    []string        `json:"post_logout_redirect_uris,omitempty"`
	AuthMethods       []string        `json:"auth_methods,omitempty"`
	GrantTypes        []string        `json:"grant_types,omitempty"` // none are those of people: code and refresh
	JWKS              json.RawMessage `json:"jwks,omitempty"`        // of private_key_jwt: its public keys,
	JWKSURI           string          `json:"jwks_uri,omitempty"`    // or where they are
	PKCEOptional      bool            `json:"pkce_optional,omitempty"`
	Algorithm         string          `json:"algorithm,omitempty"`           // of ID tokens; "" is RS256
	SubjectType       string          `json:"subject_type,omitempty"`        // "pairwise"; "" is public
	Sector            string          `json:"sector_identifier,omitempty"`   // "" is the host of its redirect URIs
	UserinfoAlgorithm string          `json:"userinfo_algorithm,omitempty"`  // of signed userinfo; "" is plain JSON
	AccessTokenFormat string          `json:"access_token_format,omitempty"` // "jwt" (RFC 9068); "" is opaque
	Audiences         []string        `json:"audiences,omitempty"`           // resources it may name (RFC 8707), the default first
	Scopes            []string        `json:"scopes,omitempty"`              // "" are the standard ones
	ClaimsInIDToken   bool            `json:"claims_in_id_token,omitempty"`
	RequireMFA        bool            `json:"require_mfa,omitempty"`                           // its people sign in with two factors
	Introspect        bool            `json:"introspect,omitempty"`                            // it may ask about the tokens of every client
	PushedOnly        bool            `json:"require_pushed_authorization_requests,omitempty"` // RFC 9126 section 6
	ThirdParty        bool            `json:"third_party,omitempty"`                           // others run it: people are asked what it may see

	// Where it is told that a session is over (OpenID Connect Back-Channel Logout
	// 1.0 section 2.2). It is told which one whether it needs to know or not.
	BackchannelLogoutURI     string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSession bool   `json:"backchannel_logout_session_required,omitempty"`
	// What the page of whoever signed out loads, to say the same (OpenID Connect
	// Front-Channel Logout 1.0 section 2). It too is told which session.
	FrontchannelLogoutURI     string `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSession bool   `json:"frontchannel_logout_session_required,omitempty"`
}

// What happened to a client, as ClientChanged says it.
const (
	clientAdded   account.Reason = "added"
	clientChanged account.Reason = "changed"
	clientRemoved account.Reason = "removed"
)

// clientFor bounds how long another replica's change goes unnoticed.
const clientFor = 10 * time.Second

// clientCache holds registered clients only, so that strangers who make names
// up cannot fill it.
type clientCache struct {
	mu   sync.RWMutex
	held map[string]heldClient
}

type heldClient struct {
	client *Client
	until  time.Time
}

func (c *clientCache) get(id string) *Client {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if h, ok := c.held[id]; ok && time.Now().Before(h.until) {
		return h.client
	}
	return nil
}

// put remembers a client; nil forgets it.
func (c *clientCache) put(id string, client *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client == nil {
		delete(c.held, id)
		return
	}
	if c.held == nil {
		c.held = map[string]heldClient{}
	}
	c.held[id] = heldClient{client, time.Now().Add(clientFor)}
}

// Client returns a registered client, or ErrNoClient. What it returns is
// shared and must not be changed; it may be ten seconds old.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	if c := s.clients.get(id); c != nil {
		return c, nil
	}
	row, err := s.q.Client(ctx, id)
	if missing(err) {
		s.clients.put(id, nil)
		return nil, ErrNoClient
	}
	if err != nil {
		return nil, fmt.Errorf("store: client: %w", err)
	}
	c, err := clientOf(row)
	if err != nil {
		return nil, err
	}
	s.clients.put(id, c)
	return c, nil
}

// Clients returns all clients by name of their id, as they are now.
func (s *Store) Clients(ctx context.Context) ([]Client, error) {
	rows, err := s.q.Clients(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: clients: %w", err)
	}
	all := make([]Client, 0, len(rows))
	for _, row := range rows {
		c, err := clientOf(db.ClientRow(row))
		if err != nil {
			return nil, err
		}
		all = append(all, *c)
	}
	return all, nil
}

// PutClient registers a client, or changes it. It is an event only if that
// made a difference, so every replica may put the same clients when it starts.
func (s *Store) PutClient(ctx context.Context, c Client, actor string) error {
	document, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: client: %w", err)
	}
	err = s.update(ctx, func(t *tx) error {
		created, err := t.PutClient(ctx, db.PutClientParams{ID: c.ID, Name: c.Name,
			SecretHash: c.SecretHash, Document: string(document), FromConfig: c.FromConfig, Now: t.now()})
		if missing(err) {
			return nil
		}
		what := clientChanged
		if created == t.now() {
			what = clientAdded
		}
		t.tell(account.Event{Kind: account.ClientChanged, Subject: c.ID, Actor: actor, Reason: what})
		return err
	})
	s.clients.put(c.ID, nil)
	return err
}

// RemoveClient ends a client's registration, or returns ErrNoClient. Its
// tokens are worth nothing at the token endpoint from then on, and elsewhere
// for no longer than an access token lives.
func (s *Store) RemoveClient(ctx context.Context, id, actor string) error {
	err := s.update(ctx, func(t *tx) error {
		n, err := t.Queries.RemoveClient(ctx, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoClient
		}
		t.tell(account.Event{Kind: account.ClientChanged, Subject: id, Actor: actor,
			Reason: clientRemoved})
		return t.DropConsents(ctx, id)
	})
	s.clients.put(id, nil)
	return err
}

// AppsOf returns the apps that somebody was signed in to from a session.
func (s *Store) AppsOf(ctx context.Context, sess *Session) ([]*Client, error) {
	ids, err := s.q.AppsOf(ctx, db.AppsOfParams{Account: string(sess.Account), Session: sess.ID, Now: micros(s.Now())})
	if err != nil {
		return nil, fmt.Errorf("store: apps: %w", err)
	}
	var all []*Client
	for _, id := range ids {
		c, err := s.Client(ctx, id)
		if errors.Is(err, ErrNoClient) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func clientOf(row db.ClientRow) (*Client, error) {
	c := &Client{ID: row.ID, Name: row.Name, SecretHash: row.SecretHash, FromConfig: row.FromConfig}
	if err := json.Unmarshal([]byte(row.Document), c); err != nil {
		return nil, fmt.Errorf("store: client %q: %w", row.ID, err)
	}
	return c, nil
}
