package provider

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/metrics"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// T36: every call of the storage, of every journey, fails in every way. Then
// nobody was told of what is not there, nobody is in without their proofs, no
// guess was free, and trying again works. CI tries some of them, chosen by a
// seed (IDP_SEED takes one again); IDP_FULL=1 tries them all.
func TestT36FaultsOfTheStorage(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { faultsOf(t, engine) })
	}
}

func faultsOf(t *testing.T, engine string) {
	w := newFaulty(t, engine)
	seed := uint64(36) // the same sixteen faults for every commit; all of them with IDP_FULL
	if n, err := strconv.ParseUint(os.Getenv("IDP_SEED"), 10, 64); err == nil {
		seed = n
	}
	r, full := rand.New(rand.NewPCG(seed, 36)), os.Getenv("IDP_FULL") != ""
	chosen := journeys()
	w.calls(chosen[0]) // fills caches
	if !full {
		r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:4]
	}
	tried := 0
	for _, j := range chosen {
		if only := os.Getenv("IDP_JOURNEY"); only != "" && only != j.name {
			continue
		}
		calls := w.calls(j)
		all := make([]trial, 0, len(calls)*len(w.ways))
		for n, call := range calls {
			for _, m := range w.ways {
				all = append(all, trial{j, m, n, call})
			}
		}
		if !full {
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			all = all[:min(len(all), 4)]
		}
		for _, one := range all {
			w.try(one)
		}
		tried += len(all)
	}
	if w.unmade > tried/20+1 {
		t.Errorf("%d calls were not made", w.unmade)
	}
	t.Logf("T36 seed %d, %s: %d faults (%d journeys, %d ways): %s", seed, engine, tried, len(chosen), len(w.ways), w.figures())
}

// trial is one fault: the call of a journey, and what becomes of it.
type trial struct {
	journey journey
	way     way
	call    int
	name    string
}

// way is how a call fails.
type way struct {
	name    string
	code    string // the SQLSTATE that is answered instead of running it
	runs    bool   // it is run, and nobody hears what came of it
	expires error  // the request's context ends with it; nil: the connection breaks
}

// onPostgres are the ways in which a cable to a server breaks, and a server.
var onPostgres = []way{
	{name: "an error", code: "XX000"},
	{name: "a serialization failure", code: "40001"},
	{name: "a broken connection"},
	{name: "a commit nobody knows of", runs: true},
	{name: "a timeout", expires: context.DeadlineExceeded},
	{name: "a cancelled request", expires: context.Canceled},
	{name: "a cancelled request, but it ran", runs: true, expires: context.Canceled},
}

// onSQLite are those of a library, which is asked whether a statement may be.
var onSQLite = []way{
	{name: "an error", code: "denied"},
	{name: "a timeout", expires: context.DeadlineExceeded},
	{name: "a cancelled request", expires: context.Canceled},
}

// faulty is the provider twice on one PostgreSQL: once through a tap, and once
// without, to prepare things and to look at them.
type faulty struct {
	*house
	calm  *Provider
	tap   *tap
	ways  []way
	sql   *sql.DB
	hash  string
	model *subject // whose backup codes others have, too

	request *ending // that runs now
	people  int
	answers map[int]int
	told    int // of success, in spite of the fault
	later   int // only the retry

	unmade  int // the call did not come
	lingers int // looks at a session that was ended a moment ago, and lived
}

func newFaulty(t testing.TB, engine string) *faulty {
	t.Helper()
	w := &faulty{house: &house{t: t, issuer: "https://id.example"}, answers: map[int]int{}, tap: &tap{}, ways: onPostgres}
	c := storetest.New(t, engine)
	c.MaxConns = 4
	tapped, driver, outside := c, "pgx", c.URL
	if path, ok := strings.CutPrefix(c.URL, "sqlite:"); ok {
		w.ways, driver, outside = onSQLite, "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
		tapped.URL = "sqlite:" + w.tap.under(t, path)
		tapped.Queries = w.tap.told
	} else {
		u, err := url.Parse(c.URL)
		w.ok(err)
		u.Host = w.tap.listen(t, u.Host)
		tapped.URL = u.String()
	}
	var err error
	w.sql, err = sql.Open(driver, outside)
	w.ok(err)
	t.Cleanup(func() { _ = w.sql.Close() })
	hasher := &account.Hasher{}
	w.hash, err = hasher.Hash(t.Context(), []byte(rightPassword))
	w.ok(err)
	st := storetest.Open(t, c)
	w.ok(st.PutClient(t.Context(), store.Client{ID: "app", Name: "App", SecretHash: account.HashSecret(clientSecret),
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "offline_access"}}, "test"))
	w.calm = w.open(st, hasher)
	w.Provider = w.open(storetest.Open(t, tapped), hasher)
	return w
}

