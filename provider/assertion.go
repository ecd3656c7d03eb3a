package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/store"
)

// Authentication by a JWT that the client signs (RFC 7523, OIDC Core section 9).
const (
	privateKeyJWT = "private_key_jwt"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	maxAssertion = 16 << 10         // bytes
	assertionFor = 10 * time.Minute // the longest life of one, and of its row
	assertionOff = time.Minute      // how far the client's clock may be ahead
)

// AuthMethods are the ways in which a confidential client may authenticate. One
// that signs assertions has no secret, and the other way round.
func AuthMethods() []string {
	return []string{"client_secret_basic", "client_secret_post", privateKeyJWT}
}

// asserts reports whether a client authenticates by assertions, and so in no
// other way.
func asserts(c *store.Client) bool { return slices.Contains(c.AuthMethods, privateKeyJWT) }

// assertion is a client assertion that was taken apart, and not yet believed.
type assertion struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit"`

	claims             assertionClaims
	message, signature []byte
}

type assertionClaims struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  oneOrMore `json:"aud"`
	Expires   float64   `json:"exp"`
	NotBefore float64   `json:"nbf"`
	IssuedAt  float64   `json:"iat"`
	ID        string    `json:"jti"`
}

// oneOrMore is an aud (RFC 7519 section 4.1.3).
type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// asserted returns the client that signed the assertion of a request.
func (o *oidc) asserted(ctx context.Context, r *http.Request, form url.Values) (*store.Client, error) {
	switch {
	case len(r.Header.Values("Authorization")) > 0, form.Has("client_secret"):
		return nil, invalidRequest("more than one way of client authentication")
	case form.Get("client_assertion_type") != assertionType:
		return nil, invalidClient("client_assertion_type is not that of a JWT (RFC 7523 section 2.2)")
	}
	a := readAssertion(form.Get("client_assertion"))
	if a == nil || form.Has("client_id") && form.Get("client_id") != a.claims.Subject {
		return nil, invalidClient("the client assertion is not a JWT of this client")
	}
	c, err := o.client(ctx, a.claims.Subject)
	if err != nil {
		return nil, err
	}
	if c == nil || !asserts(c) || !a.signedBy(o.keysOf(ctx, c, a.KeyID)) {
		return nil, invalidClient("unknown client, or none of its keys signed the assertion")
	}
	if err := o.accept(ctx, a); err != nil {
		return nil, err
	}
	return c, nil
}

// readAssertion takes an assertion apart, or returns nil. It is bounded, and
// read by encoding/json, which bounds depth, too (fosite.md 4.1).
func readAssertion(token string) *assertion {
	parts := strings.Split(token, ".")
	if len(token) > maxAssertion || len(parts) != 3 {
		return nil
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil
		}
	}
	a := &assertion{message: []byte(parts[0] + "." + parts[1]), signature: decoded[2]}
	if json.Unmarshal(decoded[0], a) != nil || json.Unmarshal(decoded[1], &a.claims) != nil {
		return nil
	}
	// Tokens of other kinds are not assertions, nor those with extensions that
	// we would have to understand (RFC 8725 section 3.11, RFC 7515 section 4.1.11).
	typ := strings.ToLower(a.Type)
	sub := a.claims.Subject
	if a.Critical != nil || sub == "" || len(sub) > 255 || !text(sub) || typ != "" && typ != "jwt" && typ != "client-authentication+jwt" {
		return nil
	}
	return a
}

// signedBy reports whether one of the keys signed the assertion: that of its
// kid, or any if it names none, by an algorithm that is the key's own.
func (a *assertion) signedBy(all []jose.JSONWebKey) bool {
	return slices.ContainsFunc(all, func(k jose.JSONWebKey) bool {
		return (a.KeyID == "" || a.KeyID == k.KeyID) && (k.Algorithm == "" || k.Algorithm == a.Algorithm) &&
			keys.Verifies(a.Algorithm, k.Key, a.message, a.signature)
	})
}

// accept judges what a client signed, and uses it up. The reasons are told to
// whoever has the client's key.
func (o *oidc) accept(ctx context.Context, a *assertion) error {
	c, now := &a.claims, o.Now()
	at := float64(now.UnixMicro()) / 1e6
	ours := func(aud string) bool { // the last one by RFC 9126 section 2
		return aud == o.issuer || aud == o.issuer+"/token" || aud == o.issuer+"/par"
	}
	foreign := func(aud string) bool { return !ours(aud) }
	switch {
	case c.Issuer != c.Subject:
		return invalidClient("iss and sub of the assertion are not both the client_id")
	// With another server in it, that one could use it here.
	case len(c.Audience) == 0, slices.ContainsFunc(c.Audience, foreign):
		return invalidClient("aud of the assertion is not our issuer or token endpoint alone")
	case c.Expires <= at:
		return invalidClient("exp of the assertion is missing or over")
	case c.Expires > at+assertionFor.Seconds():
		return invalidClient("exp of the assertion is more than 10 minutes ahead")
	case c.NotBefore > at+assertionOff.Seconds(), c.IssuedAt > at+assertionOff.Seconds():
		return invalidClient("nbf or iat of the assertion is in the future")
	case c.ID == "", len(c.ID) > 255:
		return invalidClient("jti of the assertion is missing or too long")
	}
	until := time.Unix(int64(math.Ceil(c.Expires)), 0)
	first, err := o.Store.UseAssertion(ctx, c.Subject, account.HashSecret(c.ID), until)
	if err == nil && !first {
		return invalidClient("the assertion was used before")
	}
	return err
}
