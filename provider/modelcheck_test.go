package provider

import (
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/flows/passkeytest"
	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/metrics"
	"github.com/medximity/idp/provider/store"
)

// quickHouse is newHouse with keys that are there already, with nobody in it,
// and a directory that judges each password once: a million requests must not
// hash a million times.
func quickHouse(t testing.TB, issuer string) *house {
	t.Helper()
	h := &house{t: t, issuer: issuer}
	log := slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st := newStore(t, "sqlite", func(string) {})
	h.db = strings.TrimPrefix(st.URL, "sqlite:")
	hasher := &account.Hasher{}
	signing, err := keys.Open(t.Context(), st, keys.Config{})
	h.ok(err)
	u, err := url.Parse(issuer)
	h.ok(err)
	people := remembering{store.People{Store: st, Hasher: hasher}, map[memo]bool{}}
	h.Provider, err = New(t.Context(), Config{Issuer: u, Store: st, Directory: people, Keys: signing, Hasher: hasher,
		Metrics: metrics.New(), Logger: log, From: "id@medximity.example", Require: account.Requirement{Roles: []string{"billing"}}})
	h.ok(err)
	h.ok(st.PutClient(t.Context(), store.Client{ID: "app", Name: "App", SecretHash: account.HashSecret(clientSecret),
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "offline_access"}}, "test"))
	return h
}

// remembering is the built-in directory, which judges a password once.
type remembering struct {
	store.People
	judged map[memo]bool
}

func (p remembering) VerifyPassword(ctx context.Context, l account.Lease, e *directory.Entry, password []byte) (directory.Verdict, error) {
	if e == nil {
		return directory.NoSuchUser, nil
	}
	m := memoOf(string(e.Handle), password)
	right, ok := p.judged[m]
	if !ok {
		v, err := p.People.VerifyPassword(ctx, l, e, password)
		if err != nil {
			return v, err
		}
		right = v == directory.OK
		p.judged[m] = right
	}
	switch {
	case !l.Valid() || l.Attempt().Subject != string(e.ID):
		return directory.Wrong, account.ErrNoLease
	case e.Disabled:
		return directory.Disabled, nil
	case right:
		return directory.OK, nil
	}
	return directory.Wrong, nil
}

// eye reads the database beside the provider.
type eye struct {
	conn    *sql.Conn
	version int64 // of what was read last
	mail    int64
	stmts   map[string]*sql.Stmt
}

// rows asks, once prepared for all questions to come.
func (e *eye) rows(query string, args ...any) (*sql.Rows, error) {
	st, ok := e.stmts[query]
	if !ok {
		var err error
		if st, err = e.conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		e.stmts[query] = st
	}
	return st.Query(args...)
}

func openEye(t *testing.T, file string) *eye {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), d.Close() })
	return &eye{conn: c, stmts: map[string]*sql.Stmt{}}
}

// state is all of two accounts that needs a reason to change.
type state struct {
	people   map[string]personRow
	phones   map[string]phoneRow
	keys     map[string]keyRow
	codes    map[string]codeRow
	sessions map[string]sessionRow
	grants   map[string]grantRow
	devices  map[string]deviceRow
}

type personRow struct {
	hash, email           string
	disabled              bool
	epoch, locked         int64
	wrongCodes, wrongPass int
}
type phoneRow struct {
	account string
	last    int64
}
type codeRow struct {
	account string
	used    int64
}
type deviceRow struct {
	account string
	locked  int64
}
type sessionRow struct {
	account, flow, acr, methods, device string
	epoch, auth, made, seen, idle, ends int64
}
type grantRow struct {
	client           string
	account, session string
	epoch, revoked   int64
}

