package web

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/medximity/idp/provider/store"
)

// cookieName puts the browser's own guarantee before a cookie's name: set by
// this host, over TLS, for all of it (RFC 6265bis section 4.1.3.2). Only an
// issuer on plain http, which is a loopback one, goes without.
func (s *Site) cookieName(name string) string {
	if s.secure {
		return "__Host-mdx_" + name
	}
	return "mdx_" + name
}

// cookie returns a cookie of ours. An age of 0 ends with the browser; below 0,
// now. Lax, not Strict: a person who comes from an app is still signed in.
func (s *Site) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/",
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode}
	switch {
	case age > 0:
		c.MaxAge = int(age.Seconds())
	case age < 0:
		c.MaxAge = -1
	}
	return c
}

// codec authenticates and encrypts what a cookie says.
type codec struct{ *securecookie.SecureCookie }

// newCodec returns the codec of one cookie, with keys that all replicas share.
func newCodec(ctx context.Context, st *store.Store, name string, age time.Duration) (codec, error) {
	const each = 32 // HMAC-SHA-256 and AES-256
	key, err := st.Secret(ctx, "cookie:"+name, 2*each)
	if err != nil {
		return codec{}, fmt.Errorf("keys of the %s cookie: %w", name, err)
	}
	c := securecookie.New(key[:each], key[each:]).MaxAge(int(age.Seconds()))
	return codec{c.SetSerializer(securecookie.JSONEncoder{})}, nil
}

// isSecret reports whether a value is shaped like one of account.NewSecret.
func isSecret(v string) bool {
	b, err := base64.RawURLEncoding.DecodeString(v)
	return err == nil && len(b) == 32
}
