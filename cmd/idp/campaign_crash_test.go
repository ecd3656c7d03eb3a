//go:build campaign

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// The campaign of faults, of which each test is
//
//	go test -tags campaign -timeout 2h -v -run T12 ./cmd/idp
//
// and prints its seed and its figures in one line. A seed fixes what is chosen,
// not what the scheduler makes of it: IDP_SEED takes one again.

// T12: real servers die by kill -9 while people sign in, reset, refresh.
func TestT12CrashesLoseNothingAcknowledged(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 2})
	kills, into := setting("IDP_KILLS", 200), rand.New(rand.NewPCG(s.seed, 12))
	town := populate(t, s)
	town.live(10)
	var ready []time.Duration
	for range kills {
		time.Sleep(time.Duration(into.Int64N(int64(800 * time.Millisecond))))
		n := s.nodes[into.IntN(len(s.nodes))]
		n.kill()
		began := time.Now()
		s.up(n)
		s.waitReady(n)
		ready = append(ready, time.Since(began))
	}
	town.stop()
	twice := town.reckon(kills)
	slices.Sort(ready)
	if worst := ready[len(ready)-1]; worst > 5*time.Second {
		t.Errorf("one was ready only after %s", worst)
	}
	t.Logf("T12 seed %d: %d kills, %s; ready p50 %s, max %s; mails sent twice %d", s.seed, kills, town.figures(),
		middle(ready), ready[len(ready)-1].Round(time.Millisecond), twice)
}

// T13: the database dies and comes back. Until it does, nobody is let in, and
// everybody is told when to come again.
func TestT13ADatabaseThatCrashesLosesNothingAcknowledged(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 2})
	crashes, into := setting("IDP_CRASHES", 50), rand.New(rand.NewPCG(s.seed, 13))
	town := populate(t, s)
	town.live(10)
	var ready []time.Duration
	watched := 0
	for i := range crashes {
		time.Sleep(500*time.Millisecond + time.Duration(into.Int64N(int64(time.Second))))
		s.pg.Stop()
		if i%5 == 0 { // what was charged before is judged by now; nothing more is
			time.Sleep(3 * time.Second)
			before := s.sum(verified)
			for range 5 {
				town.knock()
			}
			if n := s.sum(verified) - before; n != 0 {
				t.Errorf("crash %d: %v passwords were judged without a look at the lock", i, n)
			}
			watched++
		} else {
			time.Sleep(time.Duration(into.Int64N(int64(time.Second))))
		}
		s.pg.Start()
		back := time.Now()
		for _, n := range s.nodes {
			s.waitReady(n)
		}
		ready = append(ready, time.Since(back))
	}
	town.stop()
	twice := town.reckon(0)
	slices.Sort(ready)
	if worst := ready[len(ready)-1]; worst > 5*time.Second {
		t.Errorf("once they were ready only %s after the database", worst)
	}
	t.Logf("T13 seed %d: %d crashes, %s; ready p50 %s, max %s; %d outages watched, 0 judged; mails sent twice %d", s.seed, crashes,
		town.figures(), middle(ready), ready[len(ready)-1].Round(time.Millisecond), watched, twice)
}

func middle(sorted []time.Duration) time.Duration { return at(sorted, 0.5) }

// at is the quantile of what is sorted.
func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(100 * time.Microsecond)
}

// setting is a number that the environment may change.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func seed() uint64 {
	if n := setting("IDP_SEED", 0); n != 0 {
		return uint64(n)
	}
	return rand.Uint64N(1 << 31)
}

// site is real servers behind a balancer, on one PostgreSQL and one mail server.
type site struct {
	t      *testing.T
	seed   uint64
	url    string // the issuer: the balancer
	client *http.Client
	pg     *storetest.Breakable
	db     *store.Store // ours, to add people and to count
	sql    *sql.DB
	post   *office
	nodes  []*node
	config string

	next    atomic.Int64
	mu      sync.Mutex
	answers map[int]int
	slow    map[int]time.Duration // the slowest answer of each status
}

type siteOptions struct {
	nodes   int
	limited bool   // limits by source apply to this machine
	more    string // YAML
	url     string // of the database; "" for a PostgreSQL that may be stopped
	conns   int    // of each server; 0 is the default
	direct  bool   // one server without a balancer
	post    *office
	mail    string // YAML: how mails are secured; "" is not at all
}

// node is one server, which may die.
type node struct {
	addr, operator string
	cmd            *exec.Cmd
	ended          chan struct{}
	log            string
}

const (
	appSecret   = "the-secret-of-the-app-in-the-campaign"
	appCallback = "http://127.0.0.1:9/callback"
)