func (w *faulty) open(st *store.Store, hasher *account.Hasher) *Provider {
	w.t.Helper()
	signing, err := keys.Open(w.t.Context(), st, keys.Config{})
	w.ok(err)
	u, err := url.Parse(w.issuer)
	w.ok(err)
	p, err := New(w.t.Context(), Config{Issuer: u, Store: st, Directory: store.People{Store: st, Hasher: hasher},
		Keys: signing, Hasher: hasher, Metrics: metrics.New(), Logger: slog.New(slog.DiscardHandler), From: "id@medximity.example"})
	w.ok(err)
	return p
}

// subject is the person of one trial, with what they hold.
type subject struct {
	*person
	w               *faulty
	id, name, email string
	password, next  string
	key             []byte
	step            int64 // of the authenticator's last code
	codes           []string
	access, refresh string
	link            string
	before          *http.Cookie
	oldHash         string
	round           int
}

// journey is what people do.
type journey struct {
	name    string
	prepare func(*subject)      // while all is well
	do      func(*subject) bool // reports whether it was told to have worked
	missing func(*subject) string
	second  bool // no session without a second factor
}

// subject adds a person, in a browser of their own.
func (w *faulty) subject(j journey) *subject {
	w.t.Helper()
	w.people++
	name := fmt.Sprintf("p%d", w.people)
	s := &subject{w: w, id: "id-" + name, name: name, email: name + "@river.example", password: rightPassword,
		next: fmt.Sprintf("a lantern over quiet water %d", w.people)}
	_, err := w.calm.Store.AddPerson(w.t.Context(), store.NewPerson{ID: account.ID(s.id), Username: name, Email: s.email,
		EmailVerified: true, Hash: w.hash}, "test")
	w.ok(err)
	s.anew()
	w.calmly(func() {
		if j.prepare != nil {
			j.prepare(s)
		}
	})
	return s
}

