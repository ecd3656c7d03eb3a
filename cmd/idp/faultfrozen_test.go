package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store/storetest"
	"github.com/medximity/idp/provider/web"
)

// wire is a cable to a server which the test may cut, so that nothing comes
// through and nobody is told: a frozen machine, a firewall that forgot.
type wire struct {
	addr string
	cut  atomic.Bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{addr: l.Addr().String()}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go w.carry(near, far)
			go w.carry(far, near)
		}
	}()
	return w
}

// carry copies one direction; what comes while the wire is cut is lost.
func (w *wire) carry(to, from net.Conn) {
	defer to.Close()
	for b := make([]byte, 32<<10); ; {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if w.cut.Load() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// A database that says nothing at all holds no request for ever, and the
// balancer hears of it within two seconds.
func TestFaultAFrozenDatabaseHoldsNobodyForEver(t *testing.T) {
	u, err := url.Parse(storetest.New(t, "postgres").URL)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, u.Host)
	u.Host = w.addr
	d := startDemo(t, "--store", u.String())
	tokens := codeInHand(t, d)
	within := newPerson(t)
	within.visit(d.Issuer + "/login")
	form := within.form("password")
	form.Set("identifier", d.grace().Username)
	form.Set("password", d.grace().Password)
	judged := d.metric(verified)

	w.cut.Store(true)
	start := time.Now()
	if status := get(t, d.operator()+"/readyz"); status != http.StatusServiceUnavailable || time.Since(start) > answersWithin+time.Second {
		t.Errorf("/readyz says %d after %s", status, time.Since(start))
	}
	start = time.Now()
	asked := make(chan int, 1)
	go func() { asked <- tokens.ask() }()
	within.send(d.Issuer+"/login/identify", form)
	within.sees("The service is not available right now", "Reference")
	if took := time.Since(start); within.page.status != http.StatusServiceUnavailable || took > web.AnswerFor+time.Second {
		t.Errorf("status %d after %s", within.page.status, took)
	}
	if status := <-asked; status != http.StatusServiceUnavailable || time.Since(start) > web.AnswerFor+time.Second {
		t.Errorf("the token endpoint says %d after %s", status, time.Since(start))
	}
	if n := d.metric(verified); n != judged {
		t.Errorf("%v passwords were judged without a charge", n-judged)
	}

	w.cut.Store(false)
	eventually(t, "ready", func() bool { return get(t, d.operator()+"/readyz") == http.StatusOK })
	within.send(d.Issuer+"/login/identify", form)
	within.sees(d.grace().Username)
	d.process.crash(t) // a drain would wait for the jobs that the cut left hanging
}

// ask sends what is next and returns the status.
func (a *appTokens) ask() int {
	form := url.Values{"client_id": {a.client.ID}, "client_secret": {a.client.Secret}}
	for name, v := range a.next {
		form[name] = v
	}
	resp, err := http.PostForm(a.endpoint, form)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
