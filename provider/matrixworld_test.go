package provider

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// member is one person of the matrix, whose words are found nowhere else.
type member struct {
	name     string // in the house: "admin of river"
	practice account.PracticeID
	role     account.Role
	gone     bool // deactivated by the practice
}

func (s member) word(kind string) string { return kind + strings.ReplaceAll(s.name, " ", "") + "z" }
func (s member) id() string              { return s.word("id") }
func (s member) email() string           { return strings.ToLower(s.word("mail")) + "@zone.example" }

// marks are the words by which a page would give somebody away.
func (s member) marks() []string {
	return []string{s.id(), s.word("Name"), strings.ToLower(s.word("user")), s.email()}
}

// members are every role of two practices, and people of none.
var members = []member{
	{"owner of river", "river", account.Owner, false},
	{"second owner of river", "river", account.Owner, false},
	{"admin of river", "river", account.Admin, false},
	{"second admin of river", "river", account.Admin, false},
	{"desk of river", "river", account.FrontDesk, false},
	{"billing of river", "river", account.Billing, false},
	{"nurse of river", "river", "nurse", false}, // a role that we do not know
	{"agent of river", "river", account.Support, false},
	{"former owner of river", "river", account.Owner, true},
	{"former desk of river", "river", account.FrontDesk, true},
	{"owner of harbor", "harbor", account.Owner, false},
	{"admin of harbor", "harbor", account.Admin, false},
	{"desk of harbor", "harbor", account.FrontDesk, false},
	{"billing of harbor", "harbor", account.Billing, false}, // to whom the practice is offered
	{"patient", "", "", false},
	{"agent", "", account.Support, false},
}

func memberOf(name string) *member {
	for i, s := range members {
		if s.name == name {
			return &members[i]
		}
	}
	panic("nobody is called " + name)
}

// practices is a house with two practices that is put back after every change.
type practices struct {
	*house
	conn   *sql.Conn
	tables []string
	seen   int64             // the version of the database when it was last looked at
	place  map[string]string // the ID of each practice's location
	invite map[string]string // of each invitation, by practice and role
	marks  map[account.PracticeID][]string
}

func newPractices(t *testing.T) *practices {
	w := &practices{house: newHouse(t, "https://id.example"), place: map[string]string{}, invite: map[string]string{},
		marks: map[account.PracticeID][]string{}}
	hash, err := w.Hasher.Hash(t.Context(), []byte(rightPassword))
	w.ok(err)
	for _, practice := range []account.PracticeID{"river", "harbor"} {
		w.ok(w.Store.AddPractice(t.Context(), practice, "Practice"+string(practice)+"z"))
		w.marks[practice] = []string{"Practice" + string(practice) + "z"}
	}
	for _, s := range members {
		_, err := w.Store.AddPerson(t.Context(), store.NewPerson{ID: account.ID(s.id()), Practice: s.practice, Role: string(s.role),
			Username: strings.ToLower(s.word("user")), Email: s.email(), EmailVerified: true, Name: s.word("Name"), Hash: hash}, "test")
		w.ok(err)
		w.marks[s.practice] = append(w.marks[s.practice], s.marks()...)
	}
	for _, practice := range []string{"river", "harbor"} {
		w.furnish(practice)
	}
	_, err = w.Store.OfferPractice(t.Context(), w.acting("owner of harbor"), account.ID(memberOf("billing of harbor").id()))
	w.ok(err)
	return w
}

func (w *practices) acting(name string) store.Acting {
	s := memberOf(name)
	return store.Acting{Account: account.ID(s.id()), Practice: s.practice}
}

// furnish gives a practice a location and two invitations: of an Admin, and by
// an Admin.
func (w *practices) furnish(practice string) {
	w.t.Helper()
	ctx, owner := w.t.Context(), w.acting("owner of "+practice)
	id, err := w.Store.AddLocation(ctx, owner, "Place"+practice+"z")
	w.ok(err)
	w.place[practice] = id
	for role, by := range map[account.Role]string{account.Admin: "owner of ", account.FrontDesk: "admin of "} {
		email := fmt.Sprintf("invited%s%sz@zone.example", strings.ReplaceAll(string(role), "_", ""), practice)
		_, err := w.Store.Invite(ctx, w.acting(by+practice), store.Invite{Email: email, Role: role})
		w.ok(err)
		w.marks[owner.Practice] = append(w.marks[owner.Practice], email)
	}
	all, err := w.Store.PendingInvites(ctx, owner.Practice)
	w.ok(err)
	for _, i := range all {
		w.invite[practice+" "+string(i.Role)] = i.ID
		w.marks[owner.Practice] = append(w.marks[owner.Practice], i.ID)
	}
	w.marks[owner.Practice] = append(w.marks[owner.Practice], id, "Place"+practice+"z")
}

