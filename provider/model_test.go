package provider

import (
	"crypto/sha256"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// The model of T11: two people, two browsers and a program without cookies do
// whatever pages, mails and tokens let them do, in any order, and much that
// nothing lets them do. The model, in modelcheck_test.go, knows what each
// browser proved, reads after every request what has changed in the database,
// and wants a reason for it.
//
// A walk is a list of numbers; each decides one step by what is there then, so
// a walk can be replayed, and steps can be taken out of it until what is left
// all matters. IDP_MODEL_REQUESTS says how many requests are made (IDP_FULL=1:
// a million), IDP_MODEL_SEED which.
func TestFlowModel(t *testing.T) {
	most, seed := 4000, uint64(20261125) // the same walks for every commit
	if os.Getenv("IDP_FULL") != "" {
		most, seed = 1_000_000, rand.Uint64()
	}
	fromEnv(t, "IDP_MODEL_REQUESTS", func(n uint64) { most = int(n) })
	fromEnv(t, "IDP_MODEL_SEED", func(n uint64) { seed = n })
	t.Logf("IDP_MODEL_SEED=%d IDP_MODEL_REQUESTS=%d", seed, most)
	_, _ = theTemplate() // outside the bubble: it is for all tests
	began := time.Now()
	var m *model
	synctest.Test(t, func(t *testing.T) {
		m = newModel(t)
		m.explore(seed, most)
	})
	t.Logf("%d requests in %d walks, %.0f a second: %v", m.requests, m.walks,
		float64(m.requests)/time.Since(began).Seconds(), m.seen)
	for _, what := range milestones {
		if m.requests >= 50_000 && m.seen[what] == 0 && !t.Failed() {
			t.Errorf("nobody ever came to: %s", what)
		}
	}
}

// milestones are what a walk that proves anything must come by.
var milestones = []string{"session", "session by two factors", "session raised", "password reset", "password changed",
	"authenticator added", "authenticator removed", "backup code used", "code accepted", "grant", "refreshed", "userinfo", "more time",
	"consent given", "consent withdrawn", "introspected", "ended by an app", "pushed request answered", "locked", "known device locked",
	"signed in through a lock", "passkey added", "passkey removed", "passkey used",
	"session by a passkey that knows its person", "session by a passkey and the password"}

func fromEnv(t *testing.T, name string, use func(uint64)) {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	use(n)
}

// model is a house in which walks are taken.
type model struct {
	*house
	eye      *eye
	patterns []string
	set      *account.BackupSet // of everybody who has codes, to begin with
	firsts   map[string]string  // hashes of the passwords that people begin with
	requests int
	walks    int
	seen     map[string]int
}

func newModel(t *testing.T) *model {
	h := quickHouse(t, "https://id.example")
	m := &model{house: h, eye: openEye(t, h.db), patterns: patterns(t), firsts: map[string]string{}, seen: map[string]int{}}
	var err error
	m.set, err = h.Hasher.NewBackupSet(t.Context(), account.MakeBackupCodes(make([]byte, 32)))
	h.ok(err)
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "mfa", Name: "MFA", SecretHash: account.HashSecret(clientSecret), RequireMFA: true,
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "offline_access"}}, "test"))
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "law", Name: "Law", SecretHash: account.HashSecret(clientSecret), ThirdParty: true,
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "offline_access"}}, "test"))
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "api", Name: "API", SecretHash: account.HashSecret(clientSecret), Introspect: true}, "test"))
	return m
}

// explore takes walks until so many requests were made or one goes wrong.
func (m *model) explore(seed uint64, most int) {
	r := rand.New(rand.NewPCG(seed, 11))
	for m.requests < most && !m.t.Failed() {
		steps := make([]uint64, 60+r.IntN(240))
		for i := range steps {
			steps[i] = r.Uint64()
		}
		strict := r.IntN(3) == 0
		m.KnownDevices = r.IntN(2) == 0
		w := m.walk(steps, strict)
		if w.wrong == "" {
			continue
		}
		least, w := m.shrink(steps, strict, w)
		m.t.Errorf("%s: %s\n%d of %d steps are enough, with lockout.known_device %v:\n%s", w.rule, w.wrong, len(least), len(steps),
			m.KnownDevices, strings.Join(w.trace, "\n"))
	}
}