// anew gives the person another browser.
func (s *subject) anew() {
	jar, err := cookiejar.New(nil)
	s.w.ok(err)
	s.person = &person{h: s.w.house, Client: &http.Client{Jar: jar, Transport: s.w, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), s.w.issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// calmly runs f past the tap.
func (w *faulty) calmly(f func()) {
	tapped := w.Provider
	w.Provider = w.calm
	f()
	w.Provider = tapped
}

// RoundTrip serves a request, with a context that a fault may end.
func (w *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	w.request = &ending{Context: r.Context(), done: make(chan struct{})}
	w.tap.ends(w.request.end)
	resp, err := cable{w.Provider, fmt.Sprintf("10.0.%d.%d:4711", w.people/250, 1+w.people%250)}.RoundTrip(r.WithContext(w.request))
	if err == nil && w.Provider != w.calm {
		w.answers[resp.StatusCode]++
	}
	return resp, err
}

// ending is a context that ends when it is told, and with what.
type ending struct {
	context.Context
	once sync.Once
	done chan struct{}
	mu   sync.Mutex
	err  error
}

func (e *ending) Done() <-chan struct{} { return e.done }

func (e *ending) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *ending) end(err error) {
	e.once.Do(func() {
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
		close(e.done)
	})
}

// calls runs a journey with no fault, and returns the calls that it makes.
func (w *faulty) calls(j journey) []string {
	w.t.Helper()
	s := w.subject(j)
	w.tap.arm(-1, way{})
	told := j.do(s)
	calls := w.tap.disarm()
	if lack := j.missing(s); !told || lack != "" {
		w.t.Fatalf("%s, with no fault: told %v, missing %q", j.name, told, lack)
	}
	return calls
}

// try has one call fail, and looks at what came of it.
func (w *faulty) try(one trial) {
	w.t.Helper()
	j := one.journey
	s := w.subject(j)
	judged := w.Hasher.Verified()
	wrong := w.count(`SELECT password_failed + password_charged + code_failed + code_charged FROM guards WHERE subject = $1`, s.id)
	before := map[int]int{}
	for status, n := range w.answers {
		before[status] = n
	}
	w.tap.arm(one.call, one.way)
	told := j.do(s)
	calls := w.tap.disarm()
	what := fmt.Sprintf("%s, call %d (%s), %s", j.name, one.call+1, one.name, one.way.name)
	if len(calls) <= one.call { // some are made now and then
		w.unmade++
		return
	}
	if n := w.answers[500] - before[500]; n > 0 && one.way.name != "an error" {
		w.t.Errorf("%s: %d answers say that it is our fault, none to try again", what, n)
	}
	lack := j.missing(s)
	if told && lack != "" {
		w.t.Errorf("%s: it was told to have worked, but %s", what, lack)
	}
	if strings.HasPrefix(lack, "half") {
		w.t.Errorf("%s: %s", what, lack)
	}
	if strings.HasPrefix(j.name, "wrong password") {
		judged = w.Hasher.Verified() - judged
		if n := w.count(`SELECT password_failed + password_charged + code_failed + code_charged FROM guards WHERE subject = $1`, s.id) - wrong; n < int(judged) {
			w.t.Errorf("%s: %d guesses were judged and %d counted", what, judged, n)
		}
		if n := w.count(`SELECT COUNT(*) FROM sessions WHERE account = $1`, s.id); n > 0 {
			w.t.Errorf("%s: a wrong guess gave %d sessions", what, n)
		}
	}
	w.proven(what, j, s)
	if told {
		w.told++
	} else {
		w.later++
	}
	// As ten seconds later: what was charged and never settled lapses, and counts.
	_, err := w.sql.Exec(`UPDATE guards SET charge_until = 1 WHERE subject = $1 AND password_charged + code_charged > 0`, s.id)
	w.ok(err)
	for range 3 { // a page that was answered already may lead back to the start
		if told = j.do(s); told {
			break
		}
	}
	if lack := j.missing(s); lack != "" {
		w.t.Errorf("%s: trying again was told %v, but %s", what, told, lack)
	}
	w.proven(what+", again", j, s)
}

// proven wants no session without all proofs.
func (w *faulty) proven(what string, j journey, s *subject) {
	w.t.Helper()
	if !j.second {
		return
	}
	if n := w.count(`SELECT COUNT(*) FROM sessions WHERE account = $1 AND methods NOT LIKE '%otp%' AND methods NOT LIKE '%backup%' AND methods NOT LIKE '%mfa%'`, s.id); n > 0 {
		w.t.Errorf("%s: %d sessions have no second factor", what, n)
	}
}

func (w *faulty) count(query string, args ...any) (n int) {
	w.t.Helper()
	err := w.sql.QueryRow(query, args...).Scan(&n)
	if err != sql.ErrNoRows {
		w.ok(err)
	}
	return n
}

func (w *faulty) figures() string {
	return fmt.Sprintf("%d went well in spite of it, %d at a retry; answers %v; %d looks at an ended session that lived", w.told, w.later, w.answers, w.lingers)
}

// mail opens the newest mail to a person, of a template.
func (s *subject) mail(template string) map[string]any {
	s.w.t.Helper()
	var id string
	var sealed []byte
	if err := s.w.sql.QueryRow(`SELECT id, data FROM mails WHERE subject = $1 AND template = $2 ORDER BY created_at DESC, id LIMIT 1`,
		s.id, template).Scan(&id, &sealed); err != nil {
		return map[string]any{}
	}
	b, err := s.w.calm.Store.Ring.Open(sealed, "mails", "data", id)
	s.w.ok(err)
	data := map[string]any{}
	s.w.ok(json.Unmarshal(b, &data))
	return data
}

// queued counts the mails to a person, of a template, that have their job.
func (s *subject) queued(template string) int {
	return s.w.count(`SELECT COUNT(*) FROM mails m JOIN river_job j ON j.kind = 'mail' AND j.args->>'mail' = m.id
		WHERE m.subject = $1 AND m.template = $2`, s.id, template)
}

// in signs the person in, with all that is asked for.
func (s *subject) in() answer {
	a := s.person.signIn(s.get("/login"), s.name, s.password)
	if s.key != nil && strings.Contains(a.text, `name="otp"`) {
		a = s.post("/login/totp", "flow", a.flow(), "otp", s.code())
	}
	return a
}

// live reports whether the session that the browser was given is one.
func (s *subject) live() bool {
	var a answer
	s.w.calmly(func() { a = s.get("/account/security") })
	return a.StatusCode == http.StatusOK && a.Request.URL.Path == "/account/security"
}

// code is what the authenticator shows, or will show once that is used up.
func (s *subject) code() string {
	used := s.w.count(`SELECT MAX(last_step) FROM authenticators WHERE account = $1`, s.id)
	s.step = max(int64(used)+1, s.w.Store.Now().Unix()/30)
	return account.ShowCode(s.key, time.Unix(s.step*30, 0))
}

// equip gives the person an authenticator and backup codes: the first one by
// signing in, all others by copying theirs, for to hash ten codes takes long.
func equip(s *subject) {
	s.key = account.NewKey()
	_, err := s.w.calm.Store.BringSecond(s.w.t.Context(), account.ID(s.id), account.NewAuthenticator{Name: "Phone", Key: s.key}, "test")
	s.w.ok(err)
	if s.w.model != nil {
		s.codes = slices.Clone(s.w.model.codes)
		for _, copies := range []string{
			`INSERT INTO backup_sets (account, salt, made_at) SELECT $1, salt, made_at FROM backup_sets WHERE account = $2`,
			`INSERT INTO backup_codes (account, hash) SELECT $1, hash FROM backup_codes WHERE account = $2`,
		} {
			_, err := s.w.sql.Exec(copies, s.id, s.w.model.id)
			s.w.ok(err)
		}
		return
	}
	page := s.in()
	s.codes = backupCodes.FindAllString(page.text, -1)
	if len(s.codes) != account.BackupCodes {
		s.w.t.Fatalf("no codes: %d %s", page.StatusCode, page.text)
	}
	s.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	s.w.model = &subject{id: s.id, codes: slices.Clone(s.codes)}
	*s = *s.w.subject(journey{prepare: equip})
}

func signedIn(s *subject) {
	if a := s.in(); !s.live() {
		s.w.t.Fatalf("not signed in: %d %s", a.StatusCode, a.text)
	}
	s.snapshot()
}

// snapshot remembers what is to change.
func (s *subject) snapshot() {
	s.w.ok(s.w.sql.QueryRow(`SELECT password_hash FROM people WHERE id = $1`, s.id).Scan(&s.oldHash))
	u, _ := url.Parse(s.w.issuer)
	for _, c := range s.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "mdx_session") {
			s.before = c
		}
	}
}

