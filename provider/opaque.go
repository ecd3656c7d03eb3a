package provider

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/ory/fosite"
)

// What our secrets start with, so that scanners find those that leak.
const (
	codePrefix    = "mdx_ac_"
	accessPrefix  = "mdx_at_"
	refreshPrefix = "mdx_rt_"
)

// all is the mask of a token that has every scope of its grant.
const all = ^uint64(0)

// minter makes opaque tokens:
//
//	prefix grant "." base64url( 16 random bytes, 8 bytes of mask, 16 bytes of MAC )
//
// A token is good if the store knows its SHA-256. The MAC only proves that we
// made it: garbage costs no query, and nobody who merely knows a grant's ID can
// pass a made-up token off as a used one and so have the family revoked. The
// mask says which of the grant's scopes it has (RFC 6749 section 6).
type minter struct{ key []byte }

const (
	randomSize = 16
	maskSize   = 8
	macSize    = 16
)

// make returns a new token of a grant.
func (m minter) make(prefix, grant string, mask uint64) string {
	b := make([]byte, randomSize, randomSize+maskSize+macSize)
	_, _ = rand.Read(b) // never fails (crypto/rand since Go 1.24)
	b = binary.BigEndian.AppendUint64(b, mask)
	b = append(b, m.mac(prefix, grant, b)...)
	return prefix + grant + "." + base64.RawURLEncoding.EncodeToString(b)
}

// read returns the grant and the mask of a token that we made.
func (m minter) read(prefix, token string) (grant string, mask uint64, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return "", 0, false
	}
	grant, tail, ok := strings.Cut(rest, ".")
	if !ok {
		return "", 0, false
	}
	// Strict: one token has one spelling, or another spelling of a live one
	// would look like a used one.
	b, err := base64.RawURLEncoding.Strict().DecodeString(tail)
	if err != nil || len(b) != randomSize+maskSize+macSize {
		return "", 0, false
	}
	body, mac := b[:randomSize+maskSize], b[randomSize+maskSize:]
	if !hmac.Equal(mac, m.mac(prefix, grant, body)) {
		return "", 0, false
	}
	return grant, binary.BigEndian.Uint64(body[randomSize:]), true
}

func (m minter) mac(prefix, grant string, body []byte) []byte {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(prefix + grant + "."))
	h.Write(body)
	return h.Sum(nil)[:macSize]
}

// maskOf marks which of a grant's scopes are wanted. Requests have at most 64.
func maskOf(granted, wanted []string) uint64 {
	if slices.Equal(granted, wanted) {
		return all
	}
	var mask uint64
	for i, s := range granted {
		if slices.Contains(wanted, s) {
			mask |= 1 << i
		}
	}
	return mask
}

// masked returns the scopes that a mask leaves.
func masked(granted []string, mask uint64) []string {
	if mask == all {
		return granted
	}
	var left []string
	for i, s := range granted {
		if mask&(1<<i) != 0 {
			left = append(left, s)
		}
	}
	return left
}

// secrets is fosite's strategy of making codes and tokens. What fosite calls a
// signature is the whole token here: grants hashes it, and keeps nothing else.
type secrets struct{ *oidc }

func (s secrets) AuthorizeCodeSignature(_ context.Context, t string) string { return t }
func (s secrets) AccessTokenSignature(_ context.Context, t string) string   { return t }
func (s secrets) RefreshTokenSignature(_ context.Context, t string) string  { return t }

// GenerateAuthorizeCode seals the request and the session it is answered from.
func (s secrets) GenerateAuthorizeCode(ctx context.Context, r fosite.Requester) (string, string, error) {
	w := working(ctx)
	c := s.sealCode(s.codeFor(r.GetID(), w.request, w.session), w.client.ID)
	return c, c, nil
}

func (s secrets) GenerateAccessToken(ctx context.Context, r fosite.Requester) (string, string, error) {
	w, g := working(ctx), r.GetSession().(*session).grant
	if wantsJWT(w.client) {
		t, err := s.signAccess(w.client, g, r.GetGrantedScopes(), s.accessUntil(g))
		return t, t, err
	}
	t := s.opaque.make(accessPrefix, r.GetID(), maskOf(g.Scopes, r.GetGrantedScopes()))
	return t, t, nil
}

// GenerateRefreshToken makes one with all scopes of the grant, even where the
// access token beside it has fewer (RFC 6749 section 6).
func (s secrets) GenerateRefreshToken(_ context.Context, r fosite.Requester) (string, string, error) {
	t := s.opaque.make(refreshPrefix, r.GetID(), all)
	return t, t, nil
}

// The store and grants validate; by the time fosite asks, it is done.

func (s secrets) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error { return nil }
func (s secrets) ValidateAccessToken(context.Context, fosite.Requester, string) error   { return nil }
func (s secrets) ValidateRefreshToken(context.Context, fosite.Requester, string) error  { return nil }
