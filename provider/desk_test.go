package provider

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/registry"
	"github.com/medximity/idp/provider/store"
)

// agent adds one of the desk and signs them in by both factors; seen gets every
// answer that they get from then on.
func (h *house) agent(name string, seen func(answer)) *agent {
	h.t.Helper()
	hash, err := h.Hasher.Hash(h.t.Context(), []byte(rightPassword))
	h.ok(err)
	id, err := h.Store.AddPerson(h.t.Context(), store.NewPerson{ID: account.ID("id-" + name), Role: "support", Username: name,
		Email: name + "@desk.example", EmailVerified: true, Hash: hash}, "test")
	h.ok(err)
	code := h.phone(id)
	b := h.browser()
	page := b.signIn(b.get("/support"), name, rightPassword)
	page = b.post("/login/totp", "flow", page.flow(), "otp", code())
	page = b.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.text, "Open cases") {
		h.t.Fatalf("%d: the agent is not at the desk:\n%s", page.StatusCode, page.text)
	}
	return &agent{b, seen}
}

type agent struct {
	*person
	seen func(answer)
}

func (a *agent) get(path string) answer {
	a.h.t.Helper()
	page := a.person.get(path)
	a.seen(page)
	return page
}

// does sends a form of the case's page; it has to be taken.
func (a *agent) does(act string, fields ...string) answer {
	a.h.t.Helper()
	page := a.person.post("/support/case/"+act, fields...)
	a.seen(page)
	if page.StatusCode != http.StatusOK {
		a.h.t.Fatalf("%s: %d\n%s", act, page.StatusCode, page.text)
	}
	return page
}

// asked sends the contact form for the owner of the practice, who lost it all, and
// returns the case and the token of its link.
func (h *house) asked() (id, token string) {
	h.t.Helper()
	h.browser().post("/contact-support", "name", "Olive Owner", "practice", "River Clinic", "username", "owner", "npi", "1234567893",
		"email", "olive@new.example", "happened", "My phone is lost and my mailbox is closed.")
	for _, m := range h.mails(2) {
		if m.Template == "case_opened" {
			return m.Data["reference"].(string), m.Data["token"].(string)
		}
	}
	h.t.Fatal("no case was opened")
	return "", ""
}

// The desk is for agents of the support role, who proved both factors, from the
// desk's networks; for others it is not there.
func TestDeskIsForAgents(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.practice()
	id, _ := h.asked()
	amy := h.agent("amy", func(answer) {})
	owner := h.browser()
	owner.signIn(owner.get("/login"), "owner", rightPassword)
	nobody := h.browser()
	var paths []string
	for _, rt := range h.desk().Routes() {
		paths = append(paths, rt.Pattern)
	}
	if len(paths) < 10 {
		t.Fatal("the desk has no routes")
	}
	all := func(who string, b *person, want func(answer) bool) {
		t.Helper()
		for _, pattern := range paths {
			method, path, _ := strings.Cut(pattern, " ")
			var a answer
			if method == "GET" {
				a = b.get(path + "?id=" + id)
			} else {
				a = b.post(path, "id", id, "note", "n", "reason", "r", "why", "unproven", "reply", "confirm", "round", "0")
			}
			if !want(a) {
				t.Errorf("%s, %s: %d\n%.600s", who, pattern, a.StatusCode, a.text)
			}
		}
	}
	missing := func(a answer) bool { return a.StatusCode == http.StatusNotFound && !strings.Contains(a.text, "Olive") }
	all("an owner", owner, missing)
	all("nobody", nobody, func(a answer) bool {
		return strings.Contains(a.text, `name="password"`) && !strings.Contains(a.text, "Olive")
	})
	h.DeskNetworks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	all("an agent from elsewhere", amy.person, missing)
	h.DeskNetworks = nil
	if a := amy.get("/support/case?id=" + id); a.StatusCode != http.StatusOK || !strings.Contains(a.text, "Olive") {
		t.Errorf("an agent: %d", a.StatusCode)
	}
	h.ok(h.Store.SetDisabled(t.Context(), "id-amy", true, "test"))
	all("an agent who was deactivated", amy.person, func(a answer) bool { return !strings.Contains(a.text, "Olive") })
}