// stillIn reports whether the session of before is live.
func (s *subject) stillIn() bool {
	if s.before == nil {
		return false
	}
	other := *s
	other.anew()
	u, _ := url.Parse(s.w.issuer)
	other.Jar.SetCookies(u, []*http.Cookie{{Name: s.before.Name, Value: s.before.Value, Path: "/", Secure: true}})
	// The end of a session is a time: for a replica whose clock is a little
	// behind it comes a little later.
	for n := range 20 {
		if !other.live() {
			s.w.lingers += n
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// renewed says what a new password lacks: the hash, the end of what was before,
// the notice.
func (s *subject) renewed(notice string, ends bool) string {
	var hash string
	s.w.ok(s.w.sql.QueryRow(`SELECT password_hash FROM people WHERE id = $1`, s.id).Scan(&hash))
	changed, told := hash != s.oldHash, s.queued(notice) > 0
	ended := !ends || !s.stillIn()
	switch {
	case changed && told && ended:
		return ""
	case changed != told || ends && changed != ended:
		return fmt.Sprintf("half: changed %v, notice %v, sessions ended %v", changed, told, ended)
	}
	return "the password is the old one"
}

func journeys() []journey {
	wrongs := func(column string, least int) func(*subject) string {
		return func(s *subject) string {
			if n := s.w.count(`SELECT `+column+`_failed + `+column+`_charged FROM guards WHERE subject = $1`, s.id); n < least {
				return fmt.Sprintf("%d failures are counted", n)
			}
			return ""
		}
	}
	return []journey{
		{name: "sign-in", do: func(s *subject) bool {
			s.anew()
			a := s.person.signIn(s.authorize(""), s.name, s.password)
			return strings.Contains(a.Header.Get("Location"), "code=")
		}, missing: func(s *subject) string {
			if !s.live() {
				return "there is no session"
			}
			return ""
		}},
		{name: "sign-in with a code", second: true, prepare: equip, do: func(s *subject) bool {
			s.anew()
			s.round++
			a := s.person.signIn(s.authorize(""), s.name, s.password)
			a = s.post("/login/totp", "flow", a.flow(), "otp", s.code())
			return strings.Contains(a.Header.Get("Location"), "code=")
		}, missing: func(s *subject) string {
			if !s.live() {
				return "there is no session"
			}
			if n := s.w.count(`SELECT last_step FROM authenticators WHERE account = $1`, s.id); int64(n) != s.step {
				return "the code is not used up"
			}
			return ""
		}},
		{name: "sign-in with a backup code", second: true, prepare: equip, do: func(s *subject) bool {
			s.anew()
			a := s.person.signIn(s.authorize(""), s.name, s.password)
			a = s.post("/login/backup-code", "flow", a.flow(), "backup_code", s.codes[0])
			if strings.Contains(a.text, "used already") {
				s.codes = s.codes[1:]
			}
			return strings.Contains(a.Header.Get("Location"), "code=")
		}, missing: func(s *subject) string {
			if !s.live() {
				return "there is no session"
			}
			if n := s.w.count(`SELECT COUNT(*) FROM backup_codes WHERE account = $1 AND used_at > 0`, s.id); n < 1+account.BackupCodes-len(s.codes) {
				return "the code is not used up"
			}
			return ""
		}},
		{name: "set-up", prepare: signedIn, do: func(s *subject) bool {
			if s.key != nil && s.w.count(`SELECT COUNT(*) FROM authenticators WHERE account = $1`, s.id) > 0 {
				s.anew() // the codes are asked for at the next sign-in
				a := s.in()
				a = s.post("/login/backup-codes", "flow", a.flow(), "saved", "yes")
				return a.StatusCode == 200
			}
			a := s.post("/account/security/authenticators")
			if strings.Contains(a.text, `name="password"`) {
				a = s.post("/login/password", "flow", a.flow(), "password", s.password)
			}
			if u, err := url.Parse(strings.ReplaceAll(otpauth.FindString(a.text), "&amp;", "&")); err == nil {
				key, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
				if len(key) > 0 {
					s.key = key
					a = s.post("/login/set-up-totp", "flow", a.flow(), "otp", account.ShowCode(key, s.w.Store.Now()), "authenticator", "Phone")
				}
			}
			a = s.post("/login/backup-codes", "flow", a.flow(), "saved", "yes")
			return a.StatusCode == 200 && a.Request.URL.Query().Get("notice") == "authenticator_added"
		}, missing: func(s *subject) string {
			second, err := s.w.calm.Store.Second(s.w.t.Context(), account.ID(s.id))
			s.w.ok(err)
			told := s.queued("second_factor_added")
			switch {
			case second.Authenticators == 1 && second.Codes == account.BackupCodes && told == 1:
				return ""
			case second.Authenticators != told || second.Codes != 0 && second.Codes != account.BackupCodes:
				return fmt.Sprintf("half: %+v, %d notices", second, told)
			}
			return "there is no authenticator, or no codes" // which are a step of their own
		}},
		{name: "asking for a link", do: func(s *subject) bool {
			return strings.Contains(s.post("/forgot-password", "email", s.email).text, "Check your email")
		}, missing: func(s *subject) string {
			live := s.w.count(`SELECT COUNT(*) FROM resets WHERE subject = $1 AND token_hash IS NOT NULL`, s.id)
			switch links, mails := s.w.count(`SELECT COUNT(*) FROM reset_links WHERE subject = $1`, s.id), s.queued("reset"); {
			case live == 0 && links == 0 && mails == 0:
				return "there is no link"
			case live != 1 || links != mails:
				return fmt.Sprintf("half: %d live, %d links, %d mails", live, links, mails)
			}
			return ""
		}},
		{name: "reset", prepare: func(s *subject) {
			signedIn(s)
			s.post("/forgot-password", "email", s.email)
			token, _ := s.mail("reset")["token"].(string)
			s.link = "/reset-password?token=" + token
			s.anew()
		}, do: func(s *subject) bool {
			a := s.get(s.link)
			a = s.post("/reset-password", "flow", a.flow(), "new_password", s.next, "confirm_password", s.next)
			return a.StatusCode == 200 && a.Request.URL.Query().Get("notice") == "saved"
		}, missing: func(s *subject) string {
			lack := s.renewed("password_reset", true)
			if used := s.w.count(`SELECT COUNT(*) FROM reset_links WHERE subject = $1 AND used_at > 0`, s.id); (used == 1) != (lack == "") {
				return fmt.Sprintf("half: %d links are used, %s", used, lack)
			}
			return lack
		}},
		{name: "change of password", prepare: func(s *subject) {
			other := *s
			other.anew()
			signedIn(&other)
			signedIn(s)
			s.before = other.before
		}, do: func(s *subject) bool {
			if !s.live() { // an answer that did not come may have been that it is changed
				s.in()
			}
			a := s.post("/account/security/password")
			a = s.post("/login/password", "flow", a.flow(), "password", s.password)
			a = s.post("/login/new-password", "flow", a.flow(), "new_password", s.next, "confirm_password", s.next)
			return a.StatusCode == 200 && a.Request.URL.Query().Get("notice") == "password_changed"
		}, missing: func(s *subject) string { return s.renewed("password_changed", true) }},
		{name: "code exchange", prepare: signedIn, do: exchange, missing: func(s *subject) string {
			if !s.opens() {
				return "the tokens are worth nothing"
			}
			return ""
		}},
		{name: "refresh", prepare: func(s *subject) {
			signedIn(s)
			exchange(s)
		}, do: func(s *subject) bool {
			before := s.access
			a := s.post("/token", "grant_type", "refresh_token", "refresh_token", s.refresh, "client_id", "app", "client_secret", clientSecret)
			s.keep(a)
			if a.StatusCode == http.StatusBadRequest { // used, in an answer that did not come: the app signs in anew
				return exchange(s)
			}
			return a.StatusCode == 200 && s.access != before
		}, missing: func(s *subject) string {
			if !s.opens() {
				return "the tokens are worth nothing"
			}
			return ""
		}},
		{name: "sign-out", prepare: signedIn, do: func(s *subject) bool {
			a := s.post("/logout")
			return a.StatusCode == 200 && strings.Contains(a.text, "signed out")
		}, missing: func(s *subject) string {
			if s.stillIn() {
				return "the session lives"
			}
			return ""
		}},
		{name: "change of e-mail address", prepare: signedIn, do: func(s *subject) bool {
			s.post("/account/email", "email", "new-"+s.email)
			s.post("/confirm-email", "token", fmt.Sprint(s.mail("email_confirm_old")["token"]))
			if a := s.post("/confirm-email", "token", fmt.Sprint(s.mail("email_confirm_new")["token"])); a.StatusCode == 200 {
				return strings.Contains(a.text, "Your email is changed")
			}
			return false
		}, missing: func(s *subject) string {
			moved := s.w.count(`SELECT COUNT(*) FROM people WHERE id = $1 AND email = $2`, s.id, "new-"+s.email)
			known := s.w.count(`SELECT COUNT(*) FROM identifiers WHERE person = $1 AND key = $2`, s.id, "new-"+s.email)
			left := s.w.count(`SELECT COUNT(*) FROM identifiers WHERE person = $1 AND key = $2`, s.id, s.email)
			told := s.queued("email_changed")
			switch {
			case moved == 1 && known == 1 && left == 0 && told > 0:
				return ""
			case moved+known+told > 0 || left == 0:
				return fmt.Sprintf("half: %d moved, %d known by the new, %d by the old, %d notices", moved, known, left, told)
			}
			return "the address is the old one"
		}},
		{name: "wrong password", do: func(s *subject) bool {
			s.anew()
			return s.person.signIn(s.get("/login"), s.name, "not the right one").StatusCode == http.StatusUnauthorized
		}, missing: wrongs("password", 1)},
		{name: "wrong code", second: true, prepare: equip, do: func(s *subject) bool {
			s.anew()
			a := s.person.signIn(s.get("/login"), s.name, s.password)
			return s.post("/login/totp", "flow", a.flow(), "otp", "000000").StatusCode == http.StatusUnauthorized
		}, missing: wrongs("code", 1)},
		{name: "wrong backup code", second: true, prepare: equip, do: func(s *subject) bool {
			s.anew()
			a := s.person.signIn(s.get("/login"), s.name, s.password)
			return s.post("/login/backup-code", "flow", a.flow(), "backup_code", "0000-0000-00000").StatusCode == http.StatusUnauthorized
		}, missing: wrongs("code", 1)},
		{name: "wrong password that locks", prepare: func(s *subject) {
			for range account.MaxFailures - 1 {
				s.person.signIn(s.get("/login"), s.name, "not the right one")
			}
		}, do: func(s *subject) bool {
			s.anew()
			return s.person.signIn(s.get("/login"), s.name, "not the right one").StatusCode == http.StatusForbidden
		}, missing: func(s *subject) string {
			locked := s.w.count(`SELECT COUNT(*) FROM guards WHERE subject = $1 AND locked_until > 0`, s.id)
			told := s.queued("locked")
			switch {
			case locked == 1 && told == 1:
				return ""
			case locked != told:
				return fmt.Sprintf("half: %d locked, %d notices", locked, told)
			}
			return "it is not locked"
		}},
	}
}

// exchange has a signed-in browser fetch a code, and the app its tokens.
func exchange(s *subject) bool {
	to, err := url.Parse(s.authorize("").Header.Get("Location"))
	if err != nil {
		return false
	}
	a := s.post("/token", "grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", "https://app.example/cb",
		"code_verifier", verifier, "client_id", "app", "client_secret", clientSecret)
	s.keep(a)
	return a.StatusCode == http.StatusOK
}

// keep keeps the tokens of an answer.
func (s *subject) keep(a answer) {
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if a.StatusCode == http.StatusOK && json.Unmarshal([]byte(a.text), &got) == nil {
		s.access, s.refresh = got.Access, got.Refresh
	}
}

// opens reports whether the newest tokens are good.
func (s *subject) opens() (is bool) {
	s.w.calmly(func() {
		r, err := newGET(s.w.issuer + "/userinfo")
		s.w.ok(err)
		r.Header.Set("Authorization", "Bearer "+s.access)
		is = s.do(r, nil).StatusCode == http.StatusOK
	})
	return is
}

// tap counts the calls of a storage, and has one fail. A call is a statement
// that is run, BEGIN and COMMIT among them; the clock's and the pool's own are
// none.
type tap struct {
	mu    sync.Mutex
	armed bool
	at    int
	way   way
	calls []string
	end   func(error) // of the request that runs

	fresh bool // on SQLite: what comes is a new call
	river bool // the call is one of the queue's
	deny  bool // all that is left of the call
}

// listen makes it a cable to PostgreSQL that understands what goes through it,
// and returns its address.
func (p *tap) listen(t testing.TB, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			c := &tapped{tap: p, near: near, far: far, names: map[string]string{}, status: 'I'}
			go c.down()
			go c.up()
		}
	}()
	return l.Addr().String()
}

// under makes it SQLite's authorizer, for those who open the file by another
// spelling of its path, which it returns.
func (p *tap) under(t testing.TB, path string) string {
	t.Helper()
	if err := os.Mkdir(filepath.Join(filepath.Dir(path), "tapped"), 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Dir(path) + "/tapped/../" + filepath.Base(path)
	sqlite.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, dsn string) error {
		if !strings.Contains(dsn, path) {
			return nil
		}
		return c.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(p.authorize)
	})
	return path
}

