package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// One code and one refresh token, a hundred times at the same instant, over all
// processes.

// tokenAnswer is what the token endpoint said.
type tokenAnswer struct {
	status  int
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

// askTokens posts to a process's token endpoint.
func askTokens(t *testing.T, d *demo, form url.Values) (a tokenAnswer) {
	req, err := http.NewRequest(http.MethodPost, d.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Error(err)
		return a
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(d.Clients[0].ID), url.QueryEscape(d.Clients[0].Secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return a
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Error(err)
	}
	return a
}

// newCode signs somebody in and returns the form that redeems the code.
func newCode(t *testing.T, d *demo) url.Values {
	q := url.Values{"client_id": {d.Clients[0].ID}, "redirect_uri": {"http://127.0.0.1:9/callback"},
		"response_type": {"code"}, "scope": {"openid offline_access"}, "state": {"s"}}
	code := newPerson(t).authorize(d.Issuer+"/authorize?"+q.Encode(), d.grace(), "s", d.Issuer)
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9/callback"}}
}

// atOnce asks a hundred times and returns the good answers; the others must all
// be invalid_grant.
func atOnce(t *testing.T, d replicas, form url.Values) (good []tokenAnswer) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	for i := range 100 {
		wg.Go(func() {
			<-barrier
			a := askTokens(t, d[i%len(d)], form)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.status == http.StatusOK:
				good = append(good, a)
			case a.status != http.StatusBadRequest || a.Error != "invalid_grant":
				t.Errorf("answer %d %s", a.status, a.Error)
			}
		})
	}
	close(barrier)
	wg.Wait()
	return good
}

func TestParallelCode(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		good := atOnce(t, d, newCode(t, d[0]))
		if len(good) != 1 {
			t.Fatalf("one code gave %d answers", len(good))
		}
		familyIsDead(t, d, good[0]) // 99 replays
	})
}

func TestParallelRefresh(t *testing.T) {
	deployments(t, func(t *testing.T, d replicas) {
		first := askTokens(t, d[0], newCode(t, d[0]))
		good := atOnce(t, d, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
		if len(good) > 1 {
			t.Fatalf("one refresh token gave %d answers", len(good))
		}
		for _, a := range append(good, first) {
			familyIsDead(t, d, a)
		}
	})
}

// familyIsDead wants neither token of an answer to be good at any process.
func familyIsDead(t *testing.T, d replicas, a tokenAnswer) {
	t.Helper()
	for _, one := range d {
		if r := askTokens(t, one, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Refresh}}); r.Error != "invalid_grant" {
			t.Errorf("the refresh token gave %d %s", r.status, r.Error)
		}
		req, err := http.NewRequest(http.MethodGet, one.Issuer+"/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.Access)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("the access token gave %s", resp.Status)
		}
	}
}
