//go:build campaign

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
)

// Floods against one real server; see campaign_crash_test.go.

// gauge collects how long answers took, by what was asked.
type gauge struct {
	mu       sync.Mutex
	took     []time.Duration
	statuses map[int]int
}

func (g *gauge) add(status int, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.statuses == nil {
		g.statuses = map[int]int{}
	}
	g.took = append(g.took, took)
	g.statuses[status]++
}

// q is a quantile.
func (g *gauge) q(q float64) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.took)
	return at(g.took, q)
}

func (g *gauge) all() int { return len(g.took) }

// share is how many of the answers had one of the statuses.
func (g *gauge) share(statuses ...int) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, s := range statuses {
		n += g.statuses[s]
	}
	return float64(n) / float64(max(1, len(g.took)))
}

func (g *gauge) String() string {
	return fmt.Sprintf("%d answers %v p50 %s p99 %s max %s", g.all(), g.statuses, g.q(0.5), g.q(0.99), g.q(1))
}

// ask sends a request with a client of its own choice and notes the answer; a
// status of 0 is none.
func (g *gauge) ask(client *http.Client, r *http.Request) *http.Response {
	start := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		g.add(0, time.Since(start))
		return nil
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	g.add(resp.StatusCode, time.Since(start))
	return resp
}

// many is a client for crowds: no redirects, a connection each.
func many(n int) *http.Client {
	return &http.Client{Timeout: 60 * time.Second, CheckRedirect: stay,
		Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxIdleConns: n}}
}

func getting(to string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, to, nil)
	r.Header.Set("Accept-Language", "en")
	return r
}