// shrink takes steps out while the same rule is broken: halves, then quarters,
// down to single ones. It returns those that are left, and their walk.
func (m *model) shrink(steps []uint64, strict bool, w *world) ([]uint64, *world) {
	tries := 0
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at < len(steps) && tries < 1000; {
			less := slices.Delete(slices.Clone(steps), at, min(at+size, len(steps)))
			tries++
			if short := m.walk(less, strict); short.rule == w.rule {
				steps, w = less, short
				continue
			}
			at += size
		}
	}
	return steps, w
}

// walk takes the steps with people of their own, until one goes wrong. In a
// strict one, one of the two must have a second factor.
func (m *model) walk(steps []uint64, strict bool) *world {
	m.walks++
	// A new day: nothing of the walk before is remembered, and codes change at
	// the same moments in each.
	time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)))
	m.mu.Lock()
	m.statements, m.events = nil, nil
	m.mu.Unlock()
	m.log.Reset()
	w := newWorld(m, strict)
	for _, s := range steps {
		w.step(rand.New(rand.NewPCG(s, 7)))
		if w.wrong != "" {
			break
		}
	}
	return w
}

// tab is a browser, or a program that keeps no cookies.
type tab struct {
	name  string
	keeps bool
	from  string
	jar   map[string]string
	last  *hit            // whose page is shown
	known map[*soul]int64 // who completed a sign-in here, and in which epoch of their proofs
}

// soul is a person, and what they know and have.
type soul struct {
	id       account.ID
	name     string
	email    string
	password string
	old      []string
	required bool              // to have a second factor
	phones   map[string]*phone // by the authenticator's ID
	keys     map[string]*held  // by the passkey's ID
	codes    []string          // backup codes not used yet
	burnt    []string
}

type phone struct {
	nth  int
	key  []byte
	last int64 // the step of the code used last
}

// hit is a request and its answer.
type hit struct {
	tab              *tab
	method, path     string
	query, form      url.Values
	auth             string // of an app
	foreign          bool   // from another site
	browser, session string // the cookies that went along
	at               time.Time

	status int
	to     string // Location
	body   string
	set    map[string]string
}

// value is what a handler takes for the request's parameter.
func (q *hit) value(name string) string {
	if v, ok := q.form[name]; ok && len(v) > 0 {
		return v[0]
	}
	return q.query.Get(name)
}

func (q *hit) String() string {
	s := fmt.Sprintf("%s %s: %s %s", q.at.Format("15:04:05"), q.tab.name, q.method, q.path)
	if len(q.query) > 0 {
		s += "?" + q.query.Encode()
	}
	if len(q.form) > 0 {
		s += " " + q.form.Encode()
	}
	if q.foreign {
		s += " from another site"
	}
	return s + fmt.Sprintf(" -> %d %s", q.status, q.to)
}

// send makes a request and has the model look at what came of it.
func (w *world) send(t *tab, q hit) *hit {
	q.tab, q.at = t, w.Store.Now()
	target := q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r := httptest.NewRequest(q.method, "https://id.example"+target, strings.NewReader(q.form.Encode()))
	r.RemoteAddr = t.from
	if q.method != "GET" && q.method != "HEAD" {
		r.Header.Set("Content-Type", formType)
		r.Header.Set("Sec-Fetch-Site", map[bool]string{true: "cross-site", false: "same-origin"}[q.foreign])
	}
	if q.auth != "" {
		r.Header.Set("Authorization", q.auth)
	}
	for _, name := range slices.Sorted(keysOf(t.jar)) {
		r.AddCookie(&http.Cookie{Name: name, Value: t.jar[name]})
	}
	q.browser, q.session = t.jar["__Host-mdx_browser"], t.jar["__Host-mdx_session"]
	w.before(&q)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	q.status, q.to, q.body, q.set = rec.Code, rec.Header().Get("Location"), rec.Body.String(), map[string]string{}
	for _, c := range rec.Result().Cookies() {
		if q.set[c.Name] = c.Value; c.MaxAge < 0 {
			q.set[c.Name] = ""
		}
		if !t.keeps {
			continue
		}
		if t.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(t.jar, c.Name)
		}
	}
	w.requests++
	w.trace = append(w.trace, q.String())
	w.after(&q)
	if strings.Contains(q.body, "<main") {
		t.last = &q
	}
	return &q
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// form is a form of a page, and its fields as they stand there.
type form struct {
	action string
	fields [][2]string
}