// An agent has two factors, always: without the second the desk leads to its
// set-up, whatever the installation demands of others.
func TestAgentsHaveTwoFactors(t *testing.T) {
	h := newHouse(t, "https://id.example")
	hash, err := h.Hasher.Hash(t.Context(), []byte(rightPassword))
	h.ok(err)
	_, err = h.Store.AddPerson(t.Context(), store.NewPerson{ID: "id-ivy", Role: "front_desk", Username: "ivy",
		Email: "ivy@desk.example", EmailVerified: true, Hash: hash}, "test")
	h.ok(err)
	b := h.browser()
	b.signIn(b.get("/login"), "ivy", rightPassword)
	_, err = h.Store.GiveRole(t.Context(), "id-ivy", account.Support, "test")
	h.ok(err)
	page := b.get("/support") // with the session of one factor that they had
	if !strings.Contains(page.text, `name="password"`) {
		t.Fatalf("%d %s", page.StatusCode, page.text)
	}
	page = b.post("/login/password", "flow", page.flow(), "password", rightPassword)
	if !strings.Contains(page.text, "otpauth") || strings.Contains(page.text, "Open cases") {
		t.Errorf("%d: no second factor is set up:\n%s", page.StatusCode, page.text)
	}
}

var backupCode = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{5}\b`)

// S: an agent never obtains a password, a code, a link or a session of anyone, nor
// what the directory holds before they said why: in no answer of the desk, from
// the case's opening to its end.
func TestDeskNeverTells(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.practice()
	ctx := t.Context()
	key := account.NewKey()
	_, err := h.Store.BringSecond(ctx, "id-owner", account.NewAuthenticator{Name: "Phone", Key: key}, "test")
	h.ok(err)
	theirs := h.browser()
	page := theirs.signIn(theirs.get("/login"), "owner", rightPassword)
	page = theirs.post("/login/totp", "flow", page.flow(), "otp", account.ShowCode(key, h.Store.Now()))
	codes := backupCode.FindAllString(page.text, -1)
	theirs.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	h.inDB(`UPDATE people SET name = 'Olivia Rivers', claims = '{"phone_number":"+1 555 0177"}' WHERE id = 'id-owner'`)
	h.browser().post("/forgot-password", "email", "owner@river.example")
	secrets := map[string]string{"the session": theirs.cookie("session"), "the key": account.KeyText(key), "the password": rightPassword,
		"its hash": "$argon2"}
	for _, c := range codes {
		secrets["a backup code "+c] = c
	}
	if len(codes) != 10 {
		t.Fatalf("%d backup codes", len(codes))
	}
	linked := func(mails []store.Mail) {
		for _, m := range mails {
			for _, name := range []string{"token", "cancel", "not_me"} {
				if token, ok := m.Data[name].(string); ok {
					secrets[m.Template+" "+name] = token
				}
			}
		}
	}
	linked(h.mails(2)) // new backup codes, a reset link
	id, token := h.asked()
	secrets["the case's link"] = token
	stored := map[string]string{"the name": "Olivia Rivers", "the address": "owner@river.example", "the number": "+1 555 0177"}

	revealed, answers := false, 0
	look := func(a answer) {
		t.Helper()
		answers++
		var head strings.Builder
		h.ok(a.Header.Write(&head))
		for name, s := range secrets {
			for form, needle := range forms(s) {
				if strings.Contains(a.text+head.String(), needle) {
					t.Errorf("answer %d tells %s, %s", answers, name, form)
				}
			}
		}
		for name, s := range stored {
			if !revealed && strings.Contains(a.text, s) {
				t.Errorf("answer %d tells %s", answers, name)
			}
		}
	}
	amy, ben := h.agent("amy", look), h.agent("ben", look)
	linked(h.mails(2)) // of their new codes
	at := "/support/case?id=" + id
	for _, path := range []string{"/support", "/support/closed", at, "/support/trail?id=" + id} {
		amy.get(path)
	}
	amy.does("take", "id", id)
	amy.does("note", "id", id, "note", "Called the practice.")
	h.browser().post("/contact-support/case/confirm", "token", token)
	amy.does("choose", "id", id, "round", "0", "person", "other", "account", "owner", "remedy-email", "yes", "remedy-second", "yes")
	for _, check := range []string{"facts", "identity", "affiliation"} {
		amy.does("check", "id", id, "check", check, "evidence-"+check, "Seen.")
	}
	amy.does("reply", "id", id, "reply", "identity")
	amy.does("approve", "id", id, "round", "1")
	ben.get(at)
	revealed = true
	if page := ben.does("reveal", "id", id, "reason", "To compare the name."); !strings.Contains(page.text, "Olivia Rivers") {
		t.Error("nothing is shown to who said why")
	}
	if page := ben.get("/support/trail?id=" + id); !strings.Contains(page.text, "Signed in") {
		t.Errorf("no trail:\n%s", page.text)
	}
	revealed = false
	amy.get(at) // she did not say why
	revealed = true
	ben.does("approve", "id", id, "round", "1")
	linked(h.mails(2)) // the reply, the notice to the address on file
	ben.get(at)
	h.browser().post("/contact-support/release", "token", secrets["case_notice token"])
	got := h.mails(4) // twice that the address changed, the second factor, the link
	linked(got)
	for _, path := range []string{"/support", "/support/closed", at} {
		amy.get(path)
		ben.get(path)
	}
	if answers < 20 || len(secrets) < 20 {
		t.Errorf("%d answers and %d secrets were looked at", answers, len(secrets))
	}
	c, err := h.Store.DeskCase(ctx, id)
	h.ok(err)
	reset := slices.IndexFunc(got, func(m store.Mail) bool { return m.Template == "reset" })
	if c.State != flows.CaseDone || reset < 0 || h.who("olive@new.example").ID != "id-owner" {
		t.Fatalf("%s, %v", c.State, got)
	}
	// What came of it is a link to the new address, and that works.
	b := h.browser()
	form := b.get("/reset-password?token=" + got[reset].Data["token"].(string))
	b.post("/reset-password", "flow", form.flow(), "new_password", "a lantern over quiet water", "confirm_password", "a lantern over quiet water")
	if page := b.signIn(b.get("/login"), "olive@new.example", "a lantern over quiet water"); b.cookie("session") == "" {
		t.Errorf("%d: the owner is not in:\n%s", page.StatusCode, page.text)
	}
}

// At Account Settings a live session has the case done at once that its page
// named, and no other; and it stops what waits.
func TestASessionSaysWhetherItWasThem(t *testing.T) {
	for _, release := range []bool{true, false} {
		h := newHouse(t, "https://id.example")
		h.practice()
		key := h.phone("id-owner")
		theirs := h.browser()
		page := theirs.signIn(theirs.get("/login"), "owner", rightPassword)
		page = theirs.post("/login/totp", "flow", page.flow(), "otp", key())
		theirs.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
		if page := theirs.get("/account/case"); !strings.Contains(page.text, "There is nothing to stop") {
			t.Errorf("without a case: %d\n%s", page.StatusCode, page.text)
		}
		h.mails(1)
		id, _ := h.asked()
		amy, ben := h.agent("amy", func(answer) {}), h.agent("ben", func(answer) {})
		amy.does("take", "id", id)
		amy.does("choose", "id", id, "round", "0", "person", "id-owner", "remedy-second", "yes")
		for _, check := range []string{"facts", "identity", "affiliation"} {
			amy.does("check", "id", id, "check", check, "evidence-"+check, "Seen.")
		}
		amy.does("approve", "id", id, "round", "1")
		ben.does("approve", "id", id, "round", "1")
		if page := theirs.get("/account/sessions"); !strings.Contains(page.text, "Support is about to change something") {
			t.Errorf("no banner: %d\n%s", page.StatusCode, page.text)
		}
		state := func() flows.CaseState {
			t.Helper()
			c, err := h.Store.DeskCase(t.Context(), id)
			h.ok(err)
			return c.State
		}
		for _, other := range []string{"", "AAAAAAAA"} {
			if theirs.post("/account/case/release", "case", other); state() != flows.CaseWaiting {
				t.Fatalf("released as %q", other)
			}
		}
		if release {
			if theirs.post("/account/case/release", "case", id); state() != flows.CaseDone {
				t.Errorf("not released: %s", state())
			}
			continue
		}
		if page := theirs.post("/account/case/stop"); !strings.Contains(page.text, "It is stopped") {
			t.Errorf("%d\n%s", page.StatusCode, page.text)
		}
		if theirs.post("/account/case/release", "case", id); state() != flows.CaseWaiting {
			t.Errorf("released though it was stopped: %s", state())
		}
		if a := ben.person.post("/support/case/approve", "id", id, "round", "1"); a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("approved though it was stopped: %d", a.StatusCode)
		}
	}
}

// The desk finds the account of a claimed NPI, and sees whether the registry, where
// there is one, has the NPI for the claimed name.
func TestDeskLooksAnNPIUp(t *testing.T) {
	h := newHouse(t, "https://id.example")
	_, err := h.Store.AddPerson(t.Context(), store.NewPerson{ID: "id-doc", Username: "doc", Email: "doc@river.example",
		EmailVerified: true, Name: "Grace Okafor", Claims: map[string]any{"npi": "1245319599"}}, "test")
	h.ok(err)
	amy := h.agent("amy", func(answer) {})
	opened := func(name, npi string) string {
		t.Helper()
		h.browser().post("/contact-support", "name", name, "practice", "River Clinic", "npi", npi, "email", strings.ToLower(strings.ReplaceAll(name, " ", "."))+"@new.example")
		lines, err := h.Store.Queue(t.Context(), 10)
		h.ok(err)
		for _, l := range lines {
			if l.Claims.Name == name {
				amy.does("take", "id", l.ID)
				return amy.get("/support/case?id=" + l.ID).text
			}
		}
		t.Fatalf("no case of %s", name)
		return ""
	}
	page := opened("Grace Okafor", "1245319599")
	if !strings.Contains(page, `<option value="id-doc">One that has the claimed NPI`) || strings.Contains(page, "NPI registry") {
		t.Errorf("without a registry:\n%s", page)
	}
	if page := opened("Mary Hale", "1234567893"); strings.Contains(page, "One that has the claimed NPI") {
		t.Errorf("an account of an NPI that nobody has:\n%s", page)
	}
	h.Registry, err = registry.Open("registry/testdata/providers.csv")
	h.ok(err)
	defer h.Registry.Close()
	line := regexp.MustCompile(`(?s)Name in the NPI registry</th><td>[^<]*</td><td>(\w+)</td>`)
	for _, tt := range []struct{ name, npi, fits string }{
		{"Grace Ida Okafor", "1245319599", "Yes"},
		{"Mallory Okafor", "1245319599", "No"},
		{"Grace Okafor II", "1003000126", "No"}, // deactivated
		{"Nobody At All", "1000000004", "No"},   // not there
	} {
		if m := line.FindStringSubmatch(opened(tt.name, tt.npi)); m == nil || m[1] != tt.fits {
			t.Errorf("%s, %s: %v, want %s", tt.name, tt.npi, m, tt.fits)
		}
	}
}