func newSite(t *testing.T, o siteOptions) *site {
	t.Helper()
	s := &site{t: t, seed: seed(), answers: map[int]int{}, slow: map[int]time.Duration{}, post: o.post}
	if o.mail == "" {
		o.mail = "security: none"
	}
	if s.post == nil {
		s.post = openOffice(t)
	}
	t.Logf("seed %d", s.seed)
	s.client = &http.Client{Timeout: 40 * time.Second, CheckRedirect: stay,
		Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	for range o.nodes {
		s.nodes = append(s.nodes, &node{addr: freeAddress(t), operator: freeAddress(t)})
	}
	s.url = "http://" + s.nodes[0].addr
	if !o.direct {
		balancer := httptest.NewServer(s.balance())
		t.Cleanup(balancer.Close)
		s.url = balancer.URL
	}
	if o.url == "" {
		s.pg = storetest.NewBreakable(t)
		o.url = s.pg.URL
	}
	dir := t.TempDir()
	ring, text, err := seal.NewRing()
	s.ok(err)
	s.ok(os.WriteFile(filepath.Join(dir, "ring.json"), text, 0o600))
	exempt := "limits: {exempt: [127.0.0.0/8]}\n"
	if o.limited {
		exempt = ""
	}
	s.config = filepath.Join(dir, "idp.yaml")
	s.ok(os.WriteFile(s.config, fmt.Appendf(nil, `issuer: %s
store: {url: %q, max_conns: %d}
keys: {ring_file: %q}
mail: {host: 127.0.0.1, port: %d, from: no-reply@id.example, timeout: 5s, %s}
support: {email: desk@id.example}
log: {level: warn}
%s%s`, s.url, o.url, o.conns, filepath.Join(dir, "ring.json"), s.post.port, o.mail, exempt, o.more), 0o600))
	sc := store.Config{URL: o.url, Ring: ring, Logger: slog.New(slog.DiscardHandler), MaxConns: 4}
	s.ok(store.Migrate(t.Context(), sc))
	s.db = storetest.Open(t, sc)
	s.sql = openOutside(t, o.url)
	s.ok(s.db.PutClient(t.Context(), store.Client{ID: "app", Name: "App", SecretHash: account.HashSecret(appSecret),
		PKCEOptional: true, RedirectURIs: []string{appCallback}, Scopes: []string{"openid", "offline_access"}}, "test"))
	for i, n := range s.nodes {
		n.log = filepath.Join(dir, fmt.Sprintf("node%d.log", i))
		s.up(n)
	}
	t.Cleanup(s.down)
	for _, n := range s.nodes {
		s.waitReady(n)
	}
	return s
}

func (s *site) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// up starts a server, as a supervisor does.
func (s *site) up(n *node) {
	s.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.ok(err)
	defer log.Close()
	n.cmd = exec.Command(idpBinary(s.t), "serve", "--config", s.config)
	n.cmd.Env = append(environ(), "IDP_LISTEN="+n.addr, "IDP_OPERATOR__LISTEN="+n.operator)
	n.cmd.Stderr, n.cmd.Stdout = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.ok(n.cmd.Start())
	n.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(n.cmd, n.ended)
}

// kill ends it without a warning.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended
}

func (s *site) waitReady(n *node) {
	s.t.Helper()
	client := &http.Client{Timeout: 3 * time.Second}
	for late := time.Now().Add(60 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get("http://" + n.operator + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	s.t.Fatalf("a server is not ready after a minute:\n%s", tail(string(mustRead(s.t, n.log)), 4000))
}

func (s *site) down() {
	for _, n := range s.nodes {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.ended:
		case <-time.After(30 * time.Second):
			s.t.Error("a server did not end in 30 s")
			n.kill()
		}
		if s.t.Failed() {
			s.t.Logf("log of %s:\n%s", n.addr, tail(string(mustRead(s.t, n.log)), 1000))
		}
	}
}

// sum adds up a series over all servers; one that does not answer counts 0.
func (s *site) sum(series string) (n float64) {
	for _, one := range s.nodes {
		n += one.metric(series)
	}
	return n
}

func (n *node) metric(series string) float64 {
	resp, err := http.Get("http://" + n.operator + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v
		}
	}
	return 0
}

// balance is the balancer: each request to the next server, and to the other
// if that one is not there at all. A connection that breaks later is a 502: what
// became of the request nobody knows.
func (s *site) balance() http.Handler {
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			body, _ := io.ReadAll(r.In.Body)
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			r.Out.Host, r.Out.URL.Scheme = r.In.Host, "http"
		},
		Transport: roundTrip(func(r *http.Request) (resp *http.Response, err error) {
			first := int(s.next.Add(1))
			for i := range s.nodes {
				again := r.Clone(r.Context())
				again.Body, _ = r.GetBody()
				again.URL.Host = s.nodes[(first+i)%len(s.nodes)].addr
				resp, err = transport.RoundTrip(again)
				if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != "dial" {
					return resp, err
				}
			}
			return resp, err
		}),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("X-Balancer", "lost")
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// surfer is a person's browser that lives through what breaks: nothing it does
// ends the test, and an answer that did not come is errLost.
type surfer struct {
	s    *site
	jar  http.CookieJar
	page *page
}

