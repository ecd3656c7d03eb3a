//go:build campaign

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// T27: how long an answer takes must not tell whether anybody has the name, or
// how their account stands. Pairs are interleaved; the AUC is the chance that of
// a known and an unknown name the known one took longer: 0.5 tells nothing.
//
//	IDP_PAIRS=2000 go test -tags campaign ./cmd/idp -run T27 -v -timeout 2h
func TestT27TimeTellsNothing(t *testing.T) {
	pairs := 2000
	if n, err := strconv.Atoi(os.Getenv("IDP_PAIRS")); err == nil {
		pairs = n
	}
	url := storetest.New(t, "postgres").URL
	data := t.TempDir()
	d := startDemo(t, "--store", url, "--data", data)
	kinds := []string{"known", "second", "stopped"}
	seedAlike(t, url, data, kinds, pairs)
	for _, load := range []int{0, 4} {
		stop := hashing(t, d, load)
		for _, kind := range kinds {
			a := aucOf(t, pairs, func(i int, known bool) time.Duration {
				name := fmt.Sprintf("%s%d", kind, i/4) // four tries each, five would lock
				if !known {
					name = fmt.Sprintf("nobody%s%d%d", kind, load, i/4)
				}
				if load > 0 {
					name = "x" + name
				}
				return timed(t, d, "/login", "password", "/login/identify", map[string]string{"identifier": name, "password": "not the right one"})
			})
			t.Logf("signing in, %s against unknown, %d others hashing: AUC %.3f of %d pairs", kind, load, a, pairs)
			if a < 0.47 || a > 0.53 {
				t.Errorf("AUC %.3f tells %s from unknown", a, kind)
			}
		}
		a := aucOf(t, pairs, func(i int, known bool) time.Duration {
			name := fmt.Sprintf("known%d@alike.example", i/2)
			if !known {
				name = fmt.Sprintf("nobody%d%d@alike.example", load, i/2)
			}
			if load > 0 {
				name = "x" + name
			}
			return timed(t, d, "/forgot-password", "email", "/forgot-password", map[string]string{"email": name})
		})
		t.Logf("asking for a link, known against unknown, %d others hashing: AUC %.3f of %d pairs", load, a, pairs)
		if a < 0.47 || a > 0.53 {
			t.Errorf("AUC %.3f tells a registered address", a)
		}
		stop()
	}
}

// seedAlike adds people of each kind, twice: for the run without load and, with
// an x before their names, for the one with it.
func seedAlike(t *testing.T, url, data string, kinds []string, pairs int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "ring.json"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ParseRing(b)
	if err != nil {
		t.Fatal(err)
	}
	st := storetest.Open(t, store.Config{URL: url, Ring: ring})
	hash, err := new(account.Hasher).Hash(context.Background(), []byte("violet kettle on the stove"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		n := pairs/4 + 1
		if kind == "known" {
			n = pairs/2 + 1 // two links each, three an hour are mailed
		}
		for i := range n {
			for _, x := range []string{"", "x"} {
				name := fmt.Sprintf("%s%s%d", x, kind, i)
				id, err := st.AddPerson(t.Context(), store.NewPerson{ID: account.ID("id-" + name), Username: name,
					Email: name + "@alike.example", EmailVerified: true, Hash: hash}, "test")
				if err == nil && kind == "second" {
					_, err = st.BringSecond(t.Context(), id, account.NewAuthenticator{Key: account.NewKey()}, "test")
				}
				if err == nil && kind == "stopped" {
					err = st.SetDisabled(t.Context(), id, true, "test")
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// timed opens a page, fills its form in, and returns how long the answer to it
// took to the last byte.
func timed(t *testing.T, d *demo, open, control, action string, fields map[string]string) time.Duration {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + open)
	form := p.form(control)
	for name, v := range fields {
		form.Set(name, v)
	}
	start := time.Now()
	p.send(d.Issuer+action, form)
	return time.Since(start)
}

// aucOf interleaves pairs, in changing order, and returns the area under the
// curve (Mann-Whitney, ties counted half).
func aucOf(t *testing.T, pairs int, try func(i int, known bool) time.Duration) float64 {
	t.Helper()
	var known, unknown []time.Duration
	for i := range pairs {
		first := i%2 == 0
		for _, k := range []bool{first, !first} {
			if took := try(i, k); k {
				known = append(known, took)
			} else {
				unknown = append(unknown, took)
			}
		}
	}
	slices.Sort(unknown)
	above := 0.0
	for _, k := range known {
		low, _ := slices.BinarySearch(unknown, k)
		high, _ := slices.BinarySearch(unknown, k+1)
		above += float64(low) + float64(high-low)/2
	}
	return above / float64(len(known)) / float64(len(unknown))
}

// hashing keeps n clients signing in with names that nobody has, until the
// returned function is called.
func hashing(t *testing.T, d *demo, n int) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			client := &http.Client{}
			for try := 0; ; try++ {
				select {
				case <-done:
					return
				default:
				}
				p := newPerson(t)
				p.visit(d.Issuer + "/login")
				form := url.Values{"flow": p.form("password")["flow"], "identifier": {fmt.Sprintf("load%d.%d", i, try/4)}, "password": {"wrong"}}
				client.Jar = p.client.Jar
				resp, err := client.PostForm(d.Issuer+"/login/identify", form)
				if err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}
