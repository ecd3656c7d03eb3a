package settings

import (
	"context"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// The owner offers, the heir agrees, and both see how it stands; who is neither
// sees nothing.
func TestOwnershipPages(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	owners, heirs, others := g.session, g.signIn("admin-river"), g.signIn("billing-river")
	as := func(s *store.Session) *rig { g.session = s; return g }

	g.shows(g.get("/account/ownership"), 200, "No transfer of ownership")
	g.shows(g.get("/account/team/confirm?act=transfer&id=admin-river"), 200, "Make ADMIN of river the Account Owner?", `action="/id/account/team/transfer"`)
	g.shows(g.post("/account/team/transfer", "id", "admin-river"), 303, "/account/ownership?notice=transfer_offered")
	g.shows(g.post("/account/team/transfer", "id", "billing-river"), 409, "offered to somebody already")
	g.shows(g.get("/account/ownership"), 200, "You offered The river practice to ADMIN of river", "Stop the Transfer")

	g.shows(as(others).get("/account/ownership"), 200, "No transfer of ownership")
	g.shows(g.post("/account/ownership/agree"), 303, "/account/ownership")
	g.shows(g.post("/account/ownership/end"), 303, "/account/ownership")

	a := as(heirs).get("/account/ownership")
	g.shows(a, 200, "OWNER of river asks you", "Agree", "Decline")
	g.shows(g.get("/account/team/confirm?act=transfer&id=billing-river"), 404)
	g.shows(g.post("/account/team/transfer", "id", "billing-river"), 403)
	g.shows(g.post("/account/ownership/agree"), 303, "/account/ownership?notice=transfer_agreed")
	g.shows(g.get("/account/ownership?notice=transfer_agreed"), 200, "takes The river practice over", `role="status"`, "Happens on")
	g.shows(as(owners).get("/account/ownership"), 200, "takes The river practice over", "Stop the Transfer")
	g.shows(g.post("/account/ownership/end"), 303, "/account/ownership?notice=transfer_ended")
	g.shows(g.get("/account/ownership"), 200, "No transfer of ownership")
}

// The link in the mail shows first, and stops it by a button; once.
func TestOwnershipIsKeptByTheLink(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	_, err := g.Store.OfferPractice(t.Context(), store.Acting{Account: "owner-river", Practice: "river"}, "admin-river")
	g.ok(err)
	sent := make(chan store.Mail, 16)
	stop, err := g.Store.Work(t.Context(), store.Workers{SendMail: func(_ context.Context, m store.Mail) error { sent <- m; return nil }})
	g.ok(err)
	defer func() { _ = stop(t.Context()) }()
	_, err = g.Store.AgreeToOwn(t.Context(), store.Acting{Account: "admin-river", Practice: "river"})
	g.ok(err)
	tokens := map[string]string{}
	for len(tokens) < 2 {
		if m := <-sent; m.Template == "transfer_agreed" {
			tokens[m.Subject] = m.Data["cancel"].(string)
		}
	}
	for _, token := range []string{"", "x", strings.Repeat("A", 43)} {
		g.shows(g.get("/ownership/cancel?token="+token), 410, "nothing to stop")
		g.shows(g.post("/ownership/cancel", "token", token), 410)
	}
	g.shows(g.get("/ownership/cancel?token="+tokens["admin-river"]), 200, tokens["admin-river"])
	g.shows(g.get("/ownership/cancel?token="+tokens["owner-river"]), 200)
	if tr, err := g.Store.Transfer(t.Context(), "river"); tr == nil || err != nil {
		t.Fatalf("a GET stopped it: %v", err)
	}
	g.shows(g.post("/ownership/cancel", "token", tokens["owner-river"]), 200, "The transfer is stopped")
	g.shows(g.post("/ownership/cancel", "token", tokens["admin-river"]), 410)
	if e, err := g.Store.Member(t.Context(), "river", "owner-river"); err != nil || e.Role != account.Owner {
		t.Errorf("%+v, %v", e, err)
	}
}