var errLost = errors.New("no answer came")

func (s *site) surfer() *surfer {
	jar, _ := cookiejar.New(nil)
	return &surfer{s: s, jar: jar}
}

// fetch sends one request, once.
func (b *surfer) fetch(method, to string, form url.Values, headers ...string) (*page, error) {
	base, _ := url.Parse(b.s.url)
	at, err := base.Parse(to)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Language", "en")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Origin", b.s.url)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	for _, c := range b.jar.Cookies(at) {
		req.AddCookie(c)
	}
	start := time.Now()
	resp, err := b.s.client.Do(req)
	if err != nil {
		b.s.note(0, time.Since(start))
		return nil, errLost
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("X-Balancer") != "" {
		b.s.note(0, time.Since(start))
		return nil, errLost
	}
	b.s.note(resp.StatusCode, time.Since(start))
	b.jar.SetCookies(at, resp.Cookies())
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	p := &page{at, resp.StatusCode, resp.Header, string(body), doc}
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "":
		b.s.t.Errorf("%s %s: a 503 without Retry-After", method, at.Path)
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable:
		b.s.t.Errorf("%s %s: a fault, %d:\n%s", method, at.Path, resp.StatusCode, p.words())
	}
	b.page = p
	return p, nil
}

func (s *site) note(status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[status]++
	s.slow[status] = max(s.slow[status], took.Round(time.Millisecond))
}

