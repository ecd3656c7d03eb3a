package keys

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/store"
)

// set is the keys as they were at one time. It never changes.
type set struct {
	at   time.Time
	keys map[string]*key // by kid
	jwks []byte
}

// newSet takes keys that were parsed before from the old set: parsing an RSA
// key takes longer than signing with it.
func newSet(now time.Time, rows []store.SigningKey, old *set) (*set, error) {
	s := &set{at: now, keys: make(map[string]*key, len(rows))}
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, row := range rows {
		k, err := parsed(row, old)
		if err != nil {
			return nil, fmt.Errorf("keys: %s: %w", row.ID, err)
		}
		s.keys[row.ID] = k
		if k.RemovedAt.IsZero() || now.Before(k.RemovedAt) {
			public.Keys = append(public.Keys, jose.JSONWebKey{
				Key: k.signer.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
		}
	}
	var err error
	s.jwks, err = json.Marshal(public)
	return s, err
}

func parsed(row store.SigningKey, old *set) (*key, error) {
	if old == nil || old.keys[row.ID] == nil {
		return parse(row)
	}
	k := *old.keys[row.ID]
	k.SigningKey = row
	return &k, nil
}

// signer returns the key that signs at a time, or nil: of those whose turn has
// come the newest, for the turn of one ends when that of the next begins.
func (s *set) signer(alg string, now time.Time) (signer *key) {
	for _, k := range s.keys {
		if k.Algorithm != alg || now.Before(k.SignsAt) || k.distrusted() {
			continue
		}
		if signer == nil || signer.SignsAt.Before(k.SignsAt) ||
			signer.SignsAt.Equal(k.SignsAt) && signer.ID < k.ID {
			signer = k
		}
	}
	return signer
}

// typeJWT is the typ of what has none of its own.
const typeJWT = "JWT"

// header is the protected header of a JWS, as far as we write and read it.
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit,omitempty"`
}

// verify judges a compact JWS. The algorithm is the key's and nobody's choice
// (RFC 8725 section 3.1), so "none" and HMAC by a public key have no way in.
func (s *set) verify(typ, token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, ErrNotOurs
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		// Strict: one token has one spelling.
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, ErrNotOurs
		}
	}
	var h header
	if json.Unmarshal(decoded[0], &h) != nil {
		return nil, ErrNotOurs
	}
	k := s.keys[h.KeyID]
	// RFC 7515 section 4.1.11: we understand no extension, so none may be
	// critical. typ keeps tokens of other kinds apart (RFC 8725 section 3.11).
	if k == nil || k.distrusted() || h.Algorithm != k.Algorithm || h.Type != typ || h.Critical != nil {
		return nil, ErrNotOurs
	}
	if !k.verifies([]byte(parts[0]+"."+parts[1]), decoded[2]) {
		return nil, ErrNotOurs
	}
	return decoded[1], nil
}
