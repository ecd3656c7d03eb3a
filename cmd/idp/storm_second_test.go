package main

import (
	"encoding/base32"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

// nora has an authenticator from the start.
func (d *demo) nora() demoPerson {
	d.t.Helper()
	for _, p := range d.People {
		if p.Username == "nora" {
			return p
		}
	}
	d.t.Fatal("the demo has no nora")
	return demoPerson{}
}

// code is what the person's authenticator shows now, or was or will be showing.
func (d *demo) code(p demoPerson, ahead time.Duration) string {
	d.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.TOTPSecret)
	if err != nil || len(key) == 0 {
		d.t.Fatalf("the key of %s: %v", p.Username, err)
	}
	return account.ShowCode(key, d.now().Add(ahead))
}

// move moves the clock of every process.
func (d replicas) move(by time.Duration) {
	to := d[0].now().Add(by)
	for _, one := range d {
		one.set(to)
	}
}

// challenged is a browser that proved the password of a person, and is asked
// for a code.
func challenged(t *testing.T, d *demo, who demoPerson) *person {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	p.sees("Use a backup code")
	return p
}

// equipped signs nora in for the first time, and returns her backup codes.
func equipped(t *testing.T, d replicas) []string {
	t.Helper()
	p := newPerson(t)
	p.visit(d[0].Issuer + "/login")
	p.signIn("nora", d[0].nora().Password)
	p.press("Continue", map[string]string{"otp": d[0].code(d[0].nora(), 0)})
	codes := codesOn(t, p.page)
	p.send(d[0].Issuer+"/login/backup-codes", url.Values{"flow": p.form("saved")["flow"], "saved": {"yes"}})
	p.sees("You are signed in")
	d.move(5 * time.Minute)
	return codes
}

// codesOn are the backup codes that a page shows.
func codesOn(t *testing.T, g *page) (codes []string) {
	t.Helper()
	for list := range g.elements("ol") {
		if attr(list, "id") == "codes" {
			for li := range elements(list, "code") {
				codes = append(codes, squeeze(text(li)))
			}
		}
	}
	if len(codes) != account.BackupCodes {
		t.Fatalf("%d backup codes on %s:\n%s", len(codes), g.url, g.words())
	}
	return codes
}

// volley posts forms at the same instant, over all processes, and counts the
// answers by status. A flow's browser is known to all: cookies know no ports.
type volley struct {
	t     *testing.T
	posts []func() (*http.Response, error)
}

// add posts a form of a person's page to a step, at one of the processes.
func (v *volley) add(p *person, at *demo, step string, fields map[string]string) {
	form := url.Values{"flow": p.page.flow()}
	for name, value := range fields {
		form.Set(name, value)
	}
	client := &http.Client{Jar: p.client.Jar, CheckRedirect: stay}
	v.posts = append(v.posts, func() (*http.Response, error) { return client.PostForm(at.Issuer+"/login/"+step, form) })
}

func (g *page) flow() []string { return g.url.Query()["flow"] }

func (v *volley) fire() map[int]int {
	v.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	statuses, barrier := map[int]int{}, make(chan struct{})
	for _, post := range v.posts {
		wg.Go(func() {
			<-barrier
			resp, err := post()
			if err != nil {
				v.t.Error(err)
				return
			}
			resp.Body.Close()
			mu.Lock()
			statuses[resp.StatusCode]++
			mu.Unlock()
		})
	}
	close(barrier)
	wg.Wait()
	return statuses
}

// judgedCodes counts the codes that were judged and wrong, of both kinds.
func (d replicas) judgedCodes() float64 {
	return d.sum(`medximity_idp_login_attempts_total{outcome="failed",step="totp"}`) +
		d.sum(`medximity_idp_login_attempts_total{outcome="failed",step="backup-code"}`)
}

// T03: a thousand wrong codes of both kinds at once, right passwords between
// them: five are judged, then the account is locked; five more after the lock,
// and the second factor is held; after that none ever.
func TestParallelWrongCodes(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		equipped(t, d)
		nora := d[0].nora()
		for round, most := range []float64{5, 5, 0} {
			var all []*person
			for i := range 10 {
				all = append(all, challenged(t, d[i%len(d)], nora))
			}
			v := volley{t: t}
			for i := range rounds(300, 1000) {
				p, at := all[i%len(all)], d[i%len(d)]
				if i%3 == 0 {
					v.add(p, at, "backup-code", map[string]string{"backup_code": "0000-0000-00000"})
				} else {
					v.add(p, at, "totp", map[string]string{"otp": "000000"})
				}
			}
			for i := range 20 { // the password is right, again and again
				p := newPerson(t)
				p.visit(d[i%len(d)].Issuer + "/login")
				form := p.form("password")
				form.Set("identifier", nora.Username)
				form.Set("password", nora.Password)
				client := &http.Client{Jar: p.client.Jar, CheckRedirect: stay}
				to := d[i%len(d)].Issuer + "/login/identify"
				v.posts = append(v.posts, func() (*http.Response, error) { return client.PostForm(to, form) })
			}
			judged, locks := d.judgedCodes(), d.sum(codeLocks("totp"))+d.sum(codeLocks("backup-code"))
			held := d.sum(`medximity_idp_second_factor_holds_total`)
			statuses := v.fire()
			judged, locks = d.judgedCodes()-judged, d.sum(codeLocks("totp"))+d.sum(codeLocks("backup-code"))-locks
			held = d.sum(`medximity_idp_second_factor_holds_total`) - held
			t.Logf("round %d: %v judged, %v locks, %v holds, answers %v", round, judged, locks, held, statuses)
			if judged != most {
				t.Errorf("round %d: %v wrong codes were judged, want %v", round, judged, most)
			}
			if wantHeld := map[int]float64{1: 1}[round]; held != wantHeld {
				t.Errorf("round %d: %v holds, want %v", round, held, wantHeld)
			}
			if statuses[http.StatusInternalServerError] > 0 {
				t.Errorf("round %d: faults: %v", round, statuses)
			}
			d.move(31 * time.Minute)
		}
	})
}