// get opens a page, again and again until it comes, and follows redirects on
// this site.
func (b *surfer) get(to string) (*page, error) {
	for late := time.Now().Add(time.Minute); ; {
		p, err := b.fetch(http.MethodGet, to, nil)
		switch {
		case err == nil && p.status == http.StatusSeeOther:
			next, err := p.url.Parse(p.header.Get("Location"))
			if err != nil || !strings.HasPrefix(next.String(), b.s.url+"/") {
				return p, err
			}
			to = next.String()
			continue
		case err == nil && p.status != http.StatusServiceUnavailable && p.status != http.StatusTooManyRequests:
			return p, nil
		}
		if time.Now().After(late) {
			return nil, errLost
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// press sends the form of the page that has the button, once.
func (b *surfer) press(words string, fields map[string]string) (*page, error) {
	for form := range b.page.elements("form") {
		if !hasButton(form, words) {
			continue
		}
		values := defaults(form)
		for name, v := range fields {
			values.Set(name, v)
		}
		to, err := b.page.url.Parse(attr(form, "action"))
		if err != nil {
			return nil, err
		}
		return b.fetch(http.MethodPost, to.String(), values)
	}
	return nil, fmt.Errorf("no button %q on %s (%d):\n%s", words, b.page.url.Path, b.page.status, b.page.words())
}

// signedIn reports whether an answer gave the browser a session.
func (g *page) signedIn() bool {
	return slices.ContainsFunc(g.header.Values("Set-Cookie"), func(c string) bool {
		return strings.HasPrefix(c, "mdx_session=") && !strings.HasPrefix(c, "mdx_session=;")
	})
}

// verdict is what an answer tells.
type verdict int

const (
	unknown verdict = iota // it did not come, or says to try again
	passed
	wrong
	locked
)

func verdictOf(p *page, err error) verdict {
	switch {
	case err != nil:
		return unknown
	case p.status == http.StatusSeeOther:
		return passed
	case p.status == http.StatusUnauthorized:
		return wrong
	case p.status == http.StatusForbidden:
		return locked
	}
	return unknown
}

// office is a mail server that keeps all, by recipient.
type office struct {
	*postOffice
	mu    sync.Mutex
	seen  map[string]bool
	byTo  map[string][]received
	twice int
}

func openOffice(t *testing.T) *office {
	return &office{postOffice: openPostOffice(t), seen: map[string]bool{}, byTo: map[string][]received{}}
}

// mailsTo are the mails to an address, oldest first, each once.
func (o *office) mailsTo(to string) []received {
	o.mu.Lock()
	defer o.mu.Unlock()
	entries, _ := os.ReadDir(o.box.dir)
	for _, e := range entries {
		if o.seen[e.Name()] || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		o.seen[e.Name()] = true
		var m message
		b, _ := os.ReadFile(filepath.Join(o.box.dir, e.Name()))
		if json.Unmarshal(b, &m) != nil {
			continue
		}
		if slices.ContainsFunc(o.byTo[m.To], func(r received) bool { return r.Subject == m.Subject && r.Text == m.Text }) {
			o.twice++
			continue
		}
		o.byTo[m.To] = append(o.byTo[m.To], received{m.To, m.Subject, m.Text, m.HTML})
	}
	return slices.Clone(o.byTo[to])
}

// linksTo are the reset links that an address got, oldest first.
func (o *office) linksTo(to string) (links []string) {
	for _, m := range o.mailsTo(to) {
		for _, word := range strings.Fields(m.Text) {
			if strings.HasPrefix(word, "http") && strings.Contains(word, "/reset-password?token=") {
				links = append(links, word)
			}
		}
	}
	return links
}

// citizen is a person, and what they were told.
type citizen struct {
	sync.Mutex
	id, username, email string
	key                 []byte // of the authenticator, or nil

	password string
	old      []string    // acknowledged to be replaced
	maybe    string      // a change to this one was not answered
	strikes  int         // attempts since the last right password that were wrong or not answered
	silent   []time.Time // when those that were not answered were made
	out      bool        // locked, by those

	lastStep      int64
	codeStrikes   int
	codes, spent  []string // backup codes: unused, and acknowledged to be used
	browser       *surfer  // signed in, as acknowledged
	seen          []string // what happened, in words
	asks          int      // for reset links, answered or not
	asked         int      // answered
	asking        bool     // one was not answered, or its mail is not here yet
	voided        bool     // by a new password, which ends the links before it
	mailed        int      // links that had arrived when the last one was asked for
	links         []string // used, as acknowledged
	refresh, past string   // of the family: the newest one, and the one before
	changes       int      // of the password, acknowledged
	wrongs        int      // of a victim: answered as wrong
	silences      int      // of a victim: not answered
}

// town is everybody.
type town struct {
	*site
	people, victims []*citizen
	done            chan struct{}
	wg              sync.WaitGroup

	acked, lost, sessions, codes, backups, asked, resets, changed, rotated, replays, wrongs atomic.Int64
}

const firstPassword = "violet kettle on the stove"

// populate adds people, of whom some have an authenticator, and some only exist
// to be guessed at.
func populate(t *testing.T, s *site) *town {
	t.Helper()
	w := &town{site: s, done: make(chan struct{})}
	hash, err := new(account.Hasher).Hash(t.Context(), []byte(firstPassword))
	s.ok(err)
	r := rand.New(rand.NewPCG(s.seed, 1))
	for i := range setting("IDP_PEOPLE", 240) {
		c := &citizen{id: fmt.Sprintf("id-%d", i), username: fmt.Sprintf("person%d", i),
			email: fmt.Sprintf("person%d@river.example", i), password: firstPassword}
		_, err := s.db.AddPerson(t.Context(), store.NewPerson{ID: account.ID(c.id), Username: c.username, Email: c.email,
			EmailVerified: true, Name: "Person", Locale: "en", Hash: hash}, "test")
		s.ok(err)
		switch i % 6 {
		case 0, 1:
			w.victims = append(w.victims, c)
			continue
		case 2:
			c.key = make([]byte, 20)
			for i := range c.key {
				c.key[i] = byte(r.Uint32())
			}
			_, err := s.db.BringSecond(t.Context(), account.ID(c.id), account.NewAuthenticator{Name: "Phone", Key: c.key}, "test")
			s.ok(err)
			w.equip(c)
		}
		w.people = append(w.people, c)
	}
	return w
}

// equip signs somebody in for the first time, who has an authenticator, and
// saves the backup codes.
func (w *town) equip(c *citizen) {
	w.t.Helper()
	b := w.surfer()
	flow, v := w.prove(b, c, c.password)
	if v != passed || flow == "" {
		w.t.Fatalf("%s cannot sign in: %d", c.username, v)
	}
	c.lastStep = time.Now().Unix()/30 - 1
	p, err := b.fetch(http.MethodPost, "/login/totp", url.Values{"flow": {flow}, "otp": {account.ShowCode(c.key, time.Unix(c.lastStep*30, 0))}})
	if verdictOf(p, err) == passed {
		p, err = b.get(p.header.Get("Location"))
	}
	w.ok(err)
	c.codes = codesOn(w.t, p)
	for range 10 { // ten hashes are much for a machine that others use
		p, err = b.fetch(http.MethodPost, "/login/backup-codes", url.Values{"flow": {flow}, "saved": {"yes"}})
		if verdictOf(p, err) == passed {
			break
		}
	}
	if verdictOf(p, err) != passed || !p.signedIn() {
		w.t.Fatalf("%s could not save the codes", c.username)
	}
}

// live has so many people at a time do what people do.
func (w *town) live(workers int) {
	for i := range workers {
		r := rand.New(rand.NewPCG(w.seed, 100+uint64(i)))
		w.wg.Go(func() {
			for {
				select {
				case <-w.done:
					return
				default:
				}
				if r.IntN(6) == 0 {
					w.one(w.victims, r, w.guess)
					continue
				}
				w.one(w.people, r, func(c *citizen) { w.journey(c, r) })
			}
		})
	}
}

func (w *town) stop() { close(w.done); w.wg.Wait() }

func (w *town) one(of []*citizen, r *rand.Rand, do func(*citizen)) {
	c := of[r.IntN(len(of))]
	if !c.TryLock() {
		return
	}
	defer c.Unlock()
	if !c.out {
		do(c)
	}
}

func (w *town) journey(c *citizen, r *rand.Rand) {
	if c.maybe != "" {
		w.settle(c)
		return
	}
	switch n := r.IntN(10); {
	case n < 2:
		w.signIn(c)
	case n < 4 && c.key != nil:
		w.withCode(c, r)
	case n < 5 && c.key != nil:
		w.withBackup(c)
	case n < 7:
		w.reset(c)
	case n < 9:
		w.tokens(c)
	case c.key == nil:
		w.change(c)
	}
}

// knock tries a right password where nobody should answer.
func (w *town) knock() {
	b := w.surfer()
	if p, err := b.fetch(http.MethodGet, "/login", nil); err == nil && p.signedIn() {
		w.t.Error("a session came with a page")
	}
	p, err := b.fetch(http.MethodPost, "/login/identify", url.Values{"flow": {"made-up"}, "identifier": {"person3"}, "password": {firstPassword}})
	if err == nil && (p.signedIn() || p.status < 400) {
		w.t.Errorf("without a database: %d", p.status)
	}
}

// prove types name and password. flow is where a second factor is asked for.
func (w *town) prove(b *surfer, c *citizen, password string) (flow string, v verdict) {
	if _, err := b.get("/login"); err != nil {
		return "", unknown
	}
	p, err := b.press("Sign In", map[string]string{"identifier": c.username, "password": password})
	v = verdictOf(p, err)
	w.judge(c, v)
	if v == passed && !p.signedIn() {
		to, err := p.url.Parse(p.header.Get("Location"))
		if err != nil || to.Query().Get("flow") == "" {
			w.t.Errorf("%s was sent to %q with no session", c.username, p.header.Get("Location"))
		}
		flow = to.Query().Get("flow")
	}
	return flow, v
}

// story is what the servers wrote about a person, and what we saw.
func (w *town) story(c *citizen) string {
	out := strings.Join(c.seen, "\n") + "\n"
	rows, err := w.sql.Query(`SELECT at, kind, step, factor, reason FROM audit WHERE subject = $1 ORDER BY id DESC LIMIT 40`, c.id)
	if err != nil {
		return out + err.Error()
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var kind, step, factor, reason string
		_ = rows.Scan(&at, &kind, &step, &factor, &reason)
		out += fmt.Sprintln("audit", time.UnixMicro(at).Format("15:04:05.000"), kind, step, factor, reason)
	}
	var guard string
	_ = w.sql.QueryRow(`SELECT CAST(row_to_json(g) AS text) FROM guards g WHERE subject = $1`, c.id).Scan(&guard)
	return out + guard
}

func (c *citizen) saw(what string, v verdict) {
	c.seen = append(c.seen, fmt.Sprint("seen ", time.Now().Format("15:04:05.000 "), what, " ", []string{"unknown", "passed", "wrong", "locked"}[v]))
}

// judge counts an attempt at the password.
func (w *town) judge(c *citizen, v verdict) {
	c.saw("password", v)
	switch v {
	case passed:
		w.acked.Add(1)
		c.strikes = c.floating()
	case locked: // with this one, if it was wrong
		if c.strikes+1 < account.MaxFailures && c.codeStrikes < account.MaxFailures {
			w.t.Errorf("%s is locked after %d attempts and %d codes that were not right:\n%s", c.username, c.strikes, c.codeStrikes, w.story(c))
		}
		c.out = true
	case unknown:
		w.lost.Add(1)
		c.strikes++
		c.silent = append(c.silent, time.Now())
	default:
		c.strikes++
	}
}

// floating are the attempts that were not answered and may be charged yet: a
// right password does not take them back, and they lapse after it.
func (c *citizen) floating() (n int) {
	for _, at := range c.silent {
		if time.Since(at) < 3*account.ChargeFor {
			n++
		}
	}
	return n
}

// settle finds out what became of a change of password that was not answered.
func (w *town) settle(c *citizen) {
	switch _, v := w.prove(w.surfer(), c, c.maybe); v {
	case passed:
		c.old, c.password, c.maybe = append(c.old, c.password), c.maybe, ""
	case wrong:
		c.maybe = ""
	}
}

func (w *town) signIn(c *citizen) {
	b := w.surfer()
	flow, v := w.prove(b, c, c.password)
	switch {
	case v == wrong:
		w.t.Errorf("%s: the password that was acknowledged is wrong", c.username)
	case v == passed && (flow != "") != (c.key != nil):
		w.t.Errorf("%s: signed in without what they must prove, or asked for more", c.username)
	case v == passed && flow == "":
		w.sessions.Add(1)
		c.browser = b
	}
}

// code answers the page that asks for one.
func (w *town) code(b *surfer, c *citizen, step, field, flow, code string) verdict {
	p, err := b.fetch(http.MethodPost, "/login/"+step, url.Values{"flow": {flow}, field: {code}})
	v := verdictOf(p, err)
	c.saw(step, v)
	switch v {
	case passed:
		w.acked.Add(1)
		c.codeStrikes = 0
		if !p.signedIn() {
			w.t.Errorf("%s: a right code led to %q without a session", c.username, p.header.Get("Location"))
		}
	case unknown:
		w.lost.Add(1)
		c.codeStrikes++
	case locked:
		w.judge(c, v)
	default:
		c.codeStrikes++
	}
	return v
}

func (w *town) withCode(c *citizen, r *rand.Rand) {
	step := time.Now().Unix() / 30
	if step <= c.lastStep || c.codeStrikes > 3 {
		w.signIn(c)
		return
	}
	b := w.surfer()
	flow, v := w.prove(b, c, c.password)
	if v != passed {
		return
	}
	c.lastStep = step
	code := account.ShowCode(c.key, time.Unix(step*30, 0))
	switch v := w.code(b, c, "totp", "otp", flow, code); {
	case v == wrong && time.Now().Unix()/30 <= step+1:
		w.t.Errorf("%s: the code was not taken", c.username)
	case v != passed:
		return
	default:
		w.codes.Add(1)
		c.browser = b
	}
	if r.IntN(2) == 0 {
		return
	}
	again := w.surfer()
	if flow, v = w.prove(again, c, c.password); v != passed {
		return
	}
	p, err := again.fetch(http.MethodPost, "/login/totp", url.Values{"flow": {flow}, "otp": {code}})
	if v := verdictOf(p, err); v == passed {
		w.t.Errorf("%s: a code was good twice", c.username)
	}
	c.codeStrikes++
	w.replays.Add(1)
}

func (w *town) withBackup(c *citizen) {
	if len(c.codes) <= 4 || c.codeStrikes > 3 {
		w.signIn(c)
		return
	}
	b := w.surfer()
	flow, v := w.prove(b, c, c.password)
	if v != passed {
		return
	}
	code := c.codes[0]
	c.codes = c.codes[1:]
	switch v := w.code(b, c, "backup-code", "backup_code", flow, code); v {
	case wrong:
		w.t.Errorf("%s: the backup code was not taken", c.username)
	case passed:
		w.backups.Add(1)
		c.spent, c.browser = append(c.spent, code), b
	}
}

// reset asks for a link and, when it is there, saves a new password.
func (w *town) reset(c *citizen) {
	have := w.post.linksTo(c.email)
	if c.asking && len(have) > c.mailed { // the one that was late
		c.asking, c.mailed = false, len(have)
		w.redeem(c, have[len(have)-1])
		return
	}
	if c.asking || c.asks >= 3 {
		w.signIn(c)
		return
	}
	b := w.surfer()
	if _, err := b.get("/forgot-password"); err != nil {
		return
	}
	c.asks++
	c.asking, c.voided = true, false
	c.mailed = len(have)
	p, err := b.press("Send Reset Link", map[string]string{"email": c.email})
	if err != nil || p.status != http.StatusOK {
		w.lost.Add(1)
		return
	}
	c.asked++
	w.asked.Add(1)
	w.acked.Add(1)
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(100 * time.Millisecond) {
		if have = w.post.linksTo(c.email); len(have) > c.mailed {
			c.asking = false
			w.redeem(c, have[len(have)-1])
			return
		}
	}
}

func (w *town) redeem(c *citizen, link string) {
	b := w.surfer()
	if _, err := b.get(link); err != nil {
		return
	}
	next := fmt.Sprintf("a lantern over water no %d", w.acked.Load()*1000+int64(len(c.old)))
	p, err := b.press("Save Password", map[string]string{"new_password": next, "confirm_password": next})
	c.saw("redeem", verdictOf(p, err))
	switch v := verdictOf(p, err); {
	case err != nil && !errors.Is(err, errLost):
		if !c.voided {
			w.t.Errorf("%s: the newest link is worth nothing: %v", c.username, err)
		}
	case v == passed:
		w.acked.Add(1)
		w.resets.Add(1)
		c.changes++
		c.old, c.password, c.strikes = append(c.old, c.password), next, c.floating()
		c.links = append(c.links, link)
		c.browser, c.refresh, c.past = nil, "", ""
	default:
		w.lost.Add(1)
		c.maybe, c.browser, c.refresh, c.past = next, nil, "", ""
	}
}

// change saves a new password in Account Settings.
func (w *town) change(c *citizen) {
	b := w.surfer()
	if _, v := w.prove(b, c, c.password); v != passed {
		return
	}
	next := fmt.Sprintf("eleven quiet herons no %d", w.acked.Load()*1000+int64(len(c.old)))
	steps := []struct {
		button string
		fields map[string]string
	}{
		{"Change Password", nil},
		{"Continue", map[string]string{"password": c.password}},
		{"Save Password", map[string]string{"new_password": next, "confirm_password": next}},
	}
	if _, err := b.get("/account/security"); err != nil {
		return
	}
	for i, step := range steps {
		p, err := b.press(step.button, step.fields)
		v := verdictOf(p, err)
		c.saw(step.button, v)
		if i == 1 {
			w.judge(c, v)
		}
		switch {
		case err != nil && !errors.Is(err, errLost):
			w.t.Errorf("%s: %v", c.username, err)
			return
		case v != passed && i == 2:
			w.lost.Add(1)
			c.voided = c.asking
			c.maybe, c.browser, c.refresh, c.past = next, nil, "", ""
			return
		case v != passed:
			return
		case i == 2:
			w.acked.Add(1)
			w.changed.Add(1)
			c.changes++
			c.voided = c.asking
			c.old, c.password = append(c.old, c.password), next
			c.browser, c.refresh, c.past = b, "", ""
			return
		}
		if _, err := b.get(p.header.Get("Location")); err != nil {
			return
		}
	}
}

// ask asks the token endpoint.
func (b *surfer) ask(form url.Values) (a tokenAnswer, err error) {
	form = maps.Clone(form)
	form.Set("client_id", "app")
	form.Set("client_secret", appSecret)
	p, err := b.fetch(http.MethodPost, "/token", form)
	if err != nil {
		return a, err
	}
	a.status = p.status
	return a, json.Unmarshal([]byte(p.body), &a)
}

const siteAuthorize = "/authorize?client_id=app&response_type=code&scope=openid+offline_access&state=s&redirect_uri="

// code sends a signed-in browser through the app's request.
func (b *surfer) code() (url.Values, error) {
	p, err := b.get(siteAuthorize + url.QueryEscape(appCallback))
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(p.header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		return nil, fmt.Errorf("no code: %d %s", p.status, p.header.Get("Location"))
	}
	return url.Values{"grant_type": {"authorization_code"}, "code": to.Query()["code"], "redirect_uri": {appCallback}}, nil
}

// tokens redeems a code or, once there are tokens, rotates them.
func (w *town) tokens(c *citizen) {
	if c.browser == nil {
		w.signIn(c)
		return
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.refresh}}
	if c.refresh == "" {
		var err error
		form, err = c.browser.code()
		if errors.Is(err, errLost) {
			return
		}
		if err != nil {
			w.t.Errorf("%s: the session that was acknowledged gave %v", c.username, err)
			c.browser = nil
			return
		}
	}
	a, err := w.surfer().ask(form)
	switch {
	case err != nil || a.status == http.StatusServiceUnavailable:
		w.lost.Add(1)
		c.refresh, c.past = "", ""
	case a.status != http.StatusOK:
		w.t.Errorf("%s: %s gave %d %s", c.username, form.Get("grant_type"), a.status, a.Error)
		c.refresh, c.past = "", ""
	default:
		w.acked.Add(1)
		if c.refresh != "" {
			w.rotated.Add(1)
		}
		c.past, c.refresh = c.refresh, a.Refresh
	}
}

// guess types a wrong password.
func (w *town) guess(c *citizen) {
	b := w.surfer()
	if _, err := b.get("/login"); err != nil {
		return
	}
	p, err := b.press("Sign In", map[string]string{"identifier": c.username, "password": "not the right one"})
	switch verdictOf(p, err) {
	case passed:
		w.t.Errorf("%s was let in with a wrong password", c.username)
	case wrong:
		c.wrongs++
		w.wrongs.Add(1)
	case locked:
		c.out = true
	case unknown:
		c.silences++
	}
}

func (w *town) figures() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d writes acknowledged (%d sign-ins, %d with a code, %d with a backup code, %d links asked for, %d resets, %d new passwords, %d rotations, %d wrong guesses), %d not answered; answers %v, slowest %v; %d codes replayed, 0 taken",
		w.acked.Load()+w.wrongs.Load(), w.sessions.Load(), w.codes.Load(), w.backups.Load(), w.asked.Load(), w.resets.Load(), w.changed.Load(),
		w.rotated.Load(), w.wrongs.Load(), w.lost.Load(), w.answers, w.slow, w.replays.Load())
}