// told hears that a call of the store is over. River's are not told.
func (p *tap) told(string, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh, p.deny = true, false
}

// authorize is asked several times for a statement, before it runs.
func (p *tap) authorize(action sqlite.AuthorizerActionCode, arg1, _, _, _ string) sqlite.AuthorizerReturnCode {
	river := strings.HasPrefix(arg1, "river")
	p.mu.Lock()
	tx := action == sqlite.AuthTransaction
	if arg1 == "ROLLBACK" {
		p.fresh, p.deny = true, false
		p.mu.Unlock()
		return sqlite.AuthorizerOK
	}
	begins := p.fresh || tx || river != p.river && arg1 != ""
	if begins {
		p.fresh, p.river, p.deny = tx, river, false
	}
	deny := p.deny
	p.mu.Unlock()
	if begins {
		w, fails, end := p.judge(strings.ToLower(fmt.Sprint(arg1, "/", action)))
		if fails && w.expires != nil {
			end(w.expires)
		}
		deny = fails && w.code != ""
		p.mu.Lock()
		p.deny = deny
		p.mu.Unlock()
	}
	if deny {
		return sqlite.AuthorizerDeny
	}
	return sqlite.AuthorizerOK
}

// arm has the call with this number, from 0, fail in a way; -1 only counts.
func (p *tap) arm(call int, w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.at, p.way, p.calls = true, call, w, nil
}