func posting(to, body string) *http.Request {
	r, _ := http.NewRequest(http.MethodPost, to, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// memory is what the server's process holds in RAM, in bytes.
func (n *node) memory() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// peak watches the memory until it is asked.
func (n *node) peak() (stop func() int64) {
	done, most := make(chan struct{}), make(chan int64)
	go func() {
		m := int64(0)
		for {
			m = max(m, n.memory())
			select {
			case <-done:
				most <- m
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

func (n *node) files() int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	return len(all)
}

func mib(b int64) string { return fmt.Sprintf("%.1f MiB", float64(b)/(1<<20)) }

// settles waits until f is at most the bound, and returns how long that took.
func settles(f func() int, bound int, late time.Duration) (last int, took time.Duration) {
	start := time.Now()
	for {
		if last = f(); last <= bound || time.Since(start) > late {
			return last, time.Since(start).Round(100 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

const goroutines = "go_goroutines"

// T15: nobody can connect to the database any more; then, all that we may
// connect are stuck. 500 clients at once, each time.
func TestT15ExhaustedConnections(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 1, direct: true, conns: 10})
	n := s.nodes[0]
	crowd := func(long time.Duration) (pages, tokens, ready *gauge) {
		pages, tokens, ready = &gauge{}, &gauge{}, &gauge{}
		client := many(500)
		defer client.CloseIdleConnections()
		var wg sync.WaitGroup
		until := time.Now().Add(long)
		for i := range 500 {
			wg.Go(func() {
				for time.Now().Before(until) {
					if i%5 == 0 {
						tokens.ask(client, posting(s.url+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"made-up"},
							"client_id": {"app"}, "client_secret": {appSecret}}.Encode()))
					} else {
						pages.ask(client, getting(s.url+"/login"))
					}
					time.Sleep(200 * time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for client := many(1); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
				ready.ask(client, getting("http://"+n.operator+"/readyz"))
			}
		})
		wg.Wait()
		return pages, tokens, ready
	}
	crowd(5 * time.Second)
	before, _ := settles(func() int { return int(n.metric(goroutines)) }, 0, 3*time.Second)
	bound := before + before/10 + 2

	hog := hogs(t, s)
	pages, tokens, ready := crowd(20 * time.Second)
	hog()
	s.waitReady(n)
	after, took := settles(func() int { return int(n.metric(goroutines)) }, bound, 60*time.Second)
	t.Logf("T15 seed %d, all connections hogged, pool 10, 500 clients, 20 s: pages %s; tokens %s; /readyz %s; goroutines %d before, %d %s after",
		s.seed, pages, tokens, ready, before, after, took)
	exhausted(t, pages, tokens, ready, after, bound)

	tx, err := s.sql.Begin()
	s.ok(err)
	_, err = tx.Exec("LOCK TABLE flows, grants, guards IN ACCESS EXCLUSIVE MODE")
	s.ok(err)
	pages, tokens, ready = crowd(20 * time.Second)
	s.ok(tx.Rollback())
	s.waitReady(n)
	after, took = settles(func() int { return int(n.metric(goroutines)) }, bound, 60*time.Second)
	t.Logf("T15 seed %d, pool of 10 stuck on a lock, 500 clients, 20 s: pages %s; tokens %s; /readyz %s; goroutines %d before, %d %s after",
		s.seed, pages, tokens, ready, before, after, took)
	exhausted(t, pages, tokens, ready, after, bound)
}

// exhausted wants nothing but 503s, within two seconds but for the few that hold
// a connection, and not to be ready. A token that is none needs no database to be refused.
func exhausted(t *testing.T, pages, tokens, ready *gauge, goroutines, bound int) {
	t.Helper()
	for _, tt := range []struct {
		what     string
		g        *gauge
		statuses []int
		within   time.Duration
	}{
		{"pages", pages, []int{503}, web.AnswerFor + 2*time.Second},
		{"tokens", tokens, []int{503, 400}, web.AnswerFor + 2*time.Second},
		{"/readyz", ready, []int{503}, 4 * time.Second},
	} {
		if share := tt.g.share(tt.statuses...); share < 1 {
			t.Errorf("%s: only %.1f %% of the answers are %v: %s", tt.what, 100*share, tt.statuses, tt.g)
		}
		if p99, worst := tt.g.q(0.99), tt.g.q(1); p99 > 2100*time.Millisecond || worst > tt.within {
			t.Errorf("%s: p99 is %s, and the slowest answer took %s", tt.what, p99, worst)
		}
	}
	if goroutines > bound {
		t.Errorf("%d goroutines a minute later, at most %d", goroutines, bound)
	}
}

// hogs takes every connection that PostgreSQL has, those of the server too, and
// returns what gives them back.
func hogs(t *testing.T, s *site) (free func()) {
	t.Helper()
	d := openOutside(t, s.pg.URL+"&application_name=hog")
	d.SetMaxIdleConns(400)
	ctx := context.Background()
	admin, err := d.Conn(ctx)
	s.ok(err)
	for late := time.Now().Add(30 * time.Second); ; {
		_, err := admin.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idp'")
		s.ok(err)
		for {
			one, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := d.Conn(one) // held until the database is closed
			cancel()
			if err != nil {
				break
			}
		}
		var ours int
		s.ok(admin.QueryRowContext(ctx, "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'idp'").Scan(&ours))
		if ours == 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the server keeps %d connections", ours)
		}
	}
	return func() {
		_, _ = admin.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hog' AND pid <> pg_backend_pid()")
		_ = admin.Close()
	}
}

// others are those who are not part of an attack: they open pages, ask for
// keys, and sign in now and then.
func others(s *site, workers int, stop <-chan struct{}) (pages, signIns *gauge, wait func()) {
	pages, signIns = &gauge{}, &gauge{}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			client := many(4)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				to := []string{"/login", "/jwks.json", "/forgot-password", "/.well-known/openid-configuration"}[n%4]
				pages.ask(client, getting(s.url+to))
				if n%20 == i {
					b := s.surfer()
					start := time.Now()
					if _, err := b.fetch(http.MethodGet, "/login", nil); err != nil {
						continue
					}
					p, err := b.press("Sign In", map[string]string{"identifier": fmt.Sprintf("person%d", i), "password": firstPassword})
					status := 0
					if err == nil {
						status = p.status
					}
					signIns.add(status, time.Since(start))
				}
			}
		})
	}
	return pages, signIns, wg.Wait
}

// settle adds people who may sign in.
func (s *site) settle(n int) {
	s.t.Helper()
	hash, err := new(account.Hasher).Hash(s.t.Context(), []byte(firstPassword))
	s.ok(err)
	for i := range n {
		_, err := s.db.AddPerson(s.t.Context(), store.NewPerson{ID: account.ID(fmt.Sprintf("id-%d", i)), Username: fmt.Sprintf("person%d", i),
			Email: fmt.Sprintf("person%d@river.example", i), EmailVerified: true, Hash: hash}, "test")
		s.ok(err)
	}
}

// T16: two thousand connections that are slow on purpose, half of them in their
// head, half in their body. Whoever is cut comes again at once.
func TestT16SlowConnectionsHoldNobodyElse(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 1, direct: true})
	s.settle(10)
	n := s.nodes[0]
	measure := func(long time.Duration, attack func()) (pages, signIns *gauge) {
		stop := make(chan struct{})
		pages, signIns, wait := others(s, 10, stop)
		attack()
		time.Sleep(long)
		close(stop)
		wait()
		return pages, signIns
	}
	calm, _ := measure(15*time.Second, func() {})
	files := n.files()

	done := make(chan struct{})
	var wg sync.WaitGroup
	cuts := &gauge{}
	var open atomic.Int64
	for i := range setting("IDP_SLOW", 2000) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				open.Add(1)
				took, status := crawl(n.addr, i%2 == 0, done)
				open.Add(-1)
				if took > 0 {
					cuts.add(status, took)
				}
			}
		})
	}
	most := int64(0)
	pages, signIns := measure(time.Duration(setting("IDP_SECONDS", 60))*time.Second, func() {
		settles(func() int { return -int(open.Load()) }, -setting("IDP_SLOW", 2000), 20*time.Second)
		most = open.Load()
	})
	during := n.files()
	close(done)
	wg.Wait()
	bound := files + 20
	after, took := settles(n.files, bound, 60*time.Second)
	t.Logf("T16 seed %d: %d slow connections for 60 s (%d files open); cut: %s; others %s, sign-ins %s; without an attack p99 %s; files %d before, %d %s after",
		s.seed, most, during, cuts, pages, signIns, calm.q(0.99), files, after, took)
	if share := min(pages.share(200), signIns.share(303)); share < 0.999 {
		t.Errorf("only %.2f %% of the others' requests went well", 100*share)
	}
	if p99 := pages.q(0.99); p99 > max(500*time.Millisecond, 2*calm.q(0.99)) {
		t.Errorf("the others' p99 is %s, and %s without an attack", p99, calm.q(0.99))
	}
	if worst := cuts.q(1); worst > 16*time.Second { // what we see is a moment later than what is
		t.Errorf("a slow connection lived for %s", worst)
	}
	if after > bound {
		t.Errorf("%d files are open a minute later, %d before", after, files)
	}
}