func codeLocks(step string) string { return `medximity_idp_lockouts_total{step="` + step + `"}` }

// T04: one code, five hundred times, in sign-ins, in step-ups for an app and in
// step-ups for taking the authenticator away, on all processes: it is good once.
func TestParallelOneCode(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		equipped(t, d)
		nora := d[0].nora()
		var all []*person
		signedIn := challenged(t, d[0], nora)
		signedIn.press("Continue", map[string]string{"otp": d[0].code(nora, 0)})
		d.move(6 * time.Minute) // not fresh any more
		for i := range 6 {
			all = append(all, challenged(t, d[i%len(d)], nora))
		}
		for i, to := range []string{"/account/security/authenticators/remove?id=x", d[0].App + "/records/signin?prompt=login",
			"/account/security/authenticators/remove?id=x", d[0].App + "/signin?max_age=60"} {
			p := &person{t: t, client: signedIn.client}
			if strings.HasPrefix(to, "/") {
				to = d[i%len(d)].Issuer + to
			}
			p.visit(to)
			p.press("Continue", map[string]string{"password": nora.Password})
			p.sees("Use a backup code")
			all = append(all, p)
		}
		v := volley{t: t}
		code := d[0].code(nora, 0)
		for i := range rounds(200, 500) {
			v.add(all[i%len(all)], d[(i/len(all))%len(d)], "totp", map[string]string{"otp": code})
		}
		statuses := v.fire()
		t.Logf("answers %v", statuses)
		if statuses[http.StatusSeeOther] != 1 || statuses[http.StatusInternalServerError] > 0 {
			t.Errorf("one code gave %v", statuses)
		}
		if n := d.sum(`medximity_idp_login_attempts_total{outcome="passed",step="totp"}`); n != 3 { // the first two, and this
			t.Errorf("%v codes were accepted, want 3", n)
		}
	})
}

// T05: one backup code, five hundred times.
func TestParallelOneBackupCode(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		codes := equipped(t, d)
		var all []*person
		for i := range 10 {
			all = append(all, challenged(t, d[i%len(d)], d[0].nora()))
		}
		v := volley{t: t}
		for i := range rounds(200, 500) {
			v.add(all[i%len(all)], d[(i/len(all))%len(d)], "backup-code", map[string]string{"backup_code": codes[0]})
		}
		statuses := v.fire()
		t.Logf("answers %v", statuses)
		if statuses[http.StatusSeeOther] != 1 || statuses[http.StatusInternalServerError] > 0 {
			t.Errorf("one backup code gave %v", statuses)
		}
		if n := d.sum(`medximity_idp_backup_codes_used_total`); n != 1 {
			t.Errorf("%v were used", n)
		}
	})
}

// ASVS 7.4.3: whoever changes the password is signed out everywhere else, at
// every process, with the tokens that came from there, before the second is over.
func TestANewPasswordEndsTheOthersEverywhere(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		last := d[len(d)-1]
		elsewhere := askTokens(t, last, newCode(t, last))
		other, here := newPerson(t), newPerson(t)
		other.visit(last.Issuer + "/login")
		other.signIn(d[0].grace().Username, d[0].grace().Password)
		here.visit(d[0].Issuer + "/login")
		here.signIn(d[0].grace().Username, d[0].grace().Password)
		here.visit("/account/security")
		here.press("Change Password", nil)
		here.press("Continue", map[string]string{"password": d[0].grace().Password})
		before := time.Now()
		here.press("Save Password", map[string]string{"new_password": newPassword, "confirm_password": newPassword})
		here.sees("Password")
		if here.page.url.Path != "/account/security" {
			t.Errorf("whoever changed it is at %s", here.page.url)
		}
		other.visit(last.Issuer + "/account/security")
		familyIsDead(t, d, elsewhere)
		if took := time.Since(before); took > time.Second {
			t.Logf("the whole look took %v", took)
		}
		other.sees("Username or email")
	})
}
