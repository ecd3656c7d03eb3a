package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/store"
)

// rsaBits is what OpenID clients expect; NIST SP 800-57 part 1 table 2 allows
// it through 2030, and a key serves for months.
const rsaBits = 2048

// key is a signing key, parsed once.
type key struct {
	store.SigningKey
	signer crypto.Signer
	header string // base64url, dot included: the same for all JWTs that it signs
}

// generate makes a key. Its ID is its RFC 7638 thumbprint.
func generate(alg string) (store.SigningKey, error) {
	signer, err := newSigner(alg)
	if err != nil {
		return store.SigningKey{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return store.SigningKey{}, err
	}
	id, err := thumbprint(signer)
	return store.SigningKey{ID: id, Algorithm: alg, Private: private}, err
}

func newSigner(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256", "PS256": // of one key each (RFC 8017 section 6)
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, errors.New("unknown algorithm")
}

func thumbprint(s crypto.Signer) (string, error) {
	jwk := jose.JSONWebKey{Key: s.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

func parse(row store.SigningKey) (*key, error) {
	private, err := x509.ParsePKCS8PrivateKey(row.Private)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok || !Fits(row.Algorithm, signer.Public()) {
		return nil, fmt.Errorf("a %T cannot sign %s", private, row.Algorithm)
	}
	k := &key{SigningKey: row, signer: signer}
	k.header, err = k.headerOf(typeJWT)
	return k, err
}

func (k *key) headerOf(typ string) (string, error) {
	h, err := json.Marshal(header{Algorithm: k.Algorithm, KeyID: k.ID, Type: typ})
	return base64.RawURLEncoding.EncodeToString(h) + ".", err
}

// sign returns the compact JWS of a payload.
func (k *key) sign(typ string, payload []byte) (string, error) {
	h, err := k.header, error(nil)
	if typ != typeJWT {
		if h, err = k.headerOf(typ); err != nil {
			return "", err
		}
	}
	enc := base64.RawURLEncoding
	b := make([]byte, 0, len(h)+enc.EncodedLen(len(payload))+1+enc.EncodedLen(rsaBits/8))
	b = append(b, h...)
	b = enc.AppendEncode(b, payload)
	signature, err := k.signature(b)
	if err != nil {
		return "", fmt.Errorf("keys: %s: %w", k.Algorithm, err)
	}
	b = append(b, '.')
	return string(enc.AppendEncode(b, signature)), nil
}

// signature signs by RFC 7518 section 3, EdDSA by RFC 8037 section 3.1.
func (k *key) signature(message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	switch s := k.signer.(type) {
	case *rsa.PrivateKey:
		if k.Algorithm == "PS256" {
			return rsa.SignPSS(rand.Reader, s, crypto.SHA256, sum[:], pss())
		}
		return rsa.SignPKCS1v15(rand.Reader, s, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, s, sum[:])
		if err != nil {
			return nil, err
		}
		// Both numbers at full length, not ASN.1 (RFC 7518 section 3.4).
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out, nil
	}
	return k.signer.Sign(nil, message, crypto.Hash(0))
}

// verifies reports whether the signature is this key's.
func (k *key) verifies(message, signature []byte) bool {
	return Verifies(k.Algorithm, k.signer.Public(), message, signature)
}

// pss has a salt as long as the hash (RFC 7518 section 3.5).
func pss() *rsa.PSSOptions { return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash} }