// read returns the state, or nil if nothing was written since.
func (e *eye) read(t testing.TB, a, b account.ID) *state {
	t.Helper()
	ctx := context.Background()
	var version int64
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(e.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version))
	if version == e.version {
		return nil
	}
	e.version = version
	s := &state{map[string]personRow{}, map[string]phoneRow{}, map[string]keyRow{}, map[string]codeRow{}, map[string]sessionRow{}, map[string]grantRow{}, map[string]deviceRow{}}
	each := func(query string, row func(scan func(...any))) {
		rows, err := e.rows(query, a, b)
		check(err)
		defer func() { check(rows.Close()) }()
		for rows.Next() {
			row(func(to ...any) { check(rows.Scan(to...)) })
		}
		check(rows.Err())
	}
	each(`SELECT p.id, p.password_hash, p.email, p.disabled OR COALESCE(g.disabled, false), COALESCE(g.epoch, 0), COALESCE(g.locked_until, 0),
		COALESCE(g.code_wrong, 0), COALESCE(g.password_wrong, 0) FROM people p LEFT JOIN guards g ON g.subject = p.id WHERE p.id IN (?, ?)`,
		func(scan func(...any)) {
			var id string
			var r personRow
			scan(&id, &r.hash, &r.email, &r.disabled, &r.epoch, &r.locked, &r.wrongCodes, &r.wrongPass)
			s.people[id] = r
		})
	each(`SELECT subject, account, locked_until FROM guards WHERE account <> '' AND account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r deviceRow
		scan(&id, &r.account, &r.locked)
		s.devices[id] = r
	})
	each(`SELECT id, account, last_step FROM authenticators WHERE account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r phoneRow
		scan(&id, &r.account, &r.last)
		s.phones[id] = r
	})
	each(`SELECT id, account, lower(hex(credential)), used_at + counter FROM passkeys WHERE account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r keyRow
		scan(&id, &r.account, &r.credential, &r.used)
		s.keys[id] = r
	})
	each(`SELECT account || hex(hash), account, used_at FROM backup_codes WHERE account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r codeRow
		scan(&id, &r.account, &r.used)
		s.codes[id] = r
	})
	each(`SELECT lower(hex(id)), account, flow, acr, methods, known_device, epoch, auth_time, created_at, seen_at, idle, expires_at FROM sessions WHERE account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r sessionRow
		scan(&id, &r.account, &r.flow, &r.acr, &r.methods, &r.device, &r.epoch, &r.auth, &r.made, &r.seen, &r.idle, &r.ends)
		s.sessions[id] = r
	})
	each(`SELECT id, client, account, lower(hex(session)), epoch, revoked_at FROM grants WHERE account IN (?, ?)`, func(scan func(...any)) {
		var id string
		var r grantRow
		scan(&id, &r.client, &r.account, &r.session, &r.epoch, &r.revoked)
		s.grants[id] = r
	})
	return s
}

// world is a walk's people and browsers, and what the model knows of them.
type world struct {
	*model
	people    [2]*soul
	tabs      [3]*tab
	pools     map[string][]string
	trace     []string
	wrong     string // what went wrong, if anything did
	rule      string
	passwords int
	ask       url.Values // the authorization request that was made last

	was      *state
	flows    map[string]*flowFacts
	sessions map[string]*proof // by the row's ID
	links    map[string]*link  // by token
	codes    map[string]*handed
	access   map[string]*handed
	refresh  map[string]*handed
	families map[string]bool // of tokens, by grant: over
	idTokens map[string]*handed
	consents map[*soul]bool        // to the app of others
	pushed   map[string]url.Values // by request_uri
	answered map[string]bool       // of those: not by a page of ours
	fresh    string                // the code that was given out last
	said     map[string]*said      // by what a form was given
	former   []*passkeytest.Key    // that are nobody's any more
	mailed   []string              // the links of a change of address that was asked for
}

// flowFacts is what a flow's own browser proved in it.
type flowFacts struct {
	id, browser string
	born, ends  time.Time
	typed       string
	ask         url.Values // the app's request that it is for
	raises      *proof     // the session that it began in
	link        string     // of a reset
	key         []byte     // of the authenticator that its page shows
	codes       []string
	pwd, second map[*soul][]time.Time
	verified    map[*soul]bool // by a passkey, in the flow itself
	direct      map[*soul]bool // the password was given in the flow itself
	forApp      bool           // it raises the session for an app
	over        bool           // it gave its session
}

func (f *flowFacts) String() string {
	if f == nil {
		return "no flow of this browser"
	}
	s := "a flow of " + f.born.Format("15:04:05") + " that proved"
	for p, at := range f.pwd {
		s += fmt.Sprintf(" %s's password (typed: %v)", p.name, f.direct[p])
		for _, t := range at {
			s += t.Format(" 15:04:05")
		}
	}
	for p, at := range f.second {
		s += fmt.Sprintf(" and %s's second factor", p.name)
		for _, t := range at {
			s += t.Format(" 15:04:05")
		}
	}
	return s
}

// proof is a session and what was proven for it.
type proof struct {
	id     string
	who    *soul
	auth   time.Time
	second bool
	over   bool

	verified bool // by a passkey that knew its person
}

// link is a token that a mail brought.
type link struct {
	kind, path string
	who        *soul
	born       time.Time
	over       bool
	change     *change
}

// change is one of an e-mail address, under way.
type change struct {
	who  *soul
	said map[string]bool // which of the two links were confirmed
	over bool
}

// handed is what an app was given: a code or a token.
type handed struct {
	who     *soul
	session string
	grant   string
	client  string
	used    bool
}

func newWorld(m *model, strict bool) *world {
	n := m.walks
	w := &world{model: m, pools: map[string][]string{}, flows: map[string]*flowFacts{}, sessions: map[string]*proof{}, links: map[string]*link{},
		codes: map[string]*handed{}, access: map[string]*handed{}, refresh: map[string]*handed{}, families: map[string]bool{},
		idTokens: map[string]*handed{}, consents: map[*soul]bool{}, pushed: map[string]url.Values{}, answered: map[string]bool{}, said: map[string]*said{}}
	ctx := context.Background()
	for i, name := range []string{"grace", "edith"} {
		p := &soul{id: account.ID(fmt.Sprintf("id-%s-%d", name, n)), name: fmt.Sprintf("%s%d", name, n), password: "violet kettle for " + name, phones: map[string]*phone{}, keys: map[string]*held{}}
		p.email = p.name + "@river.example"
		hash, err := m.hashOf(p.password)
		m.ok(err)
		role := ""
		if p.required = name == "edith" && strict; p.required {
			role = "billing"
		}
		_, err = m.Store.AddPerson(ctx, store.NewPerson{ID: p.id, Role: role, Username: p.name, Email: p.email, EmailVerified: true, Hash: hash}, "test")
		m.ok(err)
		w.people[i] = p
	}
	w.equip(w.people[0])
	for i := range w.tabs {
		ip := netip.AddrFrom4([4]byte{100, byte(64 + n>>14), byte(n >> 6), byte(n<<2) | byte(i)})
		w.tabs[i] = &tab{name: string(rune('A' + i)), keeps: i < 2, from: ip.String() + ":4711", jar: map[string]string{}, known: map[*soul]int64{}}
	}
	m.eye.version = -1
	w.was = m.eye.read(m.t, w.people[0].id, w.people[1].id)
	w.newMails(nil)
	return w
}

// hashOf hashes a password that everybody of a name begins with, once.
func (m *model) hashOf(password string) (string, error) {
	if h := m.firsts[password]; h != "" {
		return h, nil
	}
	h, err := m.Hasher.Hash(context.Background(), []byte(password))
	m.firsts[password] = h
	return h, err
}

// equip gives somebody an authenticator and the ten codes of the model's set.
func (w *world) equip(p *soul) {
	ctx := context.Background()
	key := account.NewKey()
	_, err := w.Store.BringSecond(ctx, p.id, account.NewAuthenticator{Name: "Phone", Key: key}, "test")
	w.ok(err)
	all, err := w.Store.Authenticators(ctx, p.id)
	w.ok(err)
	p.phones[all[0].ID] = &phone{key: key}
	w.give("id", all[0].ID)
	_, err = w.eye.conn.ExecContext(ctx, "INSERT INTO backup_sets (account, salt, made_at) VALUES (?, ?, 0)", p.id, w.set.Salt)
	w.ok(err)
	for _, hash := range w.set.Unused {
		_, err = w.eye.conn.ExecContext(ctx, "INSERT INTO backup_codes (account, hash) VALUES (?, ?)", p.id, hash)
		w.ok(err)
	}
	p.codes = account.MakeBackupCodes(make([]byte, 32))
}

// inOrder are the authenticators as they were added: their IDs are random.
func (p *soul) inOrder() []string {
	return slices.SortedFunc(maps.Keys(p.phones), func(a, b string) int { return p.phones[a].nth - p.phones[b].nth })
}

func readKey(shown string) []byte {
	key, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(shown, " ", ""))
	return key
}

func (w *world) fail(rule, format string, args ...any) {
	if w.wrong == "" {
		w.rule, w.wrong = rule, fmt.Sprintf(format, args...)
	}
}

func (w *world) soul(id string) *soul {
	for _, p := range w.people {
		if string(p.id) == id {
			return p
		}
	}
	return nil
}

// named is whom an identifier names.
func (w *world) named(typed string) *soul {
	for _, p := range w.people {
		if n := account.Normalise(typed); n != "" && (n == p.name || n == account.Normalise(p.email)) {
			return p
		}
	}
	return nil
}

// live is the session that a cookie stands for, as the model has it, unless its
// time was over before the request.
func (w *world) live(cookie string) *proof {
	s := w.sessions[w.idOf(cookie)]
	if s == nil || s.over || !w.timely(w.was.sessions[s.id]) {
		return nil
	}
	return s
}

func (w *world) timely(s sessionRow) bool {
	now := w.Store.Now().UnixMicro()
	return s.ends > now && s.seen+s.idle > now
}

// idOf opens the cookie as the site does.
func (w *world) idOf(cookie string) string {
	if cookie == "" {
		return ""
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-mdx_session", Value: cookie})
	g, err := w.site.Sessions.New(r, "__Host-mdx_session")
	if err != nil || g.ID == "" {
		return ""
	}
	return hex.EncodeToString(account.HashSecret(g.ID))
}

// before notes what a request proves, if it is believed.
func (w *world) before(q *hit) {
	f := w.flows[q.value("flow")]
	if f == nil || q.browser == "" || f.browser != q.browser || q.foreign || q.method != "POST" || !strings.HasPrefix(q.path, "/login/") {
		return
	}
	if id := q.form.Get("identifier"); account.Normalise(id) != "" && len(id) <= 320 {
		f.typed = id
	}
	w.usedKey(q, f)
	for _, p := range w.people {
		mine := f.raises == nil && (w.named(f.typed) == p || len(f.second[p]) > 0) || f.raises != nil && f.raises.who == p
		if mine && q.form.Get("password") == p.password {
			f.pwd[p] = append(f.pwd[p], q.at)
			f.direct[p] = true
		}
		if len(f.pwd[p]) == 0 && !mine {
			continue
		}
		otp, _ := account.NormalCode(q.form.Get("otp"))
		for _, ph := range p.phones {
			if step, ok := account.ConfirmCode(ph.key, otp, q.at); ok && step > ph.last {
				f.second[p] = append(f.second[p], q.at)
			}
		}
		if code, ok := account.NormalBackupCode(q.form.Get("backup_code")); ok && hasCode(p.codes, code) {
			f.second[p] = append(f.second[p], q.at)
		}
	}
}

func hasCode(all []string, normal string) bool {
	return slices.ContainsFunc(all, func(c string) bool { n, _ := account.NormalBackupCode(c); return n == normal })
}

// after judges an answer and what it changed.
func (w *world) after(q *hit) {
	if q.status >= 500 {
		w.fail("no faults", "%d: %s", q.status, w.log.String())
	}
	opened := w.live(q.session) // as it was when the request came
	w.newMails(q)
	w.look(q)
	w.cookies(q)
	w.answers(q, opened)
	w.endings(q, opened)
	w.extended(q)
	w.survivors()
	w.learnFlow(q, opened)
}

// look compares the database with what it was, and wants a reason for each
// difference. Without a request nothing but an operator has one.
func (w *world) look(q *hit) {
	now := w.eye.read(w.t, w.people[0].id, w.people[1].id)
	if now == nil {
		return
	}
	before := w.was
	w.was = now
	for _, p := range w.people {
		w.lookAtPerson(q, p, before, now)
	}
	for _, id := range slices.Sorted(maps.Keys(now.sessions)) {
		if _, had := before.sessions[id]; !had {
			w.newSession(q, id, now.sessions[id], before)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.grants)) {
		if _, had := before.grants[id]; !had {
			w.newGrant(q, id, now.grants[id])
		}
	}
	w.survivors()
}

func (w *world) lookAtPerson(q *hit, p *soul, before, now *state) {
	id := string(p.id)
	was, is := before.people[id], now.people[id]
	if was.hash != is.hash {
		w.newPassword(q, p)
	}
	w.phonesOf(q, p, before, now)
	w.keysOf(q, p, before, now)
	w.codesOf(q, p, before, now)
	if was.email != is.email {
		w.newEmail(q, p, is.email)
	}
	if is.disabled && !was.disabled {
		w.void(p, nil, nil)
	}
	if is.wrongCodes >= account.MaxWrongCodes && was.wrongCodes < account.MaxWrongCodes {
		w.seen["second factor held"]++
		w.void(p, nil, nil)
	}
	if is.locked > was.locked {
		w.seen["locked"]++
		w.endedByLock(p, "")
	}
	for row, d := range now.devices {
		if d.account == id && d.locked > before.devices[row].locked {
			w.seen["known device locked"]++
			w.endedByLock(p, row)
		}
	}
	// What itself makes all proofs void goes on in its browser, if that was known.
	if q != nil && was.epoch < is.epoch && (w.bound(q) != nil || q.path == "/reset-password") && w.knows(q.tab, p, was) {
		q.tab.known[p] = is.epoch
	}
}

// endedByLock ends what flows proved before a lock: it buys nothing after it. The
// account's lock, of no device, ends what no known device proved; a device's own,
// what that one did.
func (w *world) endedByLock(p *soul, device string) {
	for _, f := range w.flows {
		if len(f.pwd[p])+len(f.second[p]) > 0 && w.eye.deviceOf(w.t, f.id) == device {
			delete(f.pwd, p)
			delete(f.second, p)
			delete(f.verified, p)
		}
	}
}

// deviceOf is the known device that a flow says it was proven by.
func (e *eye) deviceOf(t testing.TB, flow string) (device string) {
	t.Helper()
	err := e.conn.QueryRowContext(context.Background(), "SELECT device FROM flows WHERE id = ?", flow).Scan(&device)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return device
}

// knows reports whether a person completed a sign-in in a browser, in the epoch
// of their proofs that was then, and whether that is more than nothing.
func (w *world) knows(t *tab, p *soul, was personRow) bool {
	epoch, ok := t.known[p]
	return w.KnownDevices && t.keeps && ok && epoch == was.epoch
}

// void ends all that was proven of somebody, but in one flow and its session.
func (w *world) void(p *soul, but *flowFacts, keep *proof) {
	for _, f := range w.flows {
		if f != but {
			delete(f.pwd, p)
			delete(f.second, p)
			delete(f.direct, p)
			delete(f.verified, p)
		}
	}
	for _, s := range w.sessions {
		if s.who == p && s != keep {
			s.over = true
		}
	}
	for id, g := range w.was.grants {
		if g.account == string(p.id) {
			w.families[id] = true
		}
	}
}

// bound is the request's flow, if it came from the flow's own browser, by a
// form of ours, in time.
func (w *world) bound(q *hit) *flowFacts {
	if q == nil || q.method != "POST" || q.foreign || q.browser == "" {
		return nil
	}
	f := w.flows[q.value("flow")]
	if f == nil || f.browser != q.browser || !q.at.Before(f.ends) {
		return nil
	}
	return f
}

// knows is the flow's owner: whose password it has.
func (f *flowFacts) knows(p *soul) bool { return f != nil && len(f.pwd[p]) > 0 }

// fresh reports whether all that was proven is so lately, in the flow or
// before it.
func (f *flowFacts) fresh(all []time.Time) bool {
	return slices.ContainsFunc(all, func(t time.Time) bool { return f.born.Sub(t) < freshFor })
}

func (w *world) newPassword(q *hit, p *soul) {
	f := w.bound(q)
	var typed string
	if q != nil {
		typed = q.form.Get("new_password")
	}
	switch {
	case f == nil || q.form.Get("confirm_password") != typed:
		w.fail("new password", "of %s, without a flow of this browser", p.name)
		return
	case q.path == "/reset-password":
		l := w.links[f.link]
		if l == nil || l.kind != "reset" || l.who != p || l.over || !q.at.Before(l.born.Add(account.LinkFor)) {
			w.fail("new password", "of %s, by the link %+v", p.name, l)
			return
		}
		l.over = true
		w.seen["password reset"]++
		w.void(p, nil, nil)
	case strings.HasPrefix(q.path, "/login/"):
		if !f.knows(p) || !f.direct[p] && !(f.verified[p] && f.raises == nil) || w.enrolled(p) && !f.fresh(f.second[p]) {
			w.fail("new password", "of %s, in %s", p.name, f)
			return
		}
		w.seen["password changed"]++
		w.void(p, f, f.raises)
	default:
		w.fail("new password", "of %s by %s", p.name, q.path)
		return
	}
	for _, l := range w.links {
		l.over = l.over || l.who == p && l.kind == "reset"
	}
	p.old = append(p.old, p.password)
	p.password = typed
}

// enrolled reports whether somebody had a second factor before the request.
func (w *world) enrolled(p *soul) bool { return len(p.phones)+len(p.keys) > 0 }

func (w *world) phonesOf(q *hit, p *soul, before, now *state) {
	f := w.bound(q)
	for _, id := range slices.Sorted(maps.Keys(now.phones)) {
		is, was := now.phones[id], before.phones[id]
		switch {
		case is.account != string(p.id):
		case was.account == "":
			w.newPhone(q, f, p, id, is)
		case is.last != was.last:
			ph := p.phones[id]
			otp := ""
			if q != nil {
				otp, _ = account.NormalCode(q.form.Get("otp"))
			}
			if f == nil || is.last <= was.last || account.ShowCode(ph.key, time.Unix(is.last*30, 0)) != otp || !near(is.last, q.at) || !f.knows(p) {
				w.fail("a code is good once", "%s: step %d after %d", p.name, is.last, was.last)
			}
			ph.last = is.last
			w.seen["code accepted"]++
		}
	}
	for id, was := range before.phones {
		if _, has := now.phones[id]; !has && was.account == string(p.id) {
			w.lostPhone(q, p, id)
		}
	}
}

func near(step int64, at time.Time) bool {
	d := step - at.Unix()/30
	return d >= -1 && d <= 1
}

func (w *world) newPhone(q *hit, f *flowFacts, p *soul, id string, is phoneRow) {
	var otp string
	if q != nil {
		otp, _ = account.NormalCode(q.form.Get("otp"))
	}
	step, shown := int64(0), false
	if f != nil && f.key != nil {
		step, shown = account.ConfirmCode(f.key, otp, q.at)
	}
	if !shown || step != is.last || !f.knows(p) || !f.fresh(f.pwd[p]) || w.enrolled(p) && !f.fresh(f.second[p]) {
		w.fail("new authenticator", "of %s, in %s", p.name, f)
		return
	}
	w.passwords++
	p.phones[id] = &phone{nth: w.passwords, key: f.key, last: step}
	f.second[p] = append(f.second[p], q.at)
	w.give("id", id)
	w.seen["authenticator added"]++
	w.void(p, f, f.raises)
}

func (w *world) lostPhone(q *hit, p *soul, id string) {
	delete(p.phones, id)
	if q == nil { // an operator
		w.void(p, nil, nil)
		return
	}
	s := w.live(q.session)
	if q.method != "POST" || q.foreign || q.path != "/account/security/authenticators/remove" || s == nil || s.who != p || !s.second || q.at.Sub(s.auth) >= freshFor {
		w.fail("an authenticator is gone", "of %s", p.name)
	}
	if p.required && !w.enrolled(p) {
		w.fail("the last authenticator is gone", "of %s", p.name)
	}
	w.seen["authenticator removed"]++
	w.void(p, nil, s)
}

func (w *world) codesOf(q *hit, p *soul, before, now *state) {
	burnt, made, gone := 0, 0, 0
	for id, is := range now.codes {
		was, had := before.codes[id]
		switch {
		case is.account != string(p.id):
		case !had:
			made++
		case was.used == 0 && is.used > 0:
			burnt++
		case was.used != is.used:
			w.fail("a code is good once", "a backup code of %s is good again", p.name)
		}
	}
	for id, was := range before.codes {
		if _, has := now.codes[id]; !has && was.account == string(p.id) {
			gone++
		}
	}
	if burnt > 0 {
		w.burn(q, p, burnt)
	}
	if made > 0 {
		w.newCodes(q, p)
	} else if gone > 0 {
		p.codes = nil
		if q != nil && (!strings.HasPrefix(q.path, "/account/security/") || !strings.HasSuffix(q.path, "/remove") || w.enrolled(p)) {
			w.fail("backup codes are gone", "of %s", p.name)
		}
	}
}

func (w *world) burn(q *hit, p *soul, n int) {
	f := w.bound(q)
	if n != 1 || f == nil || !f.knows(p) {
		w.fail("a code is good once", "%d backup codes of %s used up", n, p.name)
		return
	}
	code, _ := account.NormalBackupCode(q.form.Get("backup_code"))
	i := slices.IndexFunc(p.codes, func(c string) bool { n, _ := account.NormalBackupCode(c); return n == code })
	if i < 0 {
		w.fail("a code is good once", "%s of %s is not one that is left", code, p.name)
		return
	}
	p.burnt = append(p.burnt, p.codes[i])
	p.codes = slices.Delete(slices.Clone(p.codes), i, i+1)
	w.seen["backup code used"]++
}

func (w *world) newCodes(q *hit, p *soul) {
	f := w.bound(q)
	// Where an app wants a second factor beside a session by one, the password
	// of that session counts, however long ago it was given.
	if !f.knows(p) || !f.fresh(f.pwd[p]) && !f.forApp || !f.fresh(f.second[p]) {
		w.fail("new backup codes", "of %s, in %s", p.name, f)
		return
	}
	p.burnt = append(p.burnt, p.codes...)
	p.codes = f.codes // nil if no page showed them
	w.seen["backup codes made"]++
}

func (w *world) newEmail(q *hit, p *soul, email string) {
	var l *link
	if q != nil && q.method == "POST" && !q.foreign && q.path == "/confirm-email" {
		l = w.links[q.form.Get("token")]
	}
	if l == nil || l.change == nil || l.change.who != p || l.change.over || len(l.change.said) != 1 || l.change.said[l.kind] {
		w.fail("new e-mail address", "%s of %s by %+v", email, p.name, l)
		return
	}
	l.change.over = true
	p.email = email
	w.seen["e-mail changed"]++
	for _, l := range w.links {
		l.over = l.over || l.who == p && l.kind == "reset"
	}
}

// newSession wants the proofs of a session, in its own flow and browser.
func (w *world) newSession(q *hit, id string, s sessionRow, before *state) {
	p, f := w.soul(s.account), w.bound(q)
	auth := time.UnixMicro(s.auth).UTC()
	switch {
	case f == nil || f.id != s.flow || !strings.HasPrefix(q.path, "/login/") || f.link != "":
		w.fail("a session without its flow", "of %s", p.name)
		return
	case f.over:
		w.fail("a flow gives one session", "of %s", p.name)
		return
	case !f.knows(p):
		w.fail("a session without a password", "of %s, in %s", p.name, f)
		return
	case (w.enrolled(p) || flows.TwoFactors(s.acr) || strings.Contains(s.methods, "otp") || strings.Contains(s.methods, "user")) && len(f.second[p]) == 0:
		w.fail("a session without a second factor", "of %s, in %s", p.name, f)
		return
	case (w.enrolled(p) || p.required) && !flows.TwoFactors(s.acr):
		w.fail("a session by one factor", "of %s", p.name)
		return
	case s.acr == flows.ACRPhr && !f.verified[p] && (f.raises == nil || !f.raises.verified):
		w.fail("a session by a passkey", "of %s, in %s", p.name, f)
		return
	case !slices.Contains(append(slices.Clone(f.pwd[p]), f.second[p]...), auth) || auth.After(slices.MaxFunc(f.pwd[p], time.Time.Compare)):
		w.fail("auth_time", "%s of %s, proven at %v and %v", auth, p.name, f.pwd[p], f.second[p])
		return
	case s.device != "" && !w.knows(q.tab, p, w.was.people[s.account]):
		w.fail("a session of a known device", "of %s, who is not known there", p.name)
		return
	case before.people[s.account].locked > q.at.UnixMicro() && s.device == "" || before.people[s.account].disabled:
		w.fail("a session of a locked account", "of %s", p.name)
		return
	case before.devices[s.device].locked > q.at.UnixMicro():
		w.fail("a session of a locked device", "of %s", p.name)
		return
	case s.idle > time.Hour.Microseconds() || s.ends-s.made > 12*time.Hour.Microseconds():
		w.fail("a session for too long", "of %s", p.name)
		return
	}
	if f.over = true; f.raises != nil {
		if f.raises.over || f.raises.who != p {
			w.fail("a session raised", "of %s, from one that is over", p.name)
		}
		f.raises.over = true
		w.seen["session raised"]++
	}
	if old := w.live(q.session); old != nil && f.raises == nil {
		old.over = true
	}
	if before.people[s.account].locked > q.at.UnixMicro() {
		w.seen["signed in through a lock"]++
	}
	q.tab.known[p] = w.was.people[s.account].epoch
	w.sessions[id] = &proof{id: id, who: p, auth: auth, second: len(f.second[p]) > 0, verified: s.acr == flows.ACRPhr}
	if w.seen["session"]++; flows.TwoFactors(s.acr) {
		w.seen["session by two factors"]++
	}
	switch {
	case s.acr == flows.ACRPhr:
		w.seen["session by a passkey that knows its person"]++
	case strings.Contains(s.methods, "user") && strings.Contains(s.methods, "pwd"):
		w.seen["session by a passkey and the password"]++
	}
}

// newGrant wants the code of a grant, which was not used before.
func (w *world) newGrant(q *hit, id string, g grantRow) {
	var c *handed
	if q != nil && q.method == "POST" && q.path == "/token" && q.form.Get("grant_type") == "authorization_code" {
		c = w.codes[q.form.Get("code")]
	}
	switch {
	case c == nil || c.used || c.who != w.soul(g.account) || c.client != q.form.Get("client_id") || q.form.Get("client_secret") != clientSecret || q.form.Get("code_verifier") != verifier:
		w.fail("a grant without its code", "of %s by %+v", g.account, c)
		return
	case w.sessions[g.session] == nil || w.sessions[g.session].over || c.session != g.session:
		w.fail("a grant without its session", "of %s by %+v", g.account, c)
		return
	}
	if c.client == "law" && !w.consents[c.who] {
		w.fail("a grant without consent", "of %s", g.account)
	}
	c.used, c.grant = true, id
	w.seen["grant"]++
}

// cookies wants the session's cookie to be that of the row that was made.
func (w *world) cookies(q *hit) {
	v := q.set["__Host-mdx_session"]
	if v == "" {
		return
	}
	if s := w.sessions[w.idOf(v)]; s == nil || s.over || w.was.sessions[s.id].made != q.at.UnixMicro() {
		w.fail("a cookie without its session", "%+v", s)
	}
	w.give("session", v)
}

var appCode = regexp.MustCompile(`name="code" value="([^"]+)"`)

