package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
)

// The device cookie names the accounts that completed a sign-in in this
// browser. It spares them the limits that strangers use up, at the same address
// and at the door; and where known devices have tries of their own it names those,
// within which a password and a second factor are asked for as ever. It never
// stands in for either.
const (
	deviceFor  = 365 * 24 * time.Hour
	deviceMost = 10 // accounts, the newest
)

// entry is an account in the cookie: "key" in those of before there was more to
// say, then "key.secret.epoch".
type entry struct {
	key    string
	secret string // of this browser for this account; "" in old cookies
	epoch  int64  // of the account's proofs, when it was last proven here
}

func entryOf(s string) entry {
	key, rest, _ := strings.Cut(s, ".")
	secret, n, _ := strings.Cut(rest, ".")
	epoch, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return entry{key: key}
	}
	return entry{key, secret, epoch}
}

func (e entry) String() string {
	if e.secret == "" {
		return e.key
	}
	return e.key + "." + e.secret + "." + strconv.FormatInt(e.epoch, 10)
}

// Known returns a function that reports whether an account completed a sign-in
// in this browser.
func (s *Site) Known(r *http.Request) func(account.ID) bool {
	seen := s.devices(r)
	return func(id account.ID) bool { return find(seen, id) >= 0 }
}

// Devices returns a function that tells what this browser is to an account: the
// zero Device unless the account completed a sign-in in it.
func (s *Site) Devices(r *http.Request) func(account.ID) account.Device {
	seen := s.devices(r)
	return func(id account.ID) account.Device {
		i := find(seen, id)
		if i < 0 || seen[i].secret == "" {
			return account.Device{}
		}
		return account.NewDevice(id, seen[i].secret, seen[i].epoch)
	}
}

// KnownBrowser returns a name for the account that signed in last in this
// browser, or "" if none ever did.
func (s *Site) KnownBrowser(r *http.Request) string {
	if seen := s.devices(r); len(seen) > 0 {
		return seen[0].key
	}
	return ""
}

// Remember adds an account to those that completed a sign-in here, or notes that
// it did once more, in the epoch of its proofs that is now. The browser does
// without if its cookie cannot be written.
func (s *Site) Remember(w http.ResponseWriter, r *http.Request, id account.ID, epoch int64) {
	seen, e := s.devices(r), entry{key: deviceKey(id), epoch: epoch}
	if i := find(seen, id); i >= 0 {
		e.secret = seen[i].secret
		seen = slices.Delete(seen, i, i+1)
	}
	if e.secret == "" {
		e.secret = account.NewSecret()
	}
	seen = append([]entry{e}, seen...)
	s.setDevices(w, seen[:min(len(seen), deviceMost)])
}

// Renew goes on knowing an account that a reset in this browser took into the
// next epoch, if it was known in the one before. Else whoever resets a password
// under attack would be stopped by the next lock before they can use it.
func (s *Site) Renew(w http.ResponseWriter, r *http.Request, id account.ID, epoch int64) {
	seen := s.devices(r)
	if i := find(seen, id); i >= 0 && seen[i].secret != "" && seen[i].epoch == epoch-1 {
		seen[i].epoch = epoch
		s.setDevices(w, seen)
	}
}

func (s *Site) setDevices(w http.ResponseWriter, seen []entry) {
	texts := make([]string, len(seen))
	for i, e := range seen {
		texts[i] = e.String()
	}
	value, err := s.device.Encode(s.cookieName("device"), texts)
	if err == nil {
		http.SetCookie(w, s.cookie("device", value, deviceFor))
	}
}

func (s *Site) devices(r *http.Request) []entry {
	name := s.cookieName("device")
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	var texts []string
	if s.device.Decode(name, c.Value, &texts) != nil {
		return nil
	}
	seen := make([]entry, len(texts))
	for i, t := range texts {
		seen[i] = entryOf(t)
	}
	return seen
}

// find returns where an account is among those seen, or -1.
func find(seen []entry, id account.ID) int {
	key := deviceKey(id)
	return slices.IndexFunc(seen, func(e entry) bool { return e.key == key })
}

// deviceKey is an account in the cookie: enough to recognise it by.
func deviceKey(id account.ID) string {
	sum := sha256.Sum256([]byte("device:" + string(id)))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
