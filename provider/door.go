package provider

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/medximity/idp/flows/account"
)

// A door keeps a crowd of strangers from taking what everybody else needs: it
// lets some of them in at a time, has others wait for a moment, and sends those
// away who would wait longer, before anything was read for them. Browsers in
// which somebody signed in before do not wait at it, a few requests of each at a
// time; nor do pages with a session and the endpoints of apps, which have none.
type door struct {
	places chan struct{}
	wait   time.Duration

	mu    sync.Mutex
	known map[string]int // requests inside, by the browser's account
}

const (
	// strangersEach is how many strangers are inside for each slot to hash in:
	// enough to keep it busy, and few enough that who comes next is hashed for
	// within account.Hasher's wait.
	strangersEach = 4
	// doorWait is the longest wait at the door. A flood is told within a second
	// (T19); with the wait for a slot, an answer takes 3 s at most.
	doorWait = 900 * time.Millisecond
	// knownMost is how many requests of one known browser need not wait: more
	// than it makes, and few if its cookie is used by a crowd.
	knownMost = 4
)

func newDoor(h *account.Hasher) *door {
	slots := cmp.Or(h.Slots, runtime.GOMAXPROCS(0))
	return &door{places: make(chan struct{}, strangersEach*slots), wait: doorWait, known: map[string]int{}}
}

// enter waits for a place, and returns what gives it up. The browser is known
// by an account that signed in there, "" for a stranger. ErrQueueFull means that
// there are too many.
func (d *door) enter(ctx context.Context, browser string) (leave func(), err error) {
	if browser != "" && d.admit(browser) {
		return func() { d.dismiss(browser) }, nil
	}
	select { // no timer where there is room
	case d.places <- struct{}{}:
		return func() { <-d.places }, nil
	default:
	}
	t := time.NewTimer(d.wait)
	defer t.Stop()
	select {
	case d.places <- struct{}{}:
		return func() { <-d.places }, nil
	case <-t.C:
		return nil, account.ErrQueueFull
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *door) admit(browser string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[browser] == knownMost {
		return false
	}
	d.known[browser]++
	return true
}

func (d *door) dismiss(browser string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[browser]--; d.known[browser] == 0 {
		delete(d.known, browser)
	}
}

// atDoor serves what strangers may ask for, who have neither session nor secret.
func (p *Provider) atDoor(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		leave, err := p.door.enter(r.Context(), p.site.KnownBrowser(r))
		if err == nil {
			defer leave()
			err = h(w, r)
		}
		if errors.Is(err, account.ErrQueueFull) {
			p.Metrics.Limited("hashing")
		}
		return err
	}
}