// crawl sends a request as slowly as it can, until it is cut. It returns when,
// and what was answered.
func crawl(addr string, head bool, done <-chan struct{}) (time.Duration, int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return 0, 0
	}
	defer conn.Close()
	start := time.Now()
	text := "POST /login/identify HTTP/1.1\r\nHost: " + addr + "\r\nSec-Fetch-Site: same-origin\r\n"
	if head {
		text += "X-Slow: "
	} else {
		text += "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na="
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return time.Since(start), 0
	}
	go func() {
		for {
			select {
			case <-done:
				_ = conn.Close()
				return
			case <-time.After(5 * time.Second):
			}
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
	}()
	_ = conn.SetReadDeadline(start.Add(30 * time.Second))
	b, _ := io.ReadAll(conn)
	select {
	case <-done:
		return 0, 0
	default:
	}
	status := 0
	if len(b) > 12 {
		status, _ = strconv.Atoi(string(b[9:12]))
	}
	return time.Since(start), status
}

const hashed = `medximity_idp_password_hash_duration_seconds_count{op="hash"}`

// T17: what is too large is refused before it costs anything.
func TestT17OversizeIsRefusedUnread(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 1, direct: true})
	s.settle(10)
	n := s.nodes[0]
	stop := make(chan struct{})
	_, _, wait := others(s, 10, stop) // it is warm, and has hashed
	time.Sleep(8 * time.Second)
	close(stop)
	wait()
	time.Sleep(2 * time.Second)
	calm := n.peak()
	time.Sleep(3 * time.Second)
	before, hashes := calm(), s.sum(verified)+s.sum(hashed)
	top := n.peak()

	client := many(32)
	results := &strings.Builder{}
	for _, tt := range oversize() {
		g := &gauge{}
		var wg sync.WaitGroup
		room := make(chan struct{}, 16)
		for range tt.times {
			for _, to := range tt.to {
				room <- struct{}{}
				wg.Go(func() {
					defer func() { <-room }()
					r := tt.request(s.url + to)
					if r.Header.Get("Content-Type") == "" && r.Method == http.MethodPost {
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					}
					r.Header.Set("Sec-Fetch-Site", "same-origin")
					g.ask(client, r)
				})
			}
		}
		wg.Wait()
		fmt.Fprintf(results, "; %s %v max %s", tt.name, g.statuses, g.q(1))
		if share := g.share(tt.statuses...); share < 1 {
			t.Errorf("%s: %s, want %v", tt.name, g, tt.statuses)
		}
	}
	grown := top() - before
	t.Logf("T17 seed %d: RSS %s, at most %s more; hashes %v%s", s.seed, mib(before), mib(grown), s.sum(verified)+s.sum(hashed)-hashes, results)
	if grown > 32<<20 {
		t.Errorf("it grew by %s", mib(grown))
	}
	if more := s.sum(verified) + s.sum(hashed) - hashes; more != 0 {
		t.Errorf("%v hashes were made", more)
	}
}