var (
	formTag   = regexp.MustCompile(`(?s)<form[^>]*?action="([^"]*)"[^>]*>(.*?)</form>`)
	fieldTag  = regexp.MustCompile(`<(?:input|select|button)[^>]*? name="([^"]*)"[^>]*>`)
	valueAttr = regexp.MustCompile(` value="([^"]*)"`)
	linkTag   = regexp.MustCompile(`<a [^>]*?href="(/[^"]*)"`)
	keyTag    = regexp.MustCompile(`<code id="key">([A-Z2-7 ]+)</code>`)
	codeTag   = regexp.MustCompile(`<li><code>([0-9A-Z-]{15})</code>`)
	idField   = regexp.MustCompile(`name="id" value="([^"]*)"|[?&]id=([^"&]+)`)
)

func formsOf(body string) (all []form) {
	for _, m := range formTag.FindAllStringSubmatch(body, -1) {
		one := form{action: html.UnescapeString(m[1])}
		for _, f := range fieldTag.FindAllStringSubmatch(m[2], -1) {
			v := ""
			if a := valueAttr.FindStringSubmatch(f[0]); a != nil {
				v = html.UnescapeString(a[1])
			}
			one.fields = append(one.fields, [2]string{f[1], v})
		}
		all = append(all, one)
	}
	return all
}

// step does one thing, which the number behind r decides.
func (w *world) step(r *rand.Rand) {
	t := w.tabs[[]int{0, 0, 0, 0, 1, 1, 1, 1, 2}[r.IntN(9)]]
	switch n := r.IntN(100); {
	case n < 5:
		w.wait([]time.Duration{time.Second, 31 * time.Second, 31 * time.Second, 2 * time.Minute, 6 * time.Minute, 31 * time.Minute, 61 * time.Minute, 13 * time.Hour}[r.IntN(8)])
	case n < 6:
		w.operate(r.IntN(10))
	case n < 7:
		w.plant(r, t)
	case n < 22 && t.last != nil:
		w.honest(r, t)
	case n < 62 && t.last != nil:
		w.follow(r, t)
	case n < 88:
		w.open(r, t)
	default:
		w.wild(r, t)
	}
	if w.fresh != "" && w.wrong == "" && r.IntN(2) == 0 {
		w.redeem(r, w.tabs[2])
	}
	for _, token := range w.mailed { // at once, as people do
		if w.wrong == "" && r.IntN(2) == 0 {
			w.send(w.tabs[r.IntN(3)], hit{method: "POST", path: "/confirm-email", form: url.Values{"token": {token}}})
		}
	}
	w.mailed = nil
}

func (w *world) wait(d time.Duration) {
	w.trace = append(w.trace, "wait "+d.String())
	time.Sleep(d)
	w.look(nil)
}

// plant puts a session's cookie into another browser (N5).
func (w *world) plant(r *rand.Rand, t *tab) {
	from := w.tabs[r.IntN(2)].jar
	if t.keeps && from["__Host-mdx_session"] != "" {
		t.jar["__Host-mdx_session"] = from["__Host-mdx_session"]
		w.trace = append(w.trace, "plant a session's cookie into "+t.name)
	}
}

// others are the forms that a flow's answer is not for.
var others = []string{"/reset-password", "/login/new-password", "/login/backup-codes", "/login/set-up-totp", "/login/set-up-passkey"}

