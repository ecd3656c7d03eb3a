package provider

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medximity/idp/flows/account"
)

func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(&account.Hasher{Slots: 1})
		enter := func(browser string) func() {
			t.Helper()
			leave, err := d.enter(t.Context(), browser)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		var inside []func()
		for range strangersEach {
			inside = append(inside, enter(""))
		}
		start := time.Now()
		if _, err := d.enter(t.Context(), ""); !errors.Is(err, account.ErrQueueFull) || time.Since(start) != doorWait {
			t.Errorf("one more stranger: %v after %s", err, time.Since(start))
		}

		var known []func()
		for range knownMost {
			known = append(known, enter("grace"))
		}
		if _, err := d.enter(t.Context(), "grace"); !errors.Is(err, account.ErrQueueFull) {
			t.Errorf("a known browser's crowd: %v", err)
		}
		enter("edith")()
		known[0]()
		enter("grace")()

		go func() { time.Sleep(doorWait / 2); inside[0]() }()
		start = time.Now()
		leave := enter("")
		if time.Since(start) != doorWait/2 {
			t.Errorf("the next waited %s", time.Since(start))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.enter(gone, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone: %v", err)
		}
		for _, f := range append(append(inside[1:], known[1:]...), leave) {
			f()
		}
		if len(d.places) > 0 || len(d.known) > 0 {
			t.Errorf("%d and %v are left behind", len(d.places), d.known)
		}
	})
}

// While strangers crowd the door, they are told so, and nothing is read or
// written for them; all others notice nothing.
func TestACrowdAtTheDoor(t *testing.T) {
	h := newHouse(t, "http://127.0.0.1")
	h.door.wait = time.Millisecond
	b, fresh := h.browser(), h.browser()
	b.signIn(b.get("/login"), "grace", rightPassword)
	for len(h.door.places) < cap(h.door.places) {
		h.door.places <- struct{}{}
	}
	for _, path := range []string{"/login", "/authorize?client_id=app", "/reset-password?token=x"} {
		a := h.browser().get(path)
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || len(a.Cookies()) > 0 {
			t.Errorf("GET %s: %s %v", path, a.Status, a.Header)
		}
	}
	for _, path := range []string{"/login/identify", "/forgot-password", "/reset-password", "/contact-support"} {
		if a := fresh.post(path, "identifier", "grace", "password", "x", "email", "x@y.example"); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("POST %s: %s", path, a.Status)
		}
	}
	for _, path := range []string{"/jwks.json", "/forgot-password", "/static/style.css", "/.well-known/openid-configuration"} {
		if a := fresh.get(path); a.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", path, a.Status)
		}
	}
	for _, path := range []string{"/login", "/account/security"} {
		if a := b.get(path); a.StatusCode != http.StatusOK {
			t.Errorf("GET %s in a known browser: %s", path, a.Status)
		}
	}
}
