package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// Algorithms are those by which tokens are signed, by us and by others for us.
// There is no "none" among them and no HMAC, of which a public key could be
// taken for the secret (RFC 8725 section 3.1).
func Algorithms() []string { return algorithms() }

// Fits reports whether signatures by an algorithm may be verified with a key.
func Fits(alg string, public crypto.PublicKey) bool {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return (alg == "RS256" || alg == "PS256") && p.N.BitLen() >= rsaBits
	case *ecdsa.PublicKey:
		return alg == "ES256" && p.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == "EdDSA" && len(p) == ed25519.PublicKeySize
	}
	return false
}

// Verifies reports whether the signature of a message is by the key, in the way
// of the algorithm (RFC 7518 section 3, RFC 8037 section 3.1).
func Verifies(alg string, public crypto.PublicKey, message, signature []byte) bool {
	if !Fits(alg, public) {
		return false
	}
	sum := sha256.Sum256(message)
	switch p := public.(type) {
	case *rsa.PublicKey:
		if alg == "PS256" {
			return rsa.VerifyPSS(p, crypto.SHA256, sum[:], signature, pss()) == nil
		}
		return rsa.VerifyPKCS1v15(p, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		return len(signature) == 64 && ecdsa.Verify(p, sum[:],
			new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case ed25519.PublicKey:
		return ed25519.Verify(p, message, signature)
	}
	return false
}