// follow fills in a form of the page that the browser shows, or one of its
// links; now and then in another browser, twice, or not all of it.
func (w *world) follow(r *rand.Rand, t *tab) {
	page, in := t.last, t
	if r.IntN(12) == 0 {
		in = w.tabs[r.IntN(3)]
	}
	all := formsOf(page.body)
	main := slices.DeleteFunc(slices.Clone(all), func(f form) bool { return f.action == "/language" || f.action == "/logout" })
	if len(main) > 0 && r.IntN(30) > 0 {
		all = main
	}
	links := linkTag.FindAllStringSubmatch(page.body, -1)
	if len(links) > 0 && (len(all) == 0 || r.IntN(5) == 0) {
		u, err := url.Parse(html.UnescapeString(links[r.IntN(len(links))][1]))
		if err == nil && !strings.HasPrefix(u.Path, "/static") {
			w.send(in, hit{method: "GET", path: u.Path, query: u.Query()})
		}
		return
	}
	if len(all) == 0 {
		return
	}
	f := all[r.IntN(len(all))]
	who := w.whose(r, in)
	q := hit{method: "POST", path: f.action, form: url.Values{}, foreign: r.IntN(40) == 0}
	for _, field := range f.fields {
		if r.IntN(30) > 0 {
			q.form.Set(field[0], w.fill(r, field[0], field[1], page, who))
		}
	}
	if q.form.Has("confirm_password") && r.IntN(8) > 0 {
		q.form.Set("confirm_password", q.form.Get("new_password"))
	}
	w.ripen(r, q.form, page, who)
	if q.form.Has("flow") && r.IntN(10) == 0 { // to another step (CVE-2026-18963)
		q.path = append(others, "/login/"+steps[r.IntN(len(steps))])[r.IntN(len(others)+1)]
	}
	got := w.send(in, q)
	if in == t && got.status == http.StatusSeeOther && strings.HasPrefix(got.to, "/") && r.IntN(10) > 0 && w.wrong == "" {
		w.visit(t, got.to)
	}
	if r.IntN(12) == 0 && w.wrong == "" {
		w.send(in, q) // a double click
	}
}

// honest answers what is asked, rightly, for as long as something is.
func (w *world) honest(r *rand.Rand, t *tab) {
	who := w.whose(r, t)
	for range 6 {
		page := t.last
		all := slices.DeleteFunc(formsOf(page.body), func(f form) bool { return f.action == "/language" || f.action == "/logout" || f.action == "/not-me" })
		if len(all) == 0 || w.wrong != "" {
			return
		}
		f := all[r.IntN(len(all))]
		q := hit{method: "POST", path: f.action, form: url.Values{}}
		for _, field := range f.fields {
			v := field[1]
			if v == "" || field[0] == "identifier" || field[0] == "answer" {
				v = w.right(r, field[0], page, who)
			}
			q.form.Set(field[0], v)
		}
		if q.form.Has("confirm_password") {
			q.form.Set("confirm_password", q.form.Get("new_password"))
		}
		if q.form.Has("saved") && r.IntN(8) > 0 {
			return // ten argon2id hashes
		}
		if strings.Contains(page.body, "way=backup-code") && r.IntN(5) == 0 {
			w.send(t, hit{method: "GET", path: "/login", query: url.Values{"flow": {page.value("flow")}, "way": {"backup-code"}}})
			continue
		}
		w.ripen(r, q.form, page, who)
		for got := w.send(t, q); got != nil && got.status == http.StatusSeeOther && strings.HasPrefix(got.to, "/") && w.wrong == ""; {
			got = w.visit(t, got.to)
		}
		if t.last == page || t.last.status == http.StatusUnauthorized {
			return
		}
	}
}

// right is what the person would type into a field.
func (w *world) right(r *rand.Rand, name string, page *hit, p *soul) string {
	switch name {
	case "identifier":
		return p.name
	case "password":
		return p.password
	case "otp":
		return w.code(0, page, p, p)
	case "backup_code":
		return w.backup(r.IntN(68), r, p, p)
	case "passkey":
		return w.passkey(r, page, p)
	case "email":
		if page.path == "/account/email" && r.IntN(2) == 0 {
			w.passwords++
			return fmt.Sprintf("%s-%d@new.example", p.name, w.passwords)
		}
		return p.email
	case "new_password", "confirm_password":
		w.passwords++
		return fmt.Sprintf("a lantern over quiet water %d", w.passwords)
	case "saved", "more":
		return "yes"
	case "answer":
		return "allow"
	}
	return ""
}

