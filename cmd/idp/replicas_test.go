package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/medximity/idp/provider/store/storetest"
)

// Two processes of the server on one PostgreSQL, and many people at once. The
// demo is one of them; the other serves the same database.

// rounds is smaller in CI than in a full run (IDP_FULL=1).
func rounds(ci, full int) int {
	if os.Getenv("IDP_FULL") != "" {
		return full
	}
	return ci
}

// verified is the series that the hasher counts in, once for each secret it judged.
const verified = `medximity_idp_password_hash_duration_seconds_count{op="verify"}`

func twoReplicas(t *testing.T) [2]*demo {
	t.Helper()
	url := storetest.New(t, "postgres").URL
	data := t.TempDir() // one key ring, or they could not read each other's rows
	return [2]*demo{startDemo(t, "--store", url, "--data", data), startDemo(t, "--store", url, "--data", data)}
}

func TestParallelWrongPasswords(t *testing.T) {
	d := twoReplicas(t)
	for round := range rounds(3, 20) {
		who := fmt.Sprintf("nobody.%d", round)
		if round == 0 {
			who = d[0].grace().Username
		}
		before := d[0].metric(verified) + d[1].metric(verified)
		locks := d[0].metric(lockouts) + d[1].metric(lockouts)
		statuses := tryAtOnce(t, d, 1000, who, "not the right one")
		judged := d[0].metric(verified) + d[1].metric(verified) - before
		locked := d[0].metric(lockouts) + d[1].metric(lockouts) - locks
		t.Logf("round %d: %v judged, %v locks, answers %v", round, judged, locked, statuses)
		if judged > 5 || locked != 1 {
			t.Errorf("round %d: %v of 1000 wrong passwords were judged, %v locks", round, judged, locked)
		}
		if n := statuses[http.StatusInternalServerError]; n > 0 {
			t.Errorf("round %d: %d faults", round, n)
		}
	}
}

const lockouts = `medximity_idp_lockouts_total{step="password"}`

func TestParallelRightPasswords(t *testing.T) {
	d := twoReplicas(t)
	statuses := tryAtOnce(t, d, 20, d[0].grace().Username, d[0].grace().Password)
	if statuses[http.StatusSeeOther] != 20 {
		t.Errorf("20 right passwords gave %v", statuses)
	}
	for _, one := range d {
		if n := one.metric(`medximity_idp_login_failures_total{factor="password",reason="bad_credentials"}`); n != 0 {
			t.Errorf("%v failures counted", n)
		}
	}
}

// tryAtOnce signs in n times at the same instant, over both replicas, and
// counts the answers by status.
func tryAtOnce(t *testing.T, d [2]*demo, n int, identifier, password string) map[int]int {
	t.Helper()
	type try struct {
		client *http.Client
		action string
		form   url.Values
	}
	tries := make([]try, n)
	for i := range tries {
		p := newPerson(t)
		p.visit(d[i%2].Issuer + "/login")
		for form := range p.page.elements("form") {
			if v := defaults(form); v.Has("password") {
				v.Set("identifier", identifier)
				v.Set("password", password)
				to, _ := p.page.url.Parse(attr(form, "action"))
				tries[i] = try{p.client, to.String(), v}
			}
		}
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	barrier := make(chan struct{})
	var wg sync.WaitGroup
	for _, one := range tries {
		one.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		wg.Go(func() {
			<-barrier
			resp, err := one.client.PostForm(one.action, one.form)
			if err != nil {
				t.Error(err)
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

func TestParallelRedemption(t *testing.T) {
	d := twoReplicas(t)
	p := newPerson(t)
	link := linkIn(t, askForLink(t, d[0], p, d[0].grace()), "/reset-password?token=")
	p.visit(link)
	u := *p.page.url
	var form url.Values
	for f := range p.page.elements("form") {
		if v := defaults(f); v.Has("new_password") {
			form = v
		}
	}
	other, err := url.Parse(d[1].Issuer)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(other, p.client.Jar.Cookies(&u))
	var won atomic.Int64
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	for i := range rounds(100, 500) {
		v := url.Values{}
		for k := range form {
			v.Set(k, form.Get(k))
		}
		v.Set("new_password", fmt.Sprintf("a lantern over water no %d", i))
		v.Set("confirm_password", v.Get("new_password"))
		client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		base := []string{d[0].Issuer, d[1].Issuer}[i%2]
		wg.Go(func() {
			<-barrier
			resp, err := client.PostForm(base+"/reset-password", v)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusSeeOther {
				won.Add(1)
			}
		})
	}
	close(barrier)
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one link saved %d passwords", won.Load())
	}
	if n := d[0].metric(completed) + d[1].metric(completed); n != 1 {
		t.Errorf("%v resets were counted", n)
	}
}

const completed = `medximity_idp_password_resets_completed_total{initiator="self"}`
