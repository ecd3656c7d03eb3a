package main

import (
	"net"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A demo that is started again goes on: the same apps with the same secrets,
// and the password that somebody chose meanwhile.
func TestDemoGoesOn(t *testing.T) {
	dir := t.TempDir()
	first := startDemo(t, "--data", dir)
	p := newPerson(t)
	p.visit(linkIn(t, askForLink(t, first, p, first.grace()), "/reset-password?token="))
	savePassword(p, newPassword)
	first.process.stop(t)

	second := startDemo(t, "--data", dir)
	if diff := cmp.Diff(first.Clients, second.Clients); diff != "" || second.Clients[0].Secret == "" {
		t.Error(diff)
	}
	if len(second.inbox(first.grace().Email)) == 0 {
		t.Error("the mailbox was emptied")
	}
	p = newPerson(t)
	p.visit(second.Issuer + "/login")
	p.signIn(second.grace().Username, newPassword)
	p.sees(second.grace().Username)
}

// Passkeys need a name; an address that has none stays as it is.
func TestDemoIsAtItsName(t *testing.T) {
	for at, want := range map[string]string{
		"127.0.0.1:8080": "localhost:8080", "[::1]:8080": "localhost:8080", "127.0.0.2:8080": "127.0.0.2:8080",
	} {
		a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at))
		if got := byName(a); got != want {
			t.Errorf("%s is at %s, want %s", at, got, want)
		}
	}
	d := startDemo(t)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		u, err := url.Parse(d.Issuer)
		if err != nil || u.Hostname() != "localhost" {
			t.Fatal(d.Issuer, err)
		}
		u.Host = net.JoinHostPort(host, u.Port())
		p := newPerson(t)
		p.visit(u.String() + "/login")
		p.signIn(d.grace().Username, d.grace().Password)
		p.sees(d.grace().Username)
	}
}