// disarm returns the calls that there were.
func (p *tap) disarm() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	return slices.Clone(p.calls)
}

// ends says how the request that runs is ended.
func (p *tap) ends(end func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = end
}

// judge counts a call, and returns how it fails, if it does.
func (p *tap) judge(name string) (w way, fails bool, end func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed || name == "" {
		return w, false, nil
	}
	p.calls = append(p.calls, name)
	return p.way, len(p.calls)-1 == p.at, p.end
}

// tapped is one connection.
type tapped struct {
	tap       *tap
	near, far net.Conn

	mu      sync.Mutex
	names   map[string]string // of prepared statements
	status  byte              // of the transaction, as the server said last
	failed  bool              // we said that it failed; the server knows nothing of it
	eat     func()            // the next answer goes nowhere, and then this happens
	instead []byte            // of the next command's completion
}

func (c *tapped) close() { _ = c.near.Close(); _ = c.far.Close() }

// down carries answers.
func (c *tapped) down() {
	defer c.close()
	r := bufio.NewReader(c.far)
	for {
		kind, body, err := message(r)
		if err != nil {
			return
		}
		c.mu.Lock()
		eat := c.eat
		if kind == 'C' && c.instead != nil {
			kind, body, c.instead = 'E', c.instead[5:], nil
		}
		if kind == 'Z' && len(body) == 1 {
			c.status = body[0]
			if c.status == 'I' {
				c.failed = false
			}
		}
		c.mu.Unlock()
		if eat != nil {
			if kind == 'Z' {
				eat()
				return
			}
			continue
		}
		if _, err := c.near.Write(frame(kind, body)); err != nil {
			return
		}
	}
}

