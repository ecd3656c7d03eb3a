package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func TestFail(t *testing.T) {
	g := newRig(t)
	browser := g.handle(get("/"), func(w http.ResponseWriter, r *http.Request) error {
		g.Browser(w, r)
		return nil
	})
	until := g.Store.Now().Add(90 * time.Second)
	for _, tt := range []struct {
		name   string
		err    error
		bound  bool // the browser has its cookie
		status int
		says   string
		retry  string
		logged bool
	}{
		{name: "cookies off", err: ErrNoCookie, status: 400, says: "cookies"},
		{name: "no such flow, cookies off", err: flows.ErrNoFlow, status: 400, says: "cookies"},
		{name: "a flow that is over", err: flows.ErrNoFlow, bound: true, status: 410, says: "out of date"},
		{name: "answered already", err: fmt.Errorf("step password: %w", flows.ErrStale), status: 409, says: "You already answered this"},
		{name: "locked", err: &account.Refusal{Err: account.ErrLocked, Until: until}, status: 403, says: "in 2 minutes"},
		{name: "disabled", err: account.ErrDisabled, status: 403, says: "This password cannot be used"},
		{name: "busy", err: account.ErrBusy, status: 429, says: "Wait 1 second,", retry: "1"},
		{name: "limited", err: &account.Refusal{Err: account.ErrLimited, Until: until}, status: 429, says: "Wait a few minutes", retry: "90"},
		{name: "hash queue full", err: account.ErrQueueFull, status: 503, says: "not available", retry: "5"},
		{name: "directory away", err: fmt.Errorf("ldap: %w", directory.ErrUnavailable), status: 503, says: "not available", retry: "5", logged: true},
		{name: "database away", err: fmt.Errorf("store: begin: %w", &net.OpError{Op: "dial", Err: errBroken}), status: 503,
			says: "not available", retry: "5", logged: true},
		{name: "too slow", err: context.DeadlineExceeded, status: 503, says: "not available", retry: "5", logged: true},
		{name: "a fault", err: errBroken, status: 500, says: "There is a problem with the service", logged: true},
		{name: "no session, unexpected", err: store.ErrNoSession, status: 500, says: "There is a problem with the service", logged: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.log.Reset()
			r := get("/login?flow=f1&token=c4nary")
			if tt.bound {
				with(r, browser)
			}
			resp := g.handle(r, fails(tt.err))
			out := body(t, resp)
			if resp.StatusCode != tt.status || !strings.Contains(out, tt.says) {
				t.Errorf("status %d, want %d and %q:\n%s", resp.StatusCode, tt.status, tt.says, out)
			}
			if got := resp.Header.Get("Retry-After"); got != tt.retry && (tt.retry != "90" || got == "") {
				t.Errorf("Retry-After %q, want %q", got, tt.retry)
			}
			if n := strings.Count(g.log.String(), "\n"); n > 1 || (n == 1) != tt.logged {
				t.Errorf("%d log lines:\n%s", n, g.log)
			}
			if strings.Contains(g.log.String(), "c4nary") {
				t.Errorf("the query is in the log: %s", g.log)
			}
			if strings.Contains(out, "s3cret") || strings.Contains(out, "relation") {
				t.Error("the page tells the cause")
			}
		})
	}
}

// A person can say a reference, and the log has it beside the cause.
func TestFaultHasAReference(t *testing.T) {
	g := newRig(t)
	out := body(t, g.handle(get("/login"), fails(errBroken)))
	_, rest, _ := strings.Cut(out, "<code>")
	reference, _, _ := strings.Cut(rest, "</code>")
	if len(reference) != 8 || !strings.Contains(g.log.String(), `"reference":"`+reference+`"`) ||
		!strings.Contains(g.log.String(), "relation people") {
		t.Errorf("reference %q; log: %s", reference, g.log)
	}
}

func TestPanicBecomesAPage(t *testing.T) {
	g := newRig(t)
	resp := g.handle(get("/login"), func(http.ResponseWriter, *http.Request) error { panic("impossible") })
	if resp.StatusCode != 500 || !strings.Contains(body(t, resp), "There is a problem with the service") {
		t.Errorf("status %d", resp.StatusCode)
	}
	if !strings.Contains(g.log.String(), "panic: impossible") {
		t.Errorf("log: %s", g.log)
	}
}

func TestBrowserThatWentAwayIsNobodysFault(t *testing.T) {
	g := newRig(t)
	r := get("/login")
	g.handle(r.WithContext(cancelled(r.Context())), fails(context.Canceled))
	if g.log.Len() > 0 {
		t.Errorf("log: %s", g.log)
	}
}