// answers judges what an app or a page was told.
func (w *world) answers(q *hit, opened *proof) {
	if u, err := url.Parse(q.to); err == nil && u.Host != "" {
		if u.Host != "app.example" {
			w.fail("redirect", "to %s", q.to)
		} else if u.Query().Has("code") {
			w.newCode(q, u.Query().Get("code"), opened)
		}
	} else if m := appCode.FindStringSubmatch(q.body); m != nil && strings.Contains(q.body, `action="https://app.example/cb"`) {
		w.newCode(q, m[1], opened)
	}
	switch {
	case q.path == "/token" && q.status == http.StatusOK && q.method == "POST":
		w.tokens(q)
	case q.path == "/introspect" && q.status == http.StatusOK && q.method == "POST":
		w.introspected(q)
	case q.path == "/par" && q.status == http.StatusCreated:
		w.newPush(q)
	case q.path == "/userinfo" && q.status == http.StatusOK && q.method != "OPTIONS":
		w.userinfo(q)
	case strings.HasPrefix(q.path, "/account") && q.status == http.StatusOK:
		if opened == nil {
			w.fail("a page without a session", "%s", q.path)
		} else if q.path == "/account/security" && q.method == "GET" && !strings.Contains(q.body, opened.who.name) {
			w.fail("a page of somebody else", "not %s", opened.who.name)
		}
		for _, m := range idField.FindAllStringSubmatch(q.body, -1) {
			w.give("id", m[1]+m[2])
		}
	}
}