// reckon compares what was acknowledged with what is. It returns how many mails
// arrived twice, of which there may be so many.
func (w *town) reckon(mayTwice int) int {
	w.t.Helper()
	missing := func() (out []string) {
		for _, c := range w.people {
			mails := w.post.mailsTo(c.email)
			changed := 0
			for _, m := range mails {
				if strings.Contains(m.Subject, "password was changed") {
					changed++
				}
			}
			if n := len(w.post.linksTo(c.email)); n < c.asked {
				out = append(out, fmt.Sprintf("%s: %d of %d links", c.email, n, c.asked))
			}
			if changed < c.changes {
				out = append(out, fmt.Sprintf("%s: %d of %d notices", c.email, changed, c.changes))
			}
		}
		return out
	}
	// A job that died with its server is held to be running for two minutes.
	for late := time.Now().Add(6 * time.Minute); len(missing()) > 0 && time.Now().Before(late); {
		time.Sleep(time.Second)
	}
	for _, m := range missing() {
		w.t.Errorf("lost mails: %s", m)
	}
	if w.post.twice > mayTwice {
		w.t.Errorf("%d mails arrived twice, of %d in flight", w.post.twice, mayTwice)
	}
	var wg sync.WaitGroup
	room := make(chan struct{}, 4)
	check := func(f func(*citizen), of []*citizen) {
		for _, c := range of {
			room <- struct{}{}
			wg.Go(func() { defer func() { <-room }(); f(c) })
		}
	}
	check(w.reckonOne, w.people)
	check(w.reckonVictim, w.victims)
	wg.Wait()
	return w.post.twice
}