// up carries calls: what goes to the server at once is judged as one.
func (c *tapped) up() {
	defer c.close()
	r := bufio.NewReader(c.near)
	var size [4]byte // of the startup message, which has no kind
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return
	}
	first := make([]byte, binary.BigEndian.Uint32(size[:])-4)
	if _, err := io.ReadFull(r, first); err != nil {
		return
	}
	if _, err := c.far.Write(append(size[:], first...)); err != nil {
		return
	}
	var batch bytes.Buffer
	name, runs := "", false
	for {
		kind, body, err := message(r)
		if err != nil {
			return
		}
		switch kind {
		case 'P':
			stmt, rest := text0(body)
			query, _ := text0(rest)
			c.names[stmt] = callOf(query)
			name = c.names[stmt]
		case 'B':
			_, rest := text0(body)
			stmt, _ := text0(rest)
			name = c.names[stmt]
		case 'E':
			runs = true
		case 'Q':
			query, _ := text0(body)
			name, runs = callOf(query), true
			if strings.EqualFold(query, "commit") && c.hasFailed() {
				body = []byte("rollback\x00") // as a server makes of it
			}
		}
		batch.Write(frame(kind, body))
		if kind != 'S' && kind != 'Q' && kind != 'X' && kind != 'p' && kind != 'H' {
			continue
		}
		if !runs {
			name = ""
		}
		if !c.pass(batch.Bytes(), name) {
			return
		}
		batch.Reset()
		name, runs = "", false
	}
}

