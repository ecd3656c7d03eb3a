//go:build campaign

package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to ask for plans with

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// Growth: with 1,000,000 accounts, 100,000 live sessions and 10,000,000 audit
// rows, no statement reads a table that grows from end to end but those that
// count for the gauges, and those of a sign-in cost what they cost before.
//
//	IDP_ACCOUNTS=1000000 go test -tags campaign ./provider/store -run Growth -v -timeout 2h
func TestGrowth(t *testing.T) {
	n := 1_000_000
	if v, err := strconv.Atoi(os.Getenv("IDP_ACCOUNTS")); err == nil {
		n = v
	}
	c := storetest.New(t, "postgres")
	r := open(t, c)
	id := r.person("ann")
	empty := r.costs(id)
	start := time.Now()
	r.fill(n)
	t.Logf("%d accounts, %d sessions, %d audit rows in %v", n, n/10, 10*n, time.Since(start).Round(time.Second))
	full := r.costs(id)
	for _, name := range slices.Sorted(keysOf(full)) {
		before, after := empty[name], full[name]
		t.Logf("%-16s %8v on an empty store, %8v now", name, before, after)
		if after > before*6/5+200*time.Microsecond { // of noise
			t.Errorf("%s: %v, and %v with a million", name, before, after)
		}
	}
	plans(t, c.URL)
	r.sweepTimes(t)
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// fill makes rows as the product makes them, by the database's own means.
func (r *rig) fill(n int) {
	r.Helper()
	now := strconv.FormatInt(r.Now().UnixMicro(), 10)
	for _, statement := range []string{
		`INSERT INTO people (id, practice, username, email, created_at, updated_at) SELECT 'p' || i, 'acme', 'u' || i, 'u' || i || '@big.example', NOW, NOW FROM generate_series(1, N) i`,
		`INSERT INTO identifiers (key, person, email) SELECT 'u' || i || '@big.example', 'p' || i, true FROM generate_series(1, N) i`,
		`INSERT INTO identifiers (key, person, email) SELECT 'u' || i, 'p' || i, false FROM generate_series(1, N) i`,
		`INSERT INTO guards (subject, touched_at) SELECT 'p' || i, NOW FROM generate_series(1, N) i`,
		`INSERT INTO guards (subject, shadow, touched_at) SELECT '?' || i, true, NOW FROM generate_series(1, N / 2) i`,
		`INSERT INTO authenticators (id, account, name, key, last_step, created_at, used_at) SELECT 'a' || i, 'p' || i, 'Phone', 'x', 0, NOW, NOW FROM generate_series(1, N / 2) i`,
		`INSERT INTO backup_sets (account, salt, made_at) SELECT 'p' || i, 'x', NOW FROM generate_series(1, N / 2) i`,
		`INSERT INTO backup_codes (account, hash) SELECT 'p' || i, decode(md5(i || ' ' || c), 'hex') FROM generate_series(1, N / 10) i, generate_series(1, 10) c`,
		`INSERT INTO flows (id, kind, browser, started_at, expires_at) SELECT 'f' || i, 'login', decode(md5('b' || i), 'hex'), NOW, NOW + 3600000000 FROM generate_series(1, N / 10) i`,
		`INSERT INTO sessions (id, account, epoch, flow, auth_time, methods, acr, created_at, seen_at, idle, expires_at) SELECT decode(md5('s' || i), 'hex'), 'p' || i, 0, 'f' || i, NOW, '["pwd"]', '', NOW, NOW, 3600000000, NOW + 43200000000 FROM generate_series(1, N / 10) i`,
		`INSERT INTO grants (id, client, account, epoch, session, code_hash, access_hash, refresh_hash, scopes, auth_time, methods, acr, created_at, access_until, refresh_until, expires_at) SELECT 'g' || i, 'app', 'p' || i, 0, decode(md5('s' || i), 'hex'), decode(md5('c' || i), 'hex'), decode(md5('x' || i), 'hex'), decode(md5('r' || i), 'hex'), 'openid', NOW, 'pwd', '', NOW, NOW + 600000000, NOW + 600000000000, NOW + 700000000000 FROM generate_series(1, N) i`,
		`INSERT INTO resets (subject, token_hash, cancel_hash, initiator, sent_at, expires_at) SELECT 'p' || i, decode(md5('t' || i), 'hex'), decode(md5('k' || i), 'hex'), 'self', NOW, NOW + 3600000000 FROM generate_series(1, N / 10) i`,
		`INSERT INTO reset_links (hash, subject, sent_at) SELECT decode(md5('t' || i), 'hex'), 'p' || i, NOW FROM generate_series(1, N / 10) i`,
		`INSERT INTO disavowals (hash, account, template, expires_at) SELECT decode(md5('d' || i), 'hex'), 'p' || i, 'x', NOW FROM generate_series(1, N / 10) i`,
		`INSERT INTO mails (id, template, subject, state, created_at, done_at) SELECT 'm' || i, 'reset', 'p' || i, 'sent', NOW, NOW FROM generate_series(1, N / 10) i`,
		`INSERT INTO audit (id, at, kind, subject) SELECT to_char(i, 'FM0000000000000') || '-' || i, NOW - i, 'signed_in', 'p' || (i % N) FROM generate_series(1, 10 * N) i`,
		`ANALYZE`,
	} {
		statement = strings.ReplaceAll(strings.ReplaceAll(statement, "NOW", now), "N)", fmt.Sprint(n)+")")
		statement = regexp.MustCompile(`\bN\b`).ReplaceAllString(statement, fmt.Sprint(n))
		r.ok(r.Do(statement))
	}
}

// costs are the medians of the statements of sign-ins, of codes and tokens.
func (r *rig) costs(id account.ID) map[string]time.Duration {
	r.Helper()
	ctx := context.Background()
	took := map[string][]time.Duration{}
	done := func(name string, start time.Time) { took[name] = append(took[name], time.Since(start)) }
	people := store.People{Store: r.Store}
	for i := range 300 {
		start := time.Now()
		_, err := people.Lookup(ctx, 0, "ann")
		r.ok(err)
		done("Lookup", start)
		start = time.Now()
		l := r.charge(attempt(id))
		done("Charge", start)
		f := r.login("b" + strconv.Itoa(i))
		f.Account = id
		n := newSession()
		start = time.Now()
		r.ok(r.Finish(ctx, f, flows.Progress{Lease: l}, n))
		done("Finish", start)
		start = time.Now()
		s, err := r.Session(ctx, n.Token)
		r.ok(err)
		done("Session", start)
		start = time.Now()
		access := r.app(s)
		done("RedeemCode", start)
		start = time.Now()
		_, _, err = r.Store.GrantByAccess(ctx, access)
		r.ok(err)
		done("GrantByAccess", start)
		start = time.Now()
		_, err = r.Second(ctx, id)
		r.ok(err)
		done("Second", start)
		start = time.Now()
		_, err = r.Activity(ctx, "p7", 50)
		r.ok(err)
		done("Activity", start)
		start = time.Now()
		_, err = r.Sessions(ctx, "p7")
		r.ok(err)
		done("Sessions", start)
	}
	medians := map[string]time.Duration{}
	for name, all := range took {
		slices.Sort(all)
		medians[name] = all[len(all)/2].Round(time.Microsecond)
	}
	return medians
}

// whole are the statements that may read a table from end to end: counts for
// gauges, asked for once a scrape, and lists of what does not grow. Sweeps find
// their batch by an index; how long one takes is measured (sweepTimes).
var whole = map[string]string{
	"SessionsActive": "a gauge", "LockedNow": "a gauge", "MailStats": "a gauge", "Clients": "apps are few",
	"SigningKeys": "keys are few", "SweepSigningKeys": "keys are few", "SweepSources": "in a job, over sources of the last hour",
	"Strangers": "of a verification", "DropShadows": "in a job, over the shadows", "RetryMails": "by an operator",
}

var query = regexp.MustCompile("(?s)= `-- name: (\\w+) :\\w+\n(.*?)`")

// plans asks for the generic plan of every statement that there is.
func plans(t *testing.T, url string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	files, err := filepath.Glob("db/*.sql.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	do := func(q string) error { _, err := db.Exec(q); return err }
	if err := do("SET plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range query.FindAllStringSubmatch(string(b), -1) {
			count++
			plan(t, db, do, m[1], m[2])
		}
	}
	t.Logf("%d statements looked at", count)
}

func plan(t *testing.T, db *sql.DB, do func(string) error, name, text string) {
	t.Helper()
	text = limited(text)
	args := 0
	for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(text, -1) {
		i, _ := strconv.Atoi(m[1])
		args = max(args, i)
	}
	if err := do("PREPARE q AS " + text); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer func() { _ = do("DEALLOCATE q") }()
	call := "q"
	if args > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL,", args), ",") + ")"
	}
	rows, err := db.Query("EXPLAIN EXECUTE " + call)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	text = strings.Join(lines, "\n")
	if m := regexp.MustCompile(`Seq Scan on (\w+)`).FindStringSubmatch(text); m != nil && whole[name] == "" && !strings.HasPrefix(name, "Sweep") &&
		!slices.Contains([]string{"practices", "clients", "secrets", "signing_keys", "sources", "email_changes", "audit_anchor", "audit_chain"}, m[1]) {
		t.Errorf("%s reads all of %s:\n%s", name, m[1], text)
	}
}

