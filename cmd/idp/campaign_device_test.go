//go:build campaign

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// T30: somebody wants a practice of fifty locked out. From one address they lock
// three and are stopped; from five hundred they lock all, which the alerts show
// within a minute, and nobody who sits before a browser they know notices.
func TestT30LockingOutAPractice(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 1, direct: true, limited: true,
		more: "proxies: [127.0.0.0/8]\nlockout: {known_device: true}\n"})
	s.employ(50)
	var all []*surfer
	for i := range 50 {
		b := s.surfer()
		if p, err := s.entering(b, i); verdictOf(p, err) != passed {
			t.Fatalf("staff%d cannot sign in", i)
		}
		all = append(all, b)
	}

	one, before := s.siege("203.0.113.1"), s.nodes[0].metric(verified)
	for i := range 50 {
		one.guess(i, 5)
	}
	few, of := int(s.nodes[0].metric("medximity_idp_locked_accounts")), int(s.nodes[0].metric(verified)-before)
	if few > account.SourceLocks || of > account.SourceFailures || of == 0 {
		t.Errorf("one address locked %d accounts, with %d judged", few, of)
	}
	if a := one.last; a != http.StatusTooManyRequests {
		t.Errorf("one address is not stopped: %d", a)
	}
	if s.seated(all[49]) {
		t.Fatal("a session was left")
	}

	start := time.Now()
	alerts := s.scrape(start)
	judged := s.besiege(500)
	took, fired := time.Since(start), alerts()
	if n := s.nodes[0].metric("medximity_idp_locked_accounts"); n != 50 {
		t.Fatalf("%v accounts are locked", n)
	}
	for _, a := range lockoutAlerts {
		if at, ok := fired[a.name]; !ok || at > time.Minute {
			t.Errorf("%s: fires %v, after %s", a.name, ok, at)
		}
	}

	// The attack goes on; each of the fifty signs in, right into their app.
	end, wait := s.goingOn()
	in, strangers, g := 0, 0, &gauge{}
	for i, b := range all {
		begun := time.Now()
		p, err := s.entering(b.withoutSession(), i)
		status := 0
		if err == nil {
			status = p.status
		}
		g.add(status, time.Since(begun))
		if verdictOf(p, err) == passed && s.tokensOf(p) == nil {
			in++
		} else {
			t.Errorf("staff%d, whose device is known: %v %v", i, p, err)
		}
		if p, err := s.entering(s.surfer(), i); verdictOf(p, err) != locked {
			strangers++
		}
	}
	close(end)
	wait()
	if in != 50 || strangers != 0 {
		t.Errorf("%d known devices got in, and %d strangers with the right password", in, strangers)
	}
	t.Logf("T30 seed %d: one address locked %d of 50 with %d judged, then 429; 500 addresses %d judged in %s, 50 of 50 locked; alerts after %v; known devices %d of 50, %s; strangers with the right password %d",
		s.seed, few, of, judged, took.Round(100*time.Millisecond), fired, in, g, strangers)
}

// employ adds people who work in one practice.
func (s *site) employ(n int) {
	s.t.Helper()
	ctx := s.t.Context()
	hash, err := new(account.Hasher).Hash(ctx, []byte(firstPassword))
	s.ok(err)
	s.ok(s.db.AddPractice(ctx, "riverside", "Riverside"))
	for i := range n {
		name := fmt.Sprintf("staff%d", i)
		_, err := s.db.AddPerson(ctx, store.NewPerson{ID: account.ID("id-" + name), Practice: "riverside", Role: "front_desk",
			Username: name, Email: name + "@river.example", EmailVerified: true, Hash: hash}, "test")
		s.ok(err)
	}
}

// entering comes from the app and gives the right password.
func (s *site) entering(b *surfer, i int) (p *page, err error) {
	for range 20 { // a flood may stand at the door
		if _, err = b.get(siteAuthorize + url.QueryEscape(appCallback)); err != nil {
			return nil, err
		}
		p, err = b.press("Sign In", map[string]string{"identifier": fmt.Sprintf("staff%d", i), "password": firstPassword})
		if err != nil || p.status != http.StatusServiceUnavailable && p.status != http.StatusTooManyRequests {
			return p, err
		}
		time.Sleep(500 * time.Millisecond)
	}
	return p, err
}

// tokensOf has the app redeem the code that a redirect brings.
func (s *site) tokensOf(p *page) error {
	to, err := url.Parse(p.header.Get("Location"))
	if err != nil {
		return err
	}
	a, err := s.surfer().ask(url.Values{"grant_type": {"authorization_code"}, "code": to.Query()["code"], "redirect_uri": {appCallback}})
	if err == nil && a.Access == "" {
		err = fmt.Errorf("no tokens: %d", a.status)
	}
	return err
}