// newCode wants a code to be of the session that the browser has.
func (w *world) newCode(q *hit, code string, opened *proof) {
	for _, client := range []string{"app", "mfa", "law"} {
		c, err := w.oidc.openCode(code, client)
		if err != nil {
			continue
		}
		s := w.sessions[hex.EncodeToString([]byte(c.Session))]
		made := s != nil && w.was.sessions[s.id].made == q.at.UnixMicro() && w.idOf(q.set["__Host-mdx_session"]) == s.id
		if s == nil || s.over || s != opened && !made || c.Account != s.who.id || !c.AuthTime.Equal(s.auth) {
			w.fail("a code without its session", "%+v of %+v, with %+v", c, s, opened)
			return
		}
		if (client == "mfa" || flows.TwoFactors(c.ACR) || q.path == "/authorize" && q.query.Get("acr_values") == flows.ACR2FA) && !s.second {
			w.fail("a code without a second factor", "of %s", s.who.name)
		}
		w.newAnswer(q, client, s.who)
		w.codes[code] = &handed{who: s.who, session: s.id, client: client}
		w.give("code", code)
		w.fresh = code
		w.seen["code for an app"]++
		return
	}
	w.fail("a code of nobody", "%s", code)
}

func (w *world) newPush(q *hit) {
	var got struct {
		URI string `json:"request_uri"`
	}
	if json.Unmarshal([]byte(q.body), &got) != nil || w.pushed[got.URI] != nil || q.form.Get("client_secret") != clientSecret {
		w.fail("an answer to a push", "%s", q.body)
		return
	}
	w.pushed[got.URI] = q.form
	w.give("request_uri", got.URI)
}