// visit opens a path of ours, as a browser that follows a redirect.
func (w *world) visit(t *tab, to string) *hit {
	u, err := url.Parse(to)
	if err != nil {
		w.fail("redirect", "to %q", to)
		return nil
	}
	return w.send(t, hit{method: "GET", path: u.Path, query: u.Query()})
}

// ripen waits for a code that was not used yet, as people do.
func (w *world) ripen(r *rand.Rand, f url.Values, page *hit, p *soul) {
	if !f.Has("otp") || r.IntN(4) == 0 {
		return
	}
	if flow := w.flows[page.value("flow")]; flow != nil && flow.key != nil && strings.Contains(page.body, `id="key"`) {
		return
	}
	for _, id := range p.inOrder() {
		ph := p.phones[id]
		if ph.last >= w.Store.Now().Unix()/30 {
			w.wait(time.Duration(ph.last-w.Store.Now().Unix()/30+1) * 30 * time.Second)
			f.Set("otp", account.ShowCode(ph.key, w.Store.Now()))
			return
		}
	}
}

// whose is the person that a browser mostly belongs to.
func (w *world) whose(r *rand.Rand, t *tab) *soul {
	i := 0
	if t == w.tabs[1] {
		i = 1
	}
	if t == w.tabs[2] || r.IntN(6) == 0 {
		i = r.IntN(2)
	}
	return w.people[i]
}

// open begins something: at the front door, an app, a mail's link.
func (w *world) open(r *rand.Rand, t *tab) {
	switch n := r.IntN(30); {
	case n < 3:
		w.send(t, hit{method: "GET", path: "/login"})
	case n < 8:
		w.authorize(r, t)
	case n < 11:
		w.mail(r, t)
	case n < 13:
		w.send(t, hit{method: "GET", path: []string{"/account/email", "/account/email", "/account/email", "/account/sessions", "/account/activity", "/account"}[r.IntN(6)]})
	case n < 15:
		w.send(t, hit{method: "GET", path: "/account/security"})
	case n < 18:
		got := w.send(t, hit{method: "POST", path: []string{"/account/security/password", "/account/security/authenticators", "/account/security/backup-codes",
			"/account/security/passkeys", "/account/security/passkeys"}[r.IntN(5)]})
		if got.status == http.StatusSeeOther && w.wrong == "" {
			w.visit(t, got.to)
		}
	case n < 20:
		w.removal(r, t)
	case n < 21 || w.lost(t) && n < 25:
		w.send(t, hit{method: "POST", path: "/forgot-password", form: url.Values{"email": {w.whose(r, t).email}}})
	case n < 22 && r.IntN(3) == 0:
		w.send(t, hit{method: "POST", path: "/logout"})
	default:
		w.app(r, t)
	}
}

// lost reports whether the browser's person needs a new password.
func (w *world) lost(t *tab) bool {
	for i, p := range w.people {
		if w.was.people[string(p.id)].wrongPass >= account.MaxWrongPasswords && t == w.tabs[i] {
			return true
		}
	}
	return false
}

// removal takes an authenticator or a passkey away, by the page or without it.
func (w *world) removal(r *rand.Rand, t *tab) {
	id, path := w.pick(r, "id"), "/account/security/"+[]string{"authenticators", "passkeys"}[r.IntN(2)]+"/remove"
	got := w.send(t, hit{method: "GET", path: path, query: url.Values{"id": {id}}})
	if w.wrong == "" && (got.status == http.StatusOK || r.IntN(4) == 0) {
		w.send(t, hit{method: "POST", path: path, form: url.Values{"id": {id}}})
	}
}

var authorizeExtras = []url.Values{{}, {}, {}, {"prompt": {"login"}}, {"prompt": {"select_account"}}, {"prompt": {"none"}}, {"max_age": {"0"}}, {"max_age": {"60"}},
	{"acr_values": {"urn:medximity:acr:2fa"}}, {"acr_values": {"urn:medximity:acr:2fa"}}, {"response_mode": {"form_post"}}, {"claims": {`{"id_token":{"acr":{"essential":true,"value":"urn:medximity:acr:2fa"}}}`}}}