// withoutSession is the same browser the next morning.
func (b *surfer) withoutSession() *surfer {
	own := b.s.surfer()
	at, _ := url.Parse(b.s.url)
	for _, c := range b.jar.Cookies(at) {
		if !strings.Contains(c.Name, "session") {
			own.jar.SetCookies(at, []*http.Cookie{c})
		}
	}
	return own
}

// seated reports whether a browser that left its session behind is signed in.
func (s *site) seated(b *surfer) bool {
	p, err := b.withoutSession().fetch(http.MethodGet, siteAuthorize+url.QueryEscape(appCallback), nil)
	return err == nil && strings.Contains(p.header.Get("Location"), "code=")
}

// besieger is a stranger at an address of their own.
type besieger struct {
	*surfer
	from string
	form url.Values
	last int // the status of the last answer
}

func (s *site) siege(from string) *besieger { return &besieger{surfer: s.surfer(), from: from} }

// guess gives wrong passwords for one of the staff; who is sent away for the crowd
// comes again.
func (x *besieger) guess(i, times int) {
	for tries := 0; times > 0 && tries < 200; tries++ {
		if x.form == nil {
			x.open()
			continue
		}
		x.form.Set("identifier", fmt.Sprintf("staff%d", i))
		x.form.Set("password", "not the right one")
		p, err := x.fetch(http.MethodPost, "/login/identify", x.form, "X-Forwarded-For", x.from)
		if err != nil || p.status == http.StatusServiceUnavailable {
			continue
		}
		x.last = p.status
		times--
	}
}

// open takes the page of a sign-in.
func (x *besieger) open() {
	if p, err := x.fetch(http.MethodGet, "/login", nil, "X-Forwarded-For", x.from); err != nil || p.status != http.StatusOK {
		time.Sleep(50 * time.Millisecond)
		return
	}
	for f := range x.page.elements("form") {
		if hasButton(f, "Sign In") {
			x.form = defaults(f)
		}
	}
}

// besiege has so many addresses try five wrong passwords each, at one of the fifty
// each, some of them at a time. It returns how many were judged.
func (s *site) besiege(addresses int) int64 {
	before := s.nodes[0].metric(verified)
	next := make(chan int)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for i := range next {
				s.siege(fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250)).guess(i%50, 5)
			}
		})
	}
	for i := range addresses {
		next <- i
	}
	close(next)
	wg.Wait()
	return int64(s.nodes[0].metric(verified) - before)
}

// goingOn is strangers who keep at it until end is closed.
func (s *site) goingOn() (end chan struct{}, wait func()) {
	end = make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
					s.siege(fmt.Sprintf("198.19.%d.%d", n, 1+i%250)).guess(i%50, 5)
				}
			}
		})
	}
	return end, wg.Wait
}

// figures are what one reading of the metrics has of an attack.
type figures struct{ lockouts, failures, locked float64 }

// lockoutAlerts are the conditions of the alerts about lockouts (operations.md),
// over what happened since the attack began: a week before it was as good as calm.
var lockoutAlerts = []struct {
	name  string
	fires func(calm, now figures) bool
}{
	// More than 10 in 15 minutes, and than five times what is usual.
	{"IdpLockoutSpike", func(calm, now figures) bool {
		d := now.lockouts - calm.lockouts
		return d > 10 && d > 5*calm.lockouts
	}},
	{"IdpFailedLoginSpike", func(calm, now figures) bool {
		d := now.failures - calm.failures
		return d > 100 && d > 5*calm.failures
	}},
	{"LockedAccountsHigh", func(_, now figures) bool { return now.locked > 20 }},
}

func (n *node) figures() (f figures) {
	f.lockouts = n.metric(`medximity_idp_lockouts_total{step="password"}`)
	f.locked = n.metric("medximity_idp_locked_accounts")
	for _, reason := range []account.Reason{account.BadCredentials, account.UnknownUser, account.LockedOut} {
		f.failures += n.metric(fmt.Sprintf(`medximity_idp_login_failures_total{factor="password",reason="%s"}`, reason))
	}
	return f
}

// scrape reads the metrics every 15 seconds, as a Prometheus might, until all
// alerts have fired or a minute is over. It returns what tells when each did.
func (s *site) scrape(start time.Time) (wait func() map[string]time.Duration) {
	calm, fired, done := s.nodes[0].figures(), map[string]time.Duration{}, make(chan struct{})
	go func() {
		defer close(done)
		for len(fired) < len(lockoutAlerts) && time.Since(start) < 59*time.Second {
			time.Sleep(15 * time.Second)
			now := s.nodes[0].figures()
			for _, a := range lockoutAlerts {
				if _, ok := fired[a.name]; !ok && a.fires(calm, now) {
					fired[a.name] = time.Since(start).Round(time.Second)
				}
			}
		}
	}()
	return func() map[string]time.Duration { <-done; return fired }
}
