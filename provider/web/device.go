package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/medximity/idp/flows/account"
)

// The device cookie names the accounts that completed a sign-in in this
// browser. It only spares them the limits that strangers use up, at the same
// address and at the door; it never stands in for a password or a second factor.
const (
	deviceFor  = 365 * 24 * time.Hour
	deviceMost = 10 // accounts, the newest
)

// Known returns a function that reports whether an account completed a sign-in
// in this browser.
func (s *Site) Known(r *http.Request) func(account.ID) bool {
	seen := s.devices(r)
	return func(id account.ID) bool { return slices.Contains(seen, deviceKey(id)) }
}

// KnownBrowser returns a name for the account that signed in last in this
// browser, or "" if none ever did.
func (s *Site) KnownBrowser(r *http.Request) string {
	if seen := s.devices(r); len(seen) > 0 {
		return seen[0]
	}
	return ""
}

// Remember adds an account to those that completed a sign-in here. The browser
// does without if its cookie cannot be written.
func (s *Site) Remember(w http.ResponseWriter, r *http.Request, id account.ID) {
	key := deviceKey(id)
	seen := slices.DeleteFunc(s.devices(r), func(k string) bool { return k == key })
	seen = append([]string{key}, seen...)
	value, err := s.device.Encode(s.cookieName("device"), seen[:min(len(seen), deviceMost)])
	if err == nil {
		http.SetCookie(w, s.cookie("device", value, deviceFor))
	}
}

func (s *Site) devices(r *http.Request) []string {
	name := s.cookieName("device")
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	var seen []string
	if s.device.Decode(name, c.Value, &seen) != nil {
		return nil
	}
	return seen
}

// deviceKey is an account in the cookie: enough to recognise it by.
func deviceKey(id account.ID) string {
	sum := sha256.Sum256([]byte("device:" + string(id)))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