func (w *world) authorize(r *rand.Rand, t *tab) {
	q := url.Values{"client_id": {clientsOfPeople[r.IntN(5)]}, "redirect_uri": {"https://app.example/cb"}, "response_type": {"code"},
		"scope": {"openid email profile offline_access"}, "state": {"s"}, "nonce": {"n"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for name, v := range authorizeExtras[r.IntN(len(authorizeExtras))] {
		q[name] = v
	}
	if w.ask = q; r.IntN(4) == 0 {
		q = w.push(r, q)
	}
	if r.IntN(20) == 0 {
		w.send(t, hit{method: "POST", path: "/authorize", form: q, foreign: true})
		return
	}
	got := w.send(t, hit{method: "GET", path: "/authorize", query: q})
	if w.wrong == "" && got.status == http.StatusSeeOther && strings.HasPrefix(got.to, "/") {
		w.visit(t, got.to)
	}
}

var clientsOfPeople = []string{"app", "app", "app", "mfa", "law"}

// push has the app push its request, and returns what the browser brings; now
// and then of a request that was pushed before.
func (w *world) push(r *rand.Rand, q url.Values) url.Values {
	form := maps.Clone(q)
	form.Set("client_secret", clientSecret)
	if len(w.pushed) == 0 || r.IntN(2) == 0 {
		w.send(w.tabs[2], hit{method: "POST", path: "/par", form: form})
	}
	uri := w.pick(r, "request_uri")
	if of := w.pushed[uri]; of != nil && r.IntN(10) > 0 {
		q = of
	}
	return url.Values{"client_id": q["client_id"], "request_uri": {uri}}
}

// mail opens a mail's link, most often where it leads, and says yes.
func (w *world) mail(r *rand.Rand, t *tab) {
	token := w.pick(r, "token")
	kind := []string{"reset", "reset", "email_confirm_old", "email_confirm_new", "email_confirm_new", "not_me", "cancel", "email_cancel"}[r.IntN(8)]
	for _, one := range w.pools["token"] { // the newest of its kind
		if w.links[one].kind == kind && r.IntN(10) > 0 {
			token = one
		}
	}
	path := []string{"/reset-password", "/reset-password/cancel", "/confirm-email", "/confirm-email/cancel", "/not-me"}[r.IntN(5)]
	if l := w.links[token]; l != nil && r.IntN(6) > 0 {
		path = l.path
	}
	if path == "/not-me" && r.IntN(8) > 0 {
		return // it ends much
	}
	got := w.send(t, hit{method: "GET", path: path, query: url.Values{"token": {token}}})
	switch {
	case w.wrong != "":
	case got.status == http.StatusSeeOther && strings.HasPrefix(got.to, "/"):
		w.visit(t, got.to)
	case got.status == http.StatusOK && path != "/reset-password" && r.IntN(2) == 0:
		w.send(t, hit{method: "POST", path: path, form: url.Values{"token": {token}}})
	}
}

// redeem does with a new code what an app does at once.
func (w *world) redeem(r *rand.Rand, t *tab) {
	q := hit{method: "POST", path: "/token", form: url.Values{"client_id": {w.codes[w.fresh].client}, "client_secret": {clientSecret}, "grant_type": {"authorization_code"},
		"code": {w.fresh}, "redirect_uri": {"https://app.example/cb"}, "code_verifier": {verifier}}}
	w.fresh = ""
	w.send(t, q)
	if w.wrong == "" && r.IntN(2) == 0 {
		w.send(t, hit{method: "GET", path: "/userinfo", auth: "Bearer " + w.pick(r, "access_token")})
	}
	if w.wrong == "" && r.IntN(2) == 0 {
		w.introspect(r, t)
	}
}

func (w *world) introspect(r *rand.Rand, t *tab) {
	token := w.pick(r, []string{"access_token", "refresh_token", "refresh_token"}[r.IntN(3)])
	w.send(t, hit{method: "POST", path: "/introspect", form: url.Values{"client_id": {"api"}, "client_secret": {clientSecret}, "token": {token}}})
}

// app does what apps do with codes and tokens.
func (w *world) app(r *rand.Rand, t *tab) {
	q := hit{method: "POST", path: "/token", form: url.Values{"client_id": {clientsOfPeople[r.IntN(5)]}, "client_secret": {clientSecret}}}
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			q.form.Set(pairs[i], pairs[i+1])
		}
	}
	switch n := r.IntN(24); {
	case n < 8:
		set("grant_type", "authorization_code", "code", w.pick(r, "code"), "redirect_uri", "https://app.example/cb", "code_verifier", verifier)
	case n < 13:
		set("grant_type", "refresh_token", "refresh_token", w.pick(r, "refresh_token"))
	case n < 18:
		q = hit{method: "GET", path: "/userinfo", auth: "Bearer " + w.pick(r, "access_token")}
	case n < 20:
		w.introspect(r, t)
		return
	case n < 22:
		q = hit{method: "GET", path: "/end-session", query: url.Values{"id_token_hint": {w.pick(r, "id_token_hint")}}}
	case n < 23:
		q.path = "/revoke"
		set("token", w.pick(r, "refresh_token"))
	default:
		set("grant_type", "authorization_code", "code", w.pick(r, "code"), "redirect_uri", "https://app.example/cb", "code_verifier", "wrong"+verifier)
	}
	w.send(t, q)
}