type oversizeCase struct {
	name     string
	times    int
	to       []string
	request  func(to string) *http.Request
	statuses []int // 0 where the connection may be cut before the answer is read
}

var posts = []string{"/login/identify", "/forgot-password", "/reset-password", "/token", "/authorize", "/contact-support"}

func oversize() []oversizeCase {
	body := func(b string) func(string) *http.Request {
		return func(to string) *http.Request {
			r, _ := http.NewRequest(http.MethodPost, to, strings.NewReader(b))
			return r
		}
	}
	endless := func(to string) *http.Request {
		r, _ := http.NewRequest(http.MethodPost, to, &endlessly{left: 1 << 40})
		r.ContentLength = -1
		return r
	}
	headers := func(name, value string, times int) func(string) *http.Request {
		return func(to string) *http.Request {
			r, _ := http.NewRequest(http.MethodGet, to, nil)
			for i := range times {
				r.Header.Add(strings.ReplaceAll(name, "#", strconv.Itoa(i)), value)
			}
			return r
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(z, &endlessly{left: 1 << 40}, 40<<20)
	_ = z.Close()
	zipped := func(to string) *http.Request {
		r := body(bomb.String())(to)
		r.Header.Set("Content-Encoding", "gzip")
		return r
	}
	large := strings.Repeat("x", 10<<20)
	refused := []int{http.StatusRequestEntityTooLarge, http.StatusBadRequest}
	torn := append([]int{0}, refused...) // we may still be writing when it hangs up
	heads := []int{http.StatusRequestHeaderFieldsTooLarge, 0}
	return []oversizeCase{
		{"64 KiB and a byte", 5, posts, body("password=" + strings.Repeat("x", 64<<10-8)), refused},
		{"10 MiB", 100, posts[:1], body("password=" + large), torn},
		{"10 MiB elsewhere", 4, posts[1:], body("email=" + large), torn},
		{"endless chunks", 4, posts, endless, torn},
		{"a header of 1 MiB", 10, []string{"/login", "/token"}, headers("X-Large", large[:1<<20], 1), heads},
		{"20,000 parameters", 5, posts, body(strings.Repeat("a&", 20000)), refused},
		{"20,000 parameters in the URL", 5, []string{"/login?" + strings.Repeat("a&", 20000)}, headers("X-A", "", 0), append(heads, 400)},
		{"15,000 parameters in the URL", 5, []string{"/login?" + strings.Repeat("a&", 15000)}, headers("X-A", "", 0), []int{400}},
		{"50,000 cookies", 5, []string{"/login", "/account"}, headers("Cookie", strings.Repeat("a=b; ", 50000), 1), heads},
		{"5,000 cookies", 5, []string{"/login", "/account"}, headers("Cookie", strings.Repeat("a=b; ", 5000), 1), []int{200, 303, 400}},
		{"5,000 headers", 5, []string{"/login"}, headers("X-#", "", 5000), append(heads, 200)},
		{"a gzip bomb of 40 MiB", 10, posts, zipped, append([]int{http.StatusUnsupportedMediaType, http.StatusUnauthorized, http.StatusGone}, refused...)},
	}
}

// endlessly is a body of x.
type endlessly struct{ left int64 }

func (e *endlessly) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for i := range b {
		b[i] = 'x'
	}
	e.left -= int64(len(b))
	return len(b), nil
}

// T18: what no keyboard types is refused, in no time, and is never a fault.
func TestT18PasswordsThatNobodyTypes(t *testing.T) {
	s := newSite(t, siteOptions{nodes: 1, direct: true})
	s.settle(30)
	n := s.nodes[0]
	b := s.surfer()
	if _, err := b.get("/login"); err != nil {
		t.Fatal(err)
	}
	var id string
	for f := range b.page.elements("form") {
		if hasButton(f, "Sign In") {
			id = defaults(f).Get("flow")
		}
	}
	figures := &strings.Builder{}
	for _, tt := range []struct {
		name, encoded string
		statuses      []int
	}{
		{"1 MiB", strings.Repeat("x", 1<<20), []int{413}},
		{"1 MiB of escapes", strings.Repeat("%78", 350_000), []int{413}},
		{"a NUL", "violet%00kettle", []int{400}},
		{"only NULs", strings.Repeat("%00", 1000), []int{400}},
		{"a raw NUL", "violet\x00kettle", []int{400}},
		{"invalid UTF-8", "%ff%fe%fd", []int{400}},
		{"raw invalid UTF-8", "\xff\xfe\xfd", []int{400}},
		{"an overlong form", "%c0%af", []int{400}},
		{"a lone surrogate", "%ed%a0%80", []int{400}},
		{"a lone low surrogate", "%ed%bf%bf", []int{400}},
		{"surrogates as CESU-8", "%ed%a0%bd%ed%b8%80", []int{400}},
		{"beyond Unicode", "%f4%90%80%80", []int{400}},
		{"half an escape", "violet%", []int{400}},
		{"no escape", "violet%zz", []int{400}},
		{"60,000 letters", strings.Repeat("x", 60_000), []int{401, 403, 422}},
		{"60 KB of combining marks", strings.Repeat("%cc%81", 10_000), []int{401, 403, 422}},
		{"a byte order mark", "%ef%bb%bf", []int{401, 403, 422}},
		{"right to left", "%e2%80%aeabc", []int{401, 403, 422}},
		{"a noncharacter", "%ef%bf%bf", []int{401, 403, 422}},
		{"blanks", strings.Repeat("+", 20), []int{401, 403, 422}},
	} {
		g := &gauge{}
		before := n.metric(verified)
		for i := range 20 {
			r := posting(s.url+"/login/identify", fmt.Sprintf("flow=%s&identifier=person%d&password=%s", id, i, tt.encoded))
			for _, c := range b.jar.Cookies(r.URL) {
				r.AddCookie(c)
			}
			g.ask(s.client, r)
		}
		fmt.Fprintf(figures, "; %s %v p50 %s max %s", tt.name, g.statuses, g.q(0.5), g.q(1))
		if share := g.share(tt.statuses...); share < 1 {
			t.Errorf("%s: %s, want %v", tt.name, g, tt.statuses)
		}
		if tt.statuses[0] < 401 || tt.statuses[0] == 413 {
			if judged := n.metric(verified) - before; judged != 0 {
				t.Errorf("%s: %v were judged", tt.name, judged)
			}
			if p50 := g.q(0.5); p50 > 50*time.Millisecond { // 5 ms where nobody else is on the machine
				t.Errorf("%s: it takes %s to refuse", tt.name, p50)
			}
		}
	}
	t.Logf("T18 seed %d%s", s.seed, figures)
}

// T19: two thousand clients, each at an address of its own, have made-up
// identifiers judged. Who is signed in already notices nothing, and whose device
// is known gets in.
func TestT19AFloodOfSignIns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration
	}{
		{"as fast as they are answered", 0},
		{"one each second", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) { flood(t, tt.pause) })
	}
}