// newAnswer wants an app of others to have been allowed its code, and a pushed
// request to be answered once.
func (w *world) newAnswer(q *hit, client string, who *soul) {
	switch {
	case client != "law":
	case q.method == "POST" && !q.foreign && q.path == "/consent" && q.form.Get("answer") == "allow":
		w.consents[who] = true
		w.seen["consent given"]++
	case !w.consents[who] || q.path == "/authorize" && strings.Contains(w.askOf(q).Get("prompt"), "consent"):
		w.fail("a code without consent", "of %s", who.name)
	}
	uri := q.query.Get("request_uri")
	if q.path != "/authorize" || uri == "" {
		return
	}
	if w.answered[uri] || w.pushed[uri].Get("client_id") != client {
		w.fail("a pushed request is answered once", "%s", uri)
	}
	w.answered[uri] = true
	w.seen["pushed request answered"]++
}

// askOf is the app's request that a request of the browser is about.
func (w *world) askOf(q *hit) url.Values {
	switch {
	case q.path == "/authorize" && w.pushed[q.query.Get("request_uri")] != nil:
		return w.pushed[q.query.Get("request_uri")]
	case q.path == "/authorize":
		return q.query
	}
	if f := w.flows[q.value("flow")]; f != nil {
		return f.ask
	}
	return nil
}