// parameters are all that a page, a mail or an app ever sends.
var parameters = []string{"flow", "flow", "way", "identifier", "password", "otp", "backup_code", "passkey", "saved", "more", "new_password", "confirm_password",
	"authenticator", "email", "id", "client", "answer", "id_token_hint", "request_uri", "token", "language", "lang", "back", "notice", "code", "refresh_token", "access_token", "grant_type",
	"client_id", "client_secret", "redirect_uri", "code_verifier", "prompt", "ui_locales"}

var steps = []string{"identify", "password", "totp", "backup-code", "set-up-totp", "more-backup-codes", "backup-codes", "new-password", "passkey", "set-up-passkey", "link", "session", "nonsense"}

// wild sends anything anywhere.
func (w *world) wild(r *rand.Rand, t *tab) {
	method, path, ok := strings.Cut(w.patterns[r.IntN(len(w.patterns))], " ")
	if !ok {
		method, path = []string{"GET", "POST"}[r.IntN(2)], method
	}
	if r.IntN(4) == 0 {
		method = []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}[r.IntN(7)]
	}
	path = strings.NewReplacer("{$}", "", "{step}", steps[r.IntN(len(steps))]).Replace(path)
	if method == "POST" && (path == "/not-me" || path == "/logout") && r.IntN(8) > 0 {
		return
	}
	q := hit{method: method, path: path, query: url.Values{}, form: url.Values{}, foreign: r.IntN(10) == 0}
	in, who := q.query, w.whose(r, t)
	if method == "POST" {
		in = q.form
	}
	for _, name := range parameters {
		if r.IntN(3) == 0 {
			in.Set(name, w.fill(r, name, "", nil, who))
		}
	}
	if method == "POST" && r.IntN(6) == 0 && in.Has("flow") { // where a handler might read it, too
		q.query.Set("flow", w.pick(r, "flow"))
	}
	w.send(t, q)
}