func flood(t *testing.T, pause time.Duration) {
	s := newSite(t, siteOptions{nodes: 1, direct: true, limited: true, more: "proxies: [127.0.0.0/8]\n"})
	s.settle(20)
	n := s.nodes[0]
	seconds := time.Duration(setting("IDP_SECONDS", 60)) * time.Second
	client := many(3000)
	address := func(r *http.Request) *http.Request {
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("%d.%d.%d.%d", 1+rand.IntN(200), rand.IntN(256), rand.IntN(256), 1+rand.IntN(250)))
		return r
	}
	// Twenty people, whose devices are known, and who are signed in.
	var all []*surfer
	for i := range 20 {
		b := s.surfer()
		_, err := b.get("/login")
		s.ok(err)
		p, err := b.press("Sign In", map[string]string{"identifier": fmt.Sprintf("person%d", i), "password": firstPassword})
		if verdictOf(p, err) != passed {
			t.Fatalf("person%d cannot sign in", i)
		}
		all = append(all, b)
	}
	during := func(stop <-chan struct{}) (lanes map[string]*gauge, wait func()) {
		lanes = map[string]*gauge{"page with a session": {}, "token": {}, "refresh": {}, "JWKS": {}, "known sign-in": {}, "known sign-in in 3 tries": {}}
		var wg sync.WaitGroup
		for _, b := range all[:8] {
			wg.Go(func() { lane(s, b, lanes, stop) })
		}
		for i, b := range all[8:] {
			wg.Go(func() { fromKnown(s, b, fmt.Sprintf("person%d", 8+i), lanes, stop) })
		}
		return lanes, wg.Wait
	}
	stop := make(chan struct{})
	calm, wait := during(stop)
	time.Sleep(10 * time.Second)
	close(stop)
	wait()

	top := n.peak()
	attempts := &gauge{}
	stop = make(chan struct{})
	var wg sync.WaitGroup
	for range setting("IDP_CLIENTS", 2000) {
		wg.Go(func() {
			b := s.surfer()
			from := address(getting(s.url)).Header.Get("X-Forwarded-For")
			if pause > 0 {
				time.Sleep(rand.N(pause))
			}
			for {
				if p, err := b.fetch(http.MethodGet, "/login", nil, "X-Forwarded-For", from); err != nil || p.status != 200 {
					select {
					case <-stop:
						return
					case <-time.After(pause + 100*time.Millisecond):
						continue
					}
				}
				form := url.Values{}
				for f := range b.page.elements("form") {
					if hasButton(f, "Sign In") {
						form = defaults(f)
					}
				}
				for range 100 {
					select {
					case <-stop:
						return
					case <-time.After(pause):
					}
					form.Set("identifier", fmt.Sprintf("nobody%d", rand.Uint64()))
					form.Set("password", "not the right one")
					r := address(posting(s.url+"/login/identify", form.Encode()))
					for _, c := range b.jar.Cookies(r.URL) {
						r.AddCookie(c)
					}
					if resp := attempts.ask(client, r); resp != nil && (resp.StatusCode == http.StatusGone || resp.StatusCode == http.StatusConflict) {
						break
					}
				}
			}
		})
	}
	time.Sleep(3 * time.Second)
	judged := n.metric(verified)
	lanes, wait := during(stop)
	time.Sleep(seconds)
	judged = n.metric(verified) - judged
	close(stop)
	wait()
	most := top()
	wg.Wait()
	out := &strings.Builder{}
	for _, name := range []string{"page with a session", "token", "refresh", "JWKS", "known sign-in", "known sign-in in 3 tries"} {
		fmt.Fprintf(out, "; %s %s (calm p99 %s)", name, lanes[name], calm[name].q(0.99))
	}
	t.Logf("T19 seed %d: %d clients, pause %s, %s: RSS at most %s; attempts %s; %.0f judged a second%s", s.seed, setting("IDP_CLIENTS", 2000), pause, seconds,
		mib(most), attempts, judged/seconds.Seconds(), out)
	if most > 300<<20 {
		t.Errorf("it took %s of memory", mib(most))
	}
	if share := attempts.share(401, 403, 429, 503, 410, 409); share < 0.999 {
		t.Errorf("attempts: %s", attempts)
	}
	for _, name := range []string{"page with a session", "token", "refresh", "JWKS"} {
		if p99 := lanes[name].q(0.99); p99 > max(250*time.Millisecond, 2*calm[name].q(0.99)) {
			t.Errorf("%s: p99 is %s, and %s without a flood", name, p99, calm[name].q(0.99))
		}
	}
	if share := lanes["known sign-in"].share(303); share < 0.95 {
		t.Errorf("only %.1f %% of the sign-ins from known devices went well", 100*share)
	}
}

