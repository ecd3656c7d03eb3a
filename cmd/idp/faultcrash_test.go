package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/medximity/idp/flows/account"
)

// crash ends the process as a loss of power does, as far as it can tell.
func (p *process) crash(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // "signal: killed"
}

// Somebody who can make us crash while their guesses are judged would guess for
// ever, were it not for the charges.
func TestFaultACrashIsNoFreeGuess(t *testing.T) {
	dir := t.TempDir()
	d := startDemo(t, "--data", dir)
	db := openOutside(t, "sqlite:"+filepath.Join(dir, "idp.db"))
	counted := func() (charged, failed int) {
		err := db.QueryRow(`SELECT COALESCE(SUM(password_charged), 0), COALESCE(SUM(password_failed), 0)
			FROM guards WHERE subject = (SELECT person FROM identifiers WHERE key = $1)`,
			d.grace().Username).Scan(&charged, &failed)
		if err != nil {
			t.Fatal(err)
		}
		return charged, failed
	}
	// The slots for hashing are taken by others, so grace's attempts wait in
	// their queue, charged and not judged.
	for i := range 40 {
		defer guess(t, d, fmt.Sprint("nobody.", i))()
	}
	for range 4 {
		defer guess(t, d, d.grace().Username)()
	}
	eventually(t, "attempts in flight", func() bool { charged, _ := counted(); return charged > 0 })
	d.process.crash(t)
	charged, failed := counted()
	if charged == 0 || charged+failed > account.MaxFailures {
		t.Fatalf("when it died %d were charged and %d had failed", charged, failed)
	}

	d = startDemo(t, "--data", dir)
	d.set(d.now().Add(account.ChargeFor))
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	for range account.MaxFailures - charged - failed {
		p.signIn(d.grace().Username, "not the right one")
	}
	p.visit(d.Issuer + "/login")
	p.signIn(d.grace().Username, d.grace().Password)
	p.sees("Your account is locked")
	if n := d.metric(`medximity_idp_login_failures_total{factor="password",reason="lapsed"}`); n != float64(charged) {
		t.Errorf("%d charges were left and %v lapsed", charged, n)
	}
}

// guess sends a wrong password and returns what waits for its end.
func guess(t *testing.T, d *demo, who string) (wait func()) {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	v := p.form("password")
	v.Set("identifier", who)
	v.Set("password", "not the right one")
	p.client.CheckRedirect = stay
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := p.client.PostForm(d.Issuer+"/login/identify", v)
		if err == nil { // else it died first
			_ = resp.Body.Close()
		}
	}()
	return func() { <-done }
}

// The mail server has the mail, and we die before we hear so. The mail is sent
// once more, for nobody can know; and never again.
func TestFaultAMailInFlightIsSentTwiceAtMost(t *testing.T) {
	d, o, config := served(t)
	store := storeOf(t, config)
	o.keepsSilent()
	forgets(t, d)
	eventually(t, "the mail there", func() bool { return len(o.links(t)) == 1 })
	d.process.crash(t)
	o.does(nil, false)

	for range 2 {
		// As if the machine had been down for three minutes: a job is held to
		// be running until two are over.
		change(t, store, `UPDATE river_job SET attempted_at = strftime('%Y-%m-%d %H:%M:%f', attempted_at, '-3 minutes')`)
		change(t, store, `DELETE FROM river_leader`)
		d = startServe(t, config)
		eventually(t, "no job left", func() bool {
			return count(t, store, `SELECT COUNT(*) FROM river_job WHERE kind = 'mail' AND state <> 'completed'`) == 0
		})
		if got := o.links(t); len(got) != 2 || got[0].Text != got[1].Text {
			t.Fatalf("%d mails arrived, or not the same twice", len(got))
		}
		d.process.crash(t)
	}
}