// fill is what a field is given: mostly what is right for the person.
func (w *world) fill(r *rand.Rand, name, hidden string, page *hit, p *soul) string {
	other := w.people[0]
	if p == other {
		other = w.people[1]
	}
	n := r.IntN(100)
	switch name {
	case "flow", "token", "id", "back":
		if hidden != "" && n < 93 {
			return hidden
		}
	case "identifier":
		return []string{p.name, p.name, strings.ToUpper(p.name), p.email, other.name, "nobody"}[min(r.IntN(7), 5)]
	case "password":
		return w.password(n, p, other)
	case "otp":
		return w.code(n, page, p, other)
	case "backup_code":
		return w.backup(n, r, p, other)
	case "passkey":
		if n < 8 {
			p = other
		}
		return w.passkey(r, page, p)
	case "new_password", "confirm_password":
		if n < 25 {
			w.passwords++
			return fmt.Sprintf("%s %d", []string{"a lantern over quiet water", "lantern", "quiet"}[n%3], w.passwords)
		}
		return []string{"short", "", p.password, "password1234567", other.password}[n%5]
	case "saved":
		return []string{"yes", "no", "no", "", "no"}[min(n/4, 4)]
	case "more":
		return []string{"yes", "later", "later", "later", "x"}[n%5]
	case "email":
		switch {
		case n < 40:
			w.passwords++
			return fmt.Sprintf("%s-%d@new.example", p.name, w.passwords)
		case n < 60:
			return p.email
		}
		return []string{other.email, "", "a@b", "a,b@c.example"}[n%4]
	case "language", "lang", "ui_locales":
		return []string{"en", "en", "ko", "xx"}[n%4]
	case "notice", "authenticator":
		return []string{"saved", "", "My phone"}[n%3]
	case "client":
		return "law"
	case "answer":
		return []string{"allow", "allow", "deny"}[n%3]
	case "grant_type":
		return []string{"authorization_code", "refresh_token", "password"}[n%3]
	case "way":
		return steps[n%len(steps)]
	case "client_id", "client_secret", "redirect_uri", "code_verifier":
		return map[string]string{"client_id": "app", "client_secret": clientSecret, "redirect_uri": "https://app.example/cb", "code_verifier": verifier}[name]
	case "prompt":
		return []string{"", "login", "none"}[n%3]
	}
	return w.pick(r, name)
}

func (w *world) password(n int, p, other *soul) string {
	switch {
	case n < 80:
		return p.password
	case n < 86:
		return other.password
	case n < 93 && len(p.old) > 0:
		return p.old[n%len(p.old)]
	}
	return []string{"wrong", "", "violet kettle"}[n%3]
}

// code is a code of an authenticator, right or not: of the one being set up, if
// the page shows one.
func (w *world) code(n int, page *hit, p, other *soul) string {
	now := w.Store.Now()
	if page != nil && n < 80 {
		if m := keyTag.FindStringSubmatch(page.body); m != nil {
			return account.ShowCode(readKey(m[1]), now)
		}
	}
	whose := p
	if n >= 93 {
		whose = other
	}
	ids := whose.inOrder()
	if len(ids) == 0 || n >= 97 {
		return []string{"000000", "12345", ""}[n%3]
	}
	ph, shift := whose.phones[ids[n%len(ids)]], 0
	switch {
	case n >= 76 && n < 80:
		shift = 1
	case n >= 80 && n < 84:
		shift = -1
	case n >= 84 && n < 86:
		shift = -2
	case n >= 86 && n < 89:
		return account.ShowCode(ph.key, time.Unix(ph.last*30, 0)) // used
	}
	return account.ShowCode(ph.key, now.Add(time.Duration(shift)*account.CodeEvery))
}

// backup is a backup code; each that could be one costs an argon2id hash.
func (w *world) backup(n int, r *rand.Rand, p, other *soul) string {
	switch {
	case n < 50 && len(p.codes) > 0:
		return p.codes[r.IntN(len(p.codes))]
	case n < 68 && len(p.burnt) > 0:
		return p.burnt[r.IntN(len(p.burnt))]
	case n < 72 && len(other.codes) > 0:
		return other.codes[0]
	case n < 74:
		return "0000-0000-00000"
	}
	return []string{"", "x", "123456"}[n%3]
}

// pick is something that was given out before, mostly of late, or garbage.
func (w *world) pick(r *rand.Rand, kind string) string {
	all := w.pools[kind]
	if len(all) == 0 || r.IntN(25) == 0 {
		return []string{"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "mdx_at_x.AAAA"}[r.IntN(4)]
	}
	back := min(r.IntN(len(all)), r.IntN(len(all)), r.IntN(6))
	return all[len(all)-1-back]
}

// give adds something to what was given out.
func (w *world) give(kind, v string) {
	if v != "" && !slices.Contains(w.pools[kind], v) {
		w.pools[kind] = append(w.pools[kind], v)
	}
}

// memo is the key of a judged password: of what hash, and which.
type memo [sha256.Size]byte

func memoOf(hash string, password []byte) memo {
	return sha256.Sum256([]byte(hash + "\x00" + string(password)))
}