func (w *world) tokens(q *hit) {
	var got struct {
		ID      string `json:"id_token"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal([]byte(q.body), &got) != nil || got.Access == "" {
		w.fail("an answer of the token endpoint", "%s", q.body)
		return
	}
	var from *handed
	switch q.form.Get("grant_type") {
	case "authorization_code":
		if from = w.codes[q.form.Get("code")]; from == nil || !from.used || w.was.grants[from.grant].account == "" || slices.Contains(w.pools["redeemed"], q.form.Get("code")) {
			w.fail("a code is good once", "%+v", from)
			return
		}
		w.give("redeemed", q.form.Get("code"))
	case "refresh_token":
		if from = w.refresh[q.form.Get("refresh_token")]; from == nil || from.used {
			w.fail("a refresh token is good once", "%+v", from)
			return
		}
		from.used = true
		w.seen["refreshed"]++
	}
	if from == nil || w.families[from.grant] || from.client != q.form.Get("client_id") {
		w.fail("tokens of nothing", "%+v", from)
		return
	}
	w.access[got.Access] = &handed{who: from.who, grant: from.grant, client: from.client}
	w.give("access_token", got.Access)
	if got.ID != "" {
		w.idTokens[got.ID] = &handed{who: from.who, grant: from.grant, client: from.client}
		w.give("id_token_hint", got.ID)
	}
	if got.Refresh != "" {
		w.refresh[got.Refresh] = &handed{who: from.who, grant: from.grant, client: from.client}
		w.give("refresh_token", got.Refresh)
	}
}

func (w *world) userinfo(q *hit) {
	token := strings.TrimPrefix(q.auth, "Bearer ")
	if q.form.Has("access_token") {
		token = q.form.Get("access_token")
	}
	a := w.access[token]
	if a == nil || w.families[a.grant] || w.was.grants[a.grant].revoked > 0 || !strings.Contains(q.body, `"`+string(a.who.id)+`"`) {
		w.fail("userinfo", "%s by %+v", q.body, a)
		return
	}
	w.seen["userinfo"]++
}

// introspected: what is told to be live is.
func (w *world) introspected(q *hit) {
	if !strings.Contains(q.body, `"active":true`) {
		return
	}
	a := w.access[q.form.Get("token")]
	if a == nil {
		a = w.refresh[q.form.Get("token")]
	}
	if a == nil || a.used || w.families[a.grant] || w.was.grants[a.grant].revoked > 0 || q.form.Get("client_id") != "api" {
		w.fail("introspection", "%s by %+v", q.body, a)
		return
	}
	w.seen["introspected"]++
}

// endedByApp: an app that shows an ID token ends the session that it is of, which
// is the browser's own if it has one; a hint at another one ends nothing unasked.
func (w *world) endedByApp(q *hit, opened *proof) {
	h := w.idTokens[q.query.Get("id_token_hint")]
	ended, left := q.set["__Host-mdx_session"]
	if h == nil || q.status != http.StatusOK || opened != nil && !(left && ended == "") {
		return
	}
	session := w.was.grants[h.grant].session
	if opened != nil && session != opened.id {
		w.fail("an app ends another session", "%+v, not %+v", opened, h)
		return
	}
	if s := w.sessions[session]; s != nil {
		s.over = true
	}
	w.endFamilies(func(g grantRow) bool { return g.session == session })
	w.seen["ended by an app"]++
}

// endings marks what the request ended by its own words.
func (w *world) endings(q *hit, opened *proof) {
	post := q.method == "POST" && !q.foreign
	switch {
	case post && q.path == "/logout" && opened != nil:
		opened.over = true
		w.endFamilies(func(g grantRow) bool { return g.session == opened.id })
	case post && q.path == "/account/sessions/end-others" && opened != nil && strings.Contains(q.to, "sessions_ended"):
		for _, s := range w.sessions {
			s.over = s.over || s.who == opened.who && s != opened
		}
		w.endFamilies(func(g grantRow) bool { return g.account == string(opened.who.id) && g.session != opened.id })
	case q.path == "/end-session" && q.method == "GET":
		w.endedByApp(q, opened)
	case post && q.path == "/account/apps/withdraw" && opened != nil && strings.Contains(q.to, "notice="):
		if q.form.Get("client") == "law" && w.consents[opened.who] {
			w.consents[opened.who] = false
			w.endFamilies(func(g grantRow) bool { return g.account == string(opened.who.id) && g.client == "law" })
			w.seen["consent withdrawn"]++
		}
	case post && q.path == "/not-me" && q.status == http.StatusOK:
		l := w.links[q.form.Get("token")]
		if l == nil || l.kind != "not_me" || l.over {
			w.fail("this was not me", "by %+v", l)
			return
		}
		l.over = true
		w.seen["disavowed"]++
		w.void(l.who, nil, nil)
	case post && q.path == "/reset-password/cancel" && q.status == http.StatusOK:
		w.cancelled(q, "cancel")
	case post && q.path == "/confirm-email/cancel" && q.status == http.StatusOK:
		w.cancelled(q, "email_cancel")
	case post && q.path == "/confirm-email" && q.status == http.StatusOK:
		if l := w.links[q.form.Get("token")]; l == nil || l.change == nil || l.change.said[l.kind] {
			w.fail("a link is good once", "%+v", l)
		} else {
			l.change.said[l.kind] = true
			w.seen["address confirmed"]++
		}
	case q.method == "POST" && q.path == "/revoke" && q.status == http.StatusOK:
		if h := w.refresh[q.form.Get("token")]; h != nil && h.client == q.form.Get("client_id") {
			w.families[h.grant] = true
		}
	case q.method == "POST" && q.path == "/token" && q.status == http.StatusBadRequest && q.form.Get("client_secret") == clientSecret:
		w.replayed(q)
	}
	for id, g := range w.was.grants {
		if g.revoked > 0 {
			w.families[id] = true
		}
	}
}

// replayed: a refresh token that comes again ends its family.
func (w *world) replayed(q *hit) {
	if h := w.refresh[q.form.Get("refresh_token")]; h != nil && q.form.Get("grant_type") == "refresh_token" && h.used && h.client == q.form.Get("client_id") {
		w.families[h.grant] = true
	}
}

func (w *world) endFamilies(which func(grantRow) bool) {
	for id, g := range w.was.grants {
		if which(g) {
			w.families[id] = true
		}
	}
}

func (w *world) cancelled(q *hit, kind string) {
	l := w.links[q.form.Get("token")]
	if l == nil || l.kind != kind || l.over {
		w.fail("a link is good once", "cancelled by %+v", l)
		return
	}
	l.over = true
	if l.change != nil {
		l.change.over = true
		return
	}
	for _, other := range w.links { // the link of the same mail
		other.over = other.over || other.kind == "reset" && other.who == l.who && other.born.Equal(l.born)
	}
}

// survivors: no session that the model knows to be over is live in the database.
func (w *world) survivors() {
	for id, s := range w.was.sessions {
		g := w.was.people[s.account]
		if !w.timely(s) || s.epoch != g.epoch || g.disabled {
			continue
		}
		if p := w.sessions[id]; p == nil || p.over {
			w.fail("a session lives on", "of %s", s.account)
		}
	}
}

var flowAt = regexp.MustCompile(`[?&]flow=([A-Za-z0-9_-]{43})`)

// extended holds who asks for more time to what a flow may have of it.
func (w *world) extended(q *hit) {
	if q.path != "/login/extend" || !strings.Contains(q.to, "notice=extended") {
		return
	}
	f, ends := w.bound(q), q.at.Add(flows.LoginFor)
	if f == nil || f.link != "" || f.over || ends.After(f.born.Add(flows.LoginAtMost)) {
		w.fail("more time", "until %s for %s", ends.Format(time.DateTime), f)
		return
	}
	f.ends = ends
	w.seen["more time"]++
}

// learnFlow notes a flow that an answer names for the first time, and what its
// pages show.
func (w *world) learnFlow(q *hit, opened *proof) {
	id := ""
	if m := flowAt.FindStringSubmatch(q.to); m != nil {
		id = m[1]
	} else if m := hiddenFlow.FindStringSubmatch(q.body); m != nil {
		id = m[1]
	}
	if len(id) != 43 || q.value("flow") == id && w.flows[id] == nil {
		return
	}
	f := w.flows[id]
	if f == nil {
		browser := q.browser
		if v := q.set["__Host-mdx_browser"]; v != "" {
			browser = v
		}
		f = &flowFacts{id: id, browser: browser, born: q.at, ends: q.at.Add(flows.LoginFor), pwd: map[*soul][]time.Time{}, second: map[*soul][]time.Time{}, direct: map[*soul]bool{}, verified: map[*soul]bool{}}
		f.ask = w.askOf(q)
		w.flows[id] = f
		w.give("flow", id)
		w.begun(q, f, opened)
	}
	if m := keyTag.FindStringSubmatch(q.body); m != nil && f.browser == q.browser {
		f.key = readKey(m[1])
	}
	if all := codeTag.FindAllStringSubmatch(q.body, -1); len(all) == account.BackupCodes {
		f.codes = nil
		for _, m := range all {
			f.codes = append(f.codes, m[1])
		}
	}
}

// begun notes what a flow begins with: a link, or what a live session proved,
// as far as that may count.
func (w *world) begun(q *hit, f *flowFacts, s *proof) {
	if q.path == "/reset-password" && q.query.Get("token") != "" {
		f.link = q.query.Get("token")
		return
	}
	resumes := q.path == "/login/continue" && f.ask != nil
	if s == nil || strings.HasPrefix(q.path, "/login") && !resumes || q.path == "/" || strings.Contains(f.ask.Get("prompt"), "select_account") {
		return
	}
	f.raises = s
	fresh := q.at.Sub(s.auth) < freshFor
	password, second := false, false
	switch q.path {
	case "/authorize", "/login/continue":
		most, err := strconv.Atoi(f.ask.Get("max_age"))
		anew := strings.Contains(f.ask.Get("prompt"), "login") ||
			err == nil && (most == 0 || q.at.Sub(s.auth.Truncate(time.Second)) > time.Duration(most)*time.Second)
		password = !anew && (fresh || w.enrolled(s.who))
		second, f.forApp = password, password
	case "/account/security/password":
		second = fresh
	case "/account/security/authenticators", "/account/security/passkeys", "/account/security/backup-codes":
		password, second = fresh, fresh
	}
	if password {
		f.pwd[s.who] = []time.Time{s.auth}
	}
	if second && s.second {
		f.second[s.who] = []time.Time{s.auth}
	}
}

// newMails reads what was queued: whom it is about, and the tokens in it.
func (w *world) newMails(q *hit) {
	type mail struct {
		id, template, subject string
		data                  []byte
	}
	var all []mail
	rows, err := w.eye.rows("SELECT rowid, id, template, subject, data FROM mails WHERE rowid > ?", w.eye.mail)
	w.ok(err)
	for rows.Next() {
		var m mail
		w.ok(rows.Scan(&w.eye.mail, &m.id, &m.template, &m.subject, &m.data))
		all = append(all, m)
	}
	w.ok(rows.Close())
	var ch *change
	for _, m := range all {
		plain, err := w.Store.Ring.Open(m.data, "mails", "data", m.id)
		w.ok(err)
		var data map[string]any
		w.ok(json.Unmarshal(plain, &data))
		w.newMail(q, m.template, w.soul(m.subject), data, &ch)
	}
}

func (w *world) newMail(q *hit, template string, p *soul, data map[string]any, ch **change) {
	if p == nil {
		return // about nobody: it is dropped
	}
	at := w.Store.Now()
	note := func(name, kind, path string) {
		if v, ok := data[name].(string); ok {
			w.links[v] = &link{kind: kind, path: path, who: p, born: at, change: *ch}
			w.give("token", v)
		}
	}
	switch template {
	case "reset":
		if q == nil || q.method != "POST" || q.foreign || q.path != "/forgot-password" || account.Normalise(q.form.Get("email")) != account.Normalise(p.email) {
			w.fail("a reset link", "for %s", p.name)
		}
		for _, l := range w.links {
			l.over = l.over || l.who == p && (l.kind == "reset" || l.kind == "cancel")
		}
		note("token", "reset", "/reset-password")
		note("cancel", "cancel", "/reset-password/cancel")
	case "email_confirm_old", "email_confirm_new":
		if *ch == nil {
			s := w.live(q.session)
			if q.method != "POST" || q.foreign || q.path != "/account/email" || s == nil || s.who != p || q.at.Sub(s.auth) >= freshFor || w.enrolled(p) && !s.second {
				w.fail("a change of address", "of %s with %+v", p.name, s)
			}
			for _, l := range w.links {
				if l.change != nil && l.who == p {
					l.change.over = true
				}
			}
			*ch = &change{who: p, said: map[string]bool{}}
			w.seen["change of address asked for"]++
		}
		note("token", template, "/confirm-email")
		w.mailed = append(w.mailed, data["token"].(string))
		note("cancel", "email_cancel", "/confirm-email/cancel")
	default:
		note("not_me", "not_me", "/not-me")
	}
}

// operate does what an operator may: it needs no proof, and ends what it says.
func (w *world) operate(n int) {
	ctx, p := context.Background(), w.people[n%2]
	var err error
	switch n / 2 {
	case 0:
		err = w.Store.SetDisabled(ctx, p.id, !w.was.people[string(p.id)].disabled, "operator")
	case 1:
		_, err = w.Store.VoidBackupCodes(ctx, p.id, "operator")
	case 2:
		_, err = w.Store.ResetSecond(ctx, p.id, account.BySupport, "operator")
	case 3:
		err = w.besiege(account.Attempt{Subject: string(p.id), Factor: account.Password, Step: "password"})
	case 4:
		err = w.besiege(account.Attempt{Subject: string(p.id), Factor: account.Password, Step: "password", Device: w.deviceAt(w.tabs[n%2], p)})
	}
	w.ok(err)
	w.trace = append(w.trace, fmt.Sprintf("operator: %d for %s", n/2, p.name))
	w.newMails(nil)
	w.look(nil)
}

// deviceAt is what a browser's cookie makes it to a person.
func (w *world) deviceAt(t *tab, p *soul) account.Device {
	const name = "__Host-mdx_device"
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: name, Value: t.jar[name]})
	if !w.KnownDevices {
		return account.Device{}
	}
	return w.site.Devices(r)(p.id)
}

// besiege fails until nothing is judged any more.
func (w *world) besiege(a account.Attempt) error {
	g := account.Guard{Now: w.Store.Now, Wait: func(context.Context, time.Duration) error { return account.ErrBusy }}
	for range account.MaxFailures {
		l, err := g.Charge(context.Background(), w.Store, a)
		if _, refused := errors.AsType[*account.Refusal](err); refused {
			return nil
		}
		if err == nil {
			_, err = w.Store.SettleWrong(context.Background(), l, account.BadCredentials)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