// limited puts in the limit that the product gives: without one, a plan is made
// for a tenth of the table.
func limited(text string) string {
	m := regexp.MustCompile(`LIMIT \$(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return text
	}
	gone, _ := strconv.Atoi(m[1])
	text = strings.Replace(text, m[0], "LIMIT 500", 1)
	return regexp.MustCompile(`\$(\d+)`).ReplaceAllStringFunc(text, func(p string) string {
		if i, _ := strconv.Atoi(p[1:]); i > gone {
			return "$" + strconv.Itoa(i-1)
		}
		return p
	})
}

// sweepTimes bounds how long one statement of the sweep takes.
func (r *rig) sweepTimes(t *testing.T) {
	r.Helper()
	r.Move(40 * 24 * time.Hour)
	start := time.Now()
	longest, what := time.Duration(0), ""
	for name, statement := range map[string]string{
		"SweepFlows":    "DELETE FROM flows WHERE id IN (SELECT f.id FROM flows f WHERE f.expires_at <= $1 LIMIT 500)",
		"SweepSessions": "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.expires_at <= $1 LIMIT 500)",
		"SweepGrants":   "DELETE FROM grants WHERE id IN (SELECT g.id FROM grants g WHERE g.expires_at <= $1 LIMIT 500)",
	} {
		for range 20 {
			one := time.Now()
			r.ok(r.Do(statement, r.Now().UnixMicro()))
			if took := time.Since(one); took > longest {
				longest, what = took, name
			}
		}
	}
	t.Logf("60 batches of 500 rows swept in %v, the longest %v (%s)", time.Since(start).Round(time.Millisecond), longest.Round(time.Millisecond), what)
	if longest > 50*time.Millisecond {
		t.Errorf("%s held its rows for %v", what, longest)
	}
}