// reckonOne looks at what one person was told.
func (w *town) reckonOne(c *citizen) {
	// Still a session, unless it was ended.
	if c.browser != nil {
		if p, err := c.browser.get("/account/security"); err != nil || !strings.Contains(p.words(), "Signed in as "+c.username) {
			w.t.Errorf("%s: the session that was acknowledged is gone", c.username)
		}
	}
	// The newest refresh token works, the one before ends the family.
	if c.refresh != "" {
		a, err := w.surfer().ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.refresh}})
		if err != nil || a.status != http.StatusOK {
			w.t.Errorf("%s: the refresh token that was acknowledged: %d %s", c.username, a.status, a.Error)
		}
		if c.past != "" {
			if a, err := w.surfer().ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.past}}); err != nil || a.Error != "invalid_grant" {
				w.t.Errorf("%s: a refresh token was good twice: %d", c.username, a.status)
			}
		}
	}
	// Links that were used are.
	for _, link := range c.links {
		p, err := w.surfer().get(link)
		if err != nil || p.status != http.StatusGone {
			w.t.Errorf("%s: a used link is worth something: %d", c.username, p.status)
		}
	}
	if used := w.count(`SELECT COUNT(*) FROM backup_codes WHERE used_at > 0 AND account = $1`, c.id); used < len(c.spent) {
		w.t.Errorf("%s: %d backup codes were used, %d are", c.username, len(c.spent), used)
	}
	if c.out {
		return
	}
	if c.maybe != "" {
		w.settle(c)
	}
	if len(c.old) > 0 {
		if _, v := w.prove(w.surfer(), c, c.old[len(c.old)-1]); v == passed {
			w.t.Errorf("%s: the old password works", c.username)
		}
	}
	b := w.surfer()
	flow, v := w.prove(b, c, c.password)
	if v != passed && !c.out {
		w.t.Errorf("%s: the newest password gives %d", c.username, v)
	}
	if v == passed && len(c.spent) > 0 && c.codeStrikes < 4 {
		p, err := b.fetch(http.MethodPost, "/login/backup-code", url.Values{"flow": {flow}, "backup_code": {c.spent[0]}})
		if v := verdictOf(p, err); v != wrong && v != locked {
			w.t.Errorf("%s: a backup code that was used gives %d", c.username, v)
		}
	}
}

// reckonVictim guesses on until the lock: there were never more than five.
func (w *town) reckonVictim(c *citizen) {
	answered := c.wrongs
	for !c.out {
		before := c.wrongs
		w.guess(c)
		if c.wrongs > account.MaxFailures {
			w.t.Errorf("%s: %d wrong guesses were answered, %d of them by the end of the campaign", c.username, c.wrongs, answered)
			return
		}
		if c.wrongs == before && !c.out {
			time.Sleep(200 * time.Millisecond)
		}
	}
	if _, v := w.prove(w.surfer(), &citizen{username: c.username, strikes: 9}, c.password); v != locked {
		w.t.Errorf("%s: after %d wrong guesses the right password gives %d", c.username, c.wrongs, v)
	}
}

// count asks the database itself.
func (w *town) count(query string, args ...any) (n int) {
	if err := w.sql.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		w.t.Error(err)
	}
	return n
}
