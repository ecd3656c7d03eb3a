package provider

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// signer is what the OpenID half needs of *keys.Keys.
type signer interface {
	// Sign returns a compact JWS of the payload, with typ and kid in its header.
	Sign(alg string, payload []byte) (string, error)
	// Verify returns the payload of a JWS by one of our keys.
	Verify(token string) ([]byte, error)
	// SignAs and VerifyAs are the same for what is no ID token, by its typ.
	SignAs(typ, alg string, payload []byte) (string, error)
	VerifyAs(typ, token string) ([]byte, error)
	JWKS() []byte
}

// idToken is the payload of an ID token (OIDC Core section 2). What the scopes
// stand for is told by userinfo; more is in here only where the client was
// registered to have it so, or asked for it by the claims parameter.
type idToken struct {
	Issuer   string     `json:"iss"`
	Subject  account.ID `json:"sub"`
	Audience string     `json:"aud"`
	Expires  int64      `json:"exp"`
	IssuedAt int64      `json:"iat"`
	AuthTime int64      `json:"auth_time"`
	Nonce    string     `json:"nonce,omitempty"`
	ACR      string     `json:"acr,omitempty"`
	AMR      []string   `json:"amr,omitempty"`
	Session  string     `json:"sid,omitempty"`
	AtHash   string     `json:"at_hash"`
}

// idTokens adds the ID token to the token endpoint's answers. It stands in for
// fosite's OpenID handlers, which sign by the wrong clock and hash at_hash
// wrongly for EdDSA.
type idTokens struct{ *oidc }

func (idTokens) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest says no, so that it is never alone in handling
// one; PopulateTokenEndpointResponse is called all the same.
func (idTokens) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return false
}

func (idTokens) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnknownRequest
}

// PopulateTokenEndpointResponse signs an ID token, if openid was granted.
func (i idTokens) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !slices.Contains(r.GetGrantedScopes(), scopeOpenID) {
		return fosite.ErrUnknownRequest
	}
	w, s := working(ctx), r.GetSession().(*session)
	now := i.Now()
	t := idToken{
		Issuer: i.issuer, Subject: whose(s.grant), Audience: w.client.ID,
		Expires: now.Add(i.life.ID).Unix(), IssuedAt: now.Unix(), AuthTime: s.grant.AuthTime.Unix(),
		Nonce: s.nonce, ACR: s.grant.ACR, AMR: s.grant.Methods,
		Session: sid(s.grant),
		AtHash:  atHash(algorithm(w.client), resp.GetAccessToken()),
	}
	payload, err := w.payload(t, r.GetGrantedScopes())
	if err != nil {
		return err
	}
	signed, err := i.Keys.Sign(algorithm(w.client), payload)
	if err != nil {
		return fmt.Errorf("sign an ID token: %w", err)
	}
	resp.SetExtra("id_token", signed)
	return nil
}

// payload returns the token's JSON, with claims about the person where the
// client is to have some.
func (w *work) payload(t idToken, scopes []string) ([]byte, error) {
	b, err := json.Marshal(t)
	names := idTokenClaims(w.client, w.grant, scopes)
	if err != nil || len(names) == 0 || w.person == nil {
		return b, err
	}
	more, err := json.Marshal(claimsOf(w.person, names, time.Unix(t.IssuedAt, 0)))
	if err != nil || len(more) <= len("{}") {
		return b, err
	}
	return append(append(b[:len(b)-1], ','), more[1:]...), nil
}

// sid names the session that a grant came from, "" for none.
func sid(g *store.Grant) string {
	if len(g.Session) == 0 {
		return ""
	}
	return g.SID()
}

// idTokenClaims names the claims about the person that an ID token is to have.
func idTokenClaims(c *store.Client, g *store.Grant, scopes []string) []string {
	names := requestedBy(g).IDToken
	if c.ClaimsInIDToken {
		names = append(names, claimNames(scopes)...)
	}
	return names
}

// algorithm is the client's own, or RS256, which every client can verify.
func algorithm(c *store.Client) string {
	if c.Algorithm == "" {
		return "RS256"
	}
	return c.Algorithm
}

// atHash is the left half of the access token's hash, by the hash function of
// the algorithm (OIDC Core section 3.1.3.6); that of Ed25519 is SHA-512.
func atHash(alg, token string) string {
	if alg == "EdDSA" {
		h := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(h[:32])
	}
	h := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}

// verify reads the claims of a token that we signed.
func (o *oidc) verify(token string, claims any) error {
	payload, err := o.Keys.Verify(token)
	if err != nil {
		return err
	}
	return json.Unmarshal(payload, claims)
}
