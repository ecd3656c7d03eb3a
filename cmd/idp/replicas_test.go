package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/medximity/idp/provider/store/storetest"
)

// Many people at once: at one process on SQLite, and at two processes on one
// PostgreSQL.

// rounds is smaller in CI than in a full run (IDP_FULL=1).
func rounds(ci, full int) int {
	if os.Getenv("IDP_FULL") != "" {
		return full
	}
	return ci
}

// verified is the series that the hasher counts in, once for each secret it judged.
const verified = `medximity_idp_password_hash_duration_seconds_count{op="verify"}`

// replicas are processes that share a database.
type replicas []*demo

// deployments are the ways to run that the storms are tried on.
func deployments(t *testing.T, storm func(*testing.T, replicas)) {
	t.Run("SQLite", func(t *testing.T) { storm(t, replicas{startDemo(t)}) })
	t.Run("PostgreSQL, two processes", func(t *testing.T) {
		url := storetest.New(t, "postgres").URL
		data := t.TempDir() // one key ring, or they could not read each other's rows
		storm(t, replicas{startDemo(t, "--store", url, "--data", data), startDemo(t, "--store", url, "--data", data)})
	})
}

// sum adds up a series over all processes.
func (d replicas) sum(series string) (n float64) {
	for _, one := range d {
		n += one.metric(series)
	}
	return n
}

func TestParallelWrongPasswords(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		for round := range rounds(2, 20) {
			who := fmt.Sprintf("nobody.%d", round)
			if round == 0 {
				who = d[0].grace().Username
			}
			judged, locks := d.sum(verified), d.sum(lockouts)
			statuses := tryAtOnce(t, d, 1000, who, "not the right one")
			judged, locks = d.sum(verified)-judged, d.sum(lockouts)-locks
			t.Logf("round %d: %v judged, %v locks, answers %v", round, judged, locks, statuses)
			if judged > 5 || locks != 1 {
				t.Errorf("round %d: %v of 1000 wrong passwords were judged, %v locks", round, judged, locks)
			}
			if n := statuses[http.StatusInternalServerError]; n > 0 {
				t.Errorf("round %d: %d faults", round, n)
			}
		}
	})
}

const lockouts = `medximity_idp_lockouts_total{step="password"}`

func TestParallelRightPasswords(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		statuses := tryAtOnce(t, d, 20, d[0].grace().Username, d[0].grace().Password)
		if statuses[http.StatusSeeOther] != 20 {
			t.Errorf("20 right passwords gave %v", statuses)
		}
		if n := d.sum(`medximity_idp_login_failures_total{factor="password",reason="bad_credentials"}`); n != 0 {
			t.Errorf("%v failures counted", n)
		}
	})
}

// tryAtOnce signs in n times at the same instant, over all processes, and
// counts the answers by status.
func tryAtOnce(t *testing.T, d replicas, n int, identifier, password string) map[int]int {
	t.Helper()
	type try struct {
		client *http.Client
		action string
		form   url.Values
	}
	tries := make([]try, n)
	for i := range tries {
		p := newPerson(t)
		p.visit(d[i%len(d)].Issuer + "/login")
		v := p.form("password")
		v.Set("identifier", identifier)
		v.Set("password", password)
		tries[i] = try{p.client, d[i%len(d)].Issuer + "/login/identify", v}
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	barrier := make(chan struct{})
	var wg sync.WaitGroup
	for _, one := range tries {
		one.client.CheckRedirect = stay
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
	deployments(t, func(t *testing.T, d replicas) {
		p := newPerson(t)
		p.visit(linkIn(t, askForLink(t, d[0], p, d[0].grace()), "/reset-password?token="))
		form := p.form("new_password")
		var won atomic.Int64
		var wg sync.WaitGroup
		barrier := make(chan struct{})
		for i := range rounds(100, 500) {
			v := maps.Clone(form)
			v.Set("new_password", fmt.Sprintf("a lantern over water no %d", i))
			v.Set("confirm_password", v.Get("new_password"))
			// Cookies know no ports, so the flow's browser is known to all.
			client := &http.Client{Jar: p.client.Jar, CheckRedirect: stay}
			to := d[i%len(d)].Issuer + "/reset-password"
			wg.Go(func() {
				<-barrier
				resp, err := client.PostForm(to, v)
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
		if n := d.sum(completed); n != 1 {
			t.Errorf("%v resets were counted", n)
		}
	})
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const completed = `medximity_idp_password_resets_completed_total{initiator="self"}`
