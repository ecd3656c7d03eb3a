package settings

import (
	"encoding/csv"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// evil is a name that is code to everybody at once: to a browser, a terminal, a
// reader from right to left, a spreadsheet, a template, a header.
const evil = "=1+1\u202e<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x00\x1b[31m\u2066{{.}}\u200b\r\nX: y\u2028z"

var tags = regexp.MustCompile(`(?s)<[^>]*>`)

// Every page of the team is the page that it is for anybody, whatever the
// practice, its people, its locations and whoever is to own it are called: the
// same tags, and no character that nobody can see.
func TestHostileNamesOnEveryPageOfTheTeam(t *testing.T) {
	visit := func(name string) map[string]string {
		g := newRig(t)
		g.able.Team = true
		g.ok(g.Store.AddPractice(t.Context(), "river", name))
		for _, role := range []string{"owner", "billing"} {
			g.hire("river", role, role, name)
		}
		by := store.Acting{Account: "owner", Practice: "river"}
		place, err := g.Store.AddLocation(t.Context(), by, name)
		g.ok(err)
		_, err = g.Store.SetMemberLocations(t.Context(), by, "billing", []string{place})
		g.ok(err)
		_, err = g.Store.Invite(t.Context(), by, store.Invite{Email: "zoe@guest.example", Role: account.Billing, Locations: []string{place}})
		g.ok(err)
		_, err = g.Store.OfferPractice(t.Context(), by, "billing")
		g.ok(err)
		pages := map[string]string{}
		for _, as := range []account.ID{"owner", "billing"} {
			g.session = g.signIn(as)
			for _, rt := range g.Routes() {
				method, path, _ := strings.Cut(rt.Pattern, " ")
				if method == "GET" && (strings.HasPrefix(path, "/account/team") || path == "/account/ownership" || path == "/account/activity") {
					a := g.get(path + "?id=billing&act=transfer")
					pages[string(as)+" at "+path] = strings.NewReplacer(place, "PLACE").Replace(a.page)
				}
			}
		}
		g.session = g.signIn("owner")
		pages["csv"] = g.post("/account/team/access.csv").page
		return pages
	}
	tame, got := visit("Kim"), visit(evil)
	if len(got) < 18 {
		t.Fatalf("only %d pages", len(got))
	}
	held := 0
	for name, page := range got {
		unseen := func(r rune) bool {
			return unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r)
		}
		if strings.ContainsFunc(page, unseen) || strings.ContainsAny(page, "\u2028\u2029") {
			t.Errorf("%s: characters that nobody can see: %q", name, page)
		}
		if strings.Contains(page, "alert(1)") {
			held++
		}
		if name == "csv" {
			continue
		}
		was, is := tagsOf(tame[name]), tagsOf(page)
		if was != is {
			t.Errorf("%s: other tags than for Kim:\n%s\n%s", name, was, is)
		}
	}
	if held < 10 {
		t.Errorf("only %d pages hold the name", held)
	}
	rows, err := csv.NewReader(strings.NewReader(got["csv"])).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.ContainsRune("=+-@\t\r", []rune(cell + "x")[0]) || strings.ContainsAny(cell, "\r\n") {
				t.Errorf("a cell that a spreadsheet may run: %q", cell)
			}
		}
	}
}

// tagsOf are a page's tags without what is said in them.
func tagsOf(page string) string {
	quoted := regexp.MustCompile(`="[^"]*"`)
	return strings.Join(tags.FindAllString(quoted.ReplaceAllString(page, `=""`), -1), "")
}