func (c *tapped) hasFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// pass sends a call on, or does what becomes of it. It reports whether the
// connection goes on.
func (c *tapped) pass(batch []byte, name string) bool {
	w, fails, end := c.tap.judge(name)
	switch {
	case !fails && c.hasFailed() && name != "rollback" && name != "commit" && name != "":
		return c.refuse("25P02")
	case !fails:
		_, err := c.far.Write(batch)
		return err == nil
	case w.code != "" && name == "commit": // it is over, and rolled back
		c.mu.Lock()
		c.instead = refusal(w.code)
		c.mu.Unlock()
		_, err := c.far.Write(frame('Q', []byte("rollback\x00")))
		return err == nil
	case w.code != "":
		return c.refuse(w.code)
	case w.runs:
		c.mu.Lock()
		c.eat = func() {
			if w.expires != nil {
				end(w.expires)
				time.Sleep(time.Millisecond)
			}
			c.close()
		}
		c.mu.Unlock()
		_, err := c.far.Write(batch)
		return err == nil
	case w.expires != nil:
		end(w.expires)
		time.Sleep(5 * time.Millisecond)
		return false
	}
	return false
}

// refuse answers an error instead of the server.
func (c *tapped) refuse(code string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.status
	if status != 'I' {
		status, c.failed = 'E', true
	}
	_, err := c.near.Write(append(refusal(code), frame('Z', []byte{status})...))
	return err == nil
}

func refusal(code string) []byte {
	return frame('E', []byte("SERROR\x00VERROR\x00C"+code+"\x00Mthe tap says so\x00\x00"))
}

// message reads one message of PostgreSQL's protocol.
func message(r *bufio.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

func frame(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(out, body...)
}

// text0 splits off a string that ends in a NUL.
func text0(b []byte) (string, []byte) {
	s, rest, _ := bytes.Cut(b, []byte{0})
	return string(s), rest
}

// callOf names a statement, or is "" for one that is no call.
func callOf(query string) string {
	if rest, ok := strings.CutPrefix(query, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")
		if name == "PGGetProductAndVersion" || name == "PGNotifyMany" { // River's, now and then
			return ""
		}
		return name
	}
	query = strings.TrimSpace(query)
	switch lower := strings.ToLower(query); {
	case query == "", strings.HasPrefix(lower, "-- ping"), strings.HasPrefix(query, ";"), strings.Contains(lower, "clock_timestamp"):
		return ""
	default:
		return strings.Join(strings.Fields(lower)[:min(3, len(strings.Fields(lower)))], " ")
	}
}
