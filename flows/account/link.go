package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// NewSecret returns 32 random bytes as 43 URL-safe characters. Only its
// SHA-256 is ever stored: at this entropy no slow hash is needed.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

// HashSecret returns what is stored of a secret made by NewSecret.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Link is what a reset link is worth when it is opened.
type Link struct {
	Fate    Reason    // Valid, Expired, Superseded, Used or Unknown
	Subject string    // whose it is; "" when Unknown
	SentAt  time.Time // of this link
	NewerAt time.Time // of the newest link, when Superseded
	Until   time.Time // when a Valid one ends
	By      By        // who asked for it
}
