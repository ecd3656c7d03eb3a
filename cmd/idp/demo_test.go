package main

import (
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
