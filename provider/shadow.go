package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// shadowKey returns the function that names the guard row of an identifier
// that nobody has: its full HMAC, so that the store neither collects what
// strangers typed nor can be searched for it. "?" keeps it apart from IDs.
func shadowKey(ctx context.Context, s *store.Store) (func(string) string, error) {
	key, err := s.Secret(ctx, "shadow", sha256.Size)
	if err != nil {
		return nil, err
	}
	return func(identifier string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(identifier))
		return "?" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}, nil
}

// draftKey returns the function from which flows draw what they show before it
// is stored: keys of authenticators, and backup codes. Of the flow's id alone,
// which the database knows, it is worth nothing.
func draftKey(ctx context.Context, s *store.Store) (func(flow, purpose string) []byte, error) {
	key, err := s.Secret(ctx, "draft", sha256.Size)
	if err != nil {
		return nil, err
	}
	return func(flow, purpose string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(purpose + ":" + flow))
		return mac.Sum(nil)
	}, nil
}

// handleKey returns what authenticators are told to know an account by. It is the
// same for ever, and says nothing of whose it is to whoever finds the authenticator
// (WebAuthn Level 3 section 14.6.1).
func handleKey(ctx context.Context, s *store.Store) (func(account.ID) []byte, error) {
	key, err := s.Secret(ctx, "passkeys", sha256.Size)
	if err != nil {
		return nil, err
	}
	return func(id account.ID) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id))
		return mac.Sum(nil)
	}, nil
}