// enter has all actors sign in, then gives everybody something to lose: a
// second factor and a lock, neither of which ends a session. It ends with what
// the house is put back to.
func (w *practices) enter() []*actor {
	w.t.Helper()
	all := []*actor{{name: "nobody", person: w.still(), out: true}}
	// An agent would have to set a second factor up first.
	w.inDB(`UPDATE people SET role = 'agent to be' WHERE role = 'support'`)
	for _, s := range members {
		switch s.name {
		case "former desk of river":
			continue
		}
		a := &actor{name: s.name, person: w.still(), member: memberOf(s.name), out: s.gone}
		a.signIn(a.get("/login"), s.email(), rightPassword)
		if a.cookie("session") == "" {
			w.t.Fatalf("%s is not signed in", s.name)
		}
		all = append(all, a)
	}
	stale := &actor{name: "owner of river, yesterday's proofs", person: w.still(), member: memberOf("owner of river"), stale: true}
	w.inDB(`UPDATE sessions SET auth_time = 1`)
	stale.signIn(stale.get("/login"), stale.member.email(), rightPassword)
	w.inDB(`UPDATE people SET role = 'support' WHERE role = 'agent to be'`)
	now := w.Store.Now().UnixMicro()
	w.inDB(`UPDATE sessions SET auth_time = CASE WHEN auth_time = 1 THEN $1 ELSE 1 END`, now)
	for _, name := range []string{"former owner of river", "former desk of river"} {
		_, err := w.Store.Deactivate(w.t.Context(), w.acting("second owner of river"), account.ID(memberOf(name).id()))
		w.ok(err)
	}
	// The session of who is gone is there, as if it had not been ended.
	w.inDB(`UPDATE sessions SET expires_at = seen_at + idle, epoch = (SELECT g.epoch FROM guards g WHERE g.subject = sessions.account)`)
	w.inDB(`UPDATE sessions SET acr = $1`, flows.ACR2FA)
	w.inDB(`INSERT INTO authenticators (id, account, name, key, last_step, created_at, used_at)
		SELECT 'phone of ' || id, id, 'Phone', 'x', 0, $1, $1 FROM people`, now)
	w.inDB(`INSERT INTO guards (subject, touched_at) SELECT id, $1 FROM people WHERE true ON CONFLICT DO NOTHING`, now)
	w.inDB(`UPDATE guards SET locked_until = $1, password_failed = 5`, now+time.Hour.Microseconds())
	w.keep()
	return append(all, stale)
}

// still is a browser that follows no redirects.
func (w *practices) still() *person {
	b := w.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// keep remembers every table but those that no rule is about: unfinished
// sign-ins, and the queue's own.
func (w *practices) keep() {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.db+"?_pragma=busy_timeout(10000)&_pragma=synchronous(0)")
	w.ok(err)
	w.conn, err = db.Conn(w.t.Context())
	w.ok(err)
	w.t.Cleanup(func() { _ = w.conn.Close(); _ = db.Close() })
	w.run(`ATTACH ':memory:' AS kept`)
	for _, name := range w.column(`SELECT name FROM main.sqlite_master WHERE type = 'table'`) {
		if name == "flows" || strings.HasPrefix(name, "river_") || strings.HasPrefix(name, "goose_") || strings.HasPrefix(name, "sqlite_") {
			continue
		}
		w.tables = append(w.tables, name)
		w.run("CREATE TABLE kept." + name + " AS SELECT * FROM main." + name)
	}
	if len(w.tables) < 20 {
		w.t.Fatalf("only found %q", w.tables)
	}
	w.seen = w.version()
}

func (w *practices) run(statement string) {
	w.t.Helper()
	_, err := w.conn.ExecContext(context.Background(), statement)
	w.ok(err)
}

func (w *practices) column(query string) (all []string) {
	w.t.Helper()
	rows, err := w.conn.QueryContext(context.Background(), query)
	w.ok(err)
	defer rows.Close()
	for rows.Next() {
		var s string
		w.ok(rows.Scan(&s))
		all = append(all, s)
	}
	w.ok(rows.Err())
	return all
}

// version is another whenever somebody else has written to the database.
func (w *practices) version() (n int64) {
	w.t.Helper()
	w.ok(w.conn.QueryRowContext(context.Background(), `PRAGMA main.data_version`).Scan(&n))
	return n
}

// changed returns the tables that are not as they were, if any.
func (w *practices) changed() (tables []string) {
	w.t.Helper()
	v := w.version()
	if v == w.seen {
		return nil
	}
	w.seen = v
	for _, name := range w.tables {
		if len(w.rows(name, "1")) > 0 {
			tables = append(tables, name)
		}
	}
	return tables
}

// rows returns a column of all rows of a table that are new, gone or other.
// When a session was last seen is no change.
func (w *practices) rows(table, column string) []string {
	w.t.Helper()
	of := func(db string) string {
		if table == "sessions" {
			return "SELECT id, account, practice, epoch, flow, auth_time, methods, acr, expires_at FROM " + db + ".sessions"
		}
		return "SELECT * FROM " + db + "." + table
	}
	out := w.column(fmt.Sprintf("SELECT DISTINCT %[1]s FROM (SELECT * FROM (%[2]s EXCEPT %[3]s) UNION ALL SELECT * FROM (%[3]s EXCEPT %[2]s))",
		column, of("main"), of("kept")))
	slices.Sort(out)
	return out
}

// restore makes everything as it was.
func (w *practices) restore() {
	w.t.Helper()
	w.run(`BEGIN IMMEDIATE`)
	for _, name := range w.tables {
		w.run("DELETE FROM main." + name)
		w.run("INSERT INTO main." + name + " SELECT * FROM kept." + name)
	}
	w.run(`DELETE FROM main.flows`)
	w.run(`COMMIT`)
	w.seen = w.version()
}

// ask sends a form with a method, in the query where that is its place.
func (p *person) ask(method, path string, form url.Values) answer {
	p.h.t.Helper()
	var r *http.Request
	var err error
	if method == http.MethodGet || method == http.MethodHead {
		r, err = http.NewRequest(method, p.h.issuer+path+"?"+form.Encode(), nil)
	} else {
		r, err = http.NewRequest(method, p.h.issuer+path, strings.NewReader(form.Encode()))
		p.h.ok(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	p.h.ok(err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(r, nil)
}