// lane does what needs no password: pages with a session, codes for tokens,
// rotations, keys.
func lane(s *site, b *surfer, lanes map[string]*gauge, stop <-chan struct{}) {
	own := &surfer{s: s, jar: b.jar}
	timed := func(name string, f func() (int, error)) {
		start := time.Now()
		status, err := f()
		if err != nil {
			status = 0
		}
		lanes[name].add(status, time.Since(start))
	}
	for {
		var form url.Values
		timed("page with a session", func() (int, error) {
			p, err := own.fetch(http.MethodGet, "/account/security", nil)
			if err != nil {
				return 0, err
			}
			return p.status, nil
		})
		if p, err := own.fetch(http.MethodGet, siteAuthorize+url.QueryEscape(appCallback), nil); err == nil && p.status == 303 {
			if to, err := url.Parse(p.header.Get("Location")); err == nil && to.Query().Has("code") {
				form = url.Values{"grant_type": {"authorization_code"}, "code": to.Query()["code"], "redirect_uri": {appCallback}}
			}
		}
		refresh := ""
		if form != nil {
			timed("token", func() (int, error) { a, err := s.surfer().ask(form); refresh = a.Refresh; return a.status, err })
		}
		if refresh != "" {
			timed("refresh", func() (int, error) {
				a, err := s.surfer().ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
				return a.status, err
			})
		}
		timed("JWKS", func() (int, error) {
			p, err := s.surfer().fetch(http.MethodGet, "/jwks.json", nil)
			if err != nil {
				return 0, err
			}
			return p.status, nil
		})
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fromKnown signs in anew from a device that is known.
func fromKnown(s *site, b *surfer, who string, lanes map[string]*gauge, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
		own := s.surfer()
		at, _ := url.Parse(s.url)
		for _, c := range b.jar.Cookies(at) {
			if !strings.Contains(c.Name, "session") {
				own.jar.SetCookies(at, []*http.Cookie{c})
			}
		}
		start := time.Now()
		status := 0
		for try := range 3 {
			if try > 0 {
				time.Sleep(time.Second)
			}
			status = 0
			if p, err := own.fetch(http.MethodGet, "/login", nil); err == nil && p.status == 200 {
				if p, err = own.press("Sign In", map[string]string{"identifier": who, "password": firstPassword}); err == nil {
					status = p.status
				}
			}
			if try == 0 {
				lanes["known sign-in"].add(status, time.Since(start))
			}
			if status == 303 {
				break
			}
		}
		lanes["known sign-in in 3 tries"].add(status, time.Since(start))
	}
}
