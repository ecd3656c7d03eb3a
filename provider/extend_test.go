package provider

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/medximity/idp/flows"
)

var dataLeft = regexp.MustCompile(`data-left="(\d+)"`)

// left is for how many seconds a page says that it can be answered.
func (a answer) left(t *testing.T) int {
	t.Helper()
	m := dataLeft.FindStringSubmatch(a.text)
	if m == nil {
		t.Fatalf("%d: the page has no end:\n%s", a.StatusCode, a.text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever asks for more time stays where they are, with the app's request and
// what they proved.
func TestExtend(t *testing.T) {
	h := newHouse(t, "https://id.example/base")
	code := h.phone("id-grace")
	b := h.browser()
	page := b.signIn(b.authorize(""), "grace", rightPassword)
	whole := int(flows.LoginFor.Seconds())
	if n := page.left(t); n < whole-60 || n > whole {
		t.Errorf("%d s are left of a new flow", n)
	}
	page = b.post("/login/extend", "flow", page.flow(), "way", "totp")
	if to := page.Request.URL; page.StatusCode != http.StatusOK || to.Path != "/base/login" || to.Query().Get("way") != "totp" ||
		!strings.Contains(page.text, "You have more time now.") || !strings.Contains(page.text, `id="otp"`) {
		t.Errorf("%d at %s:\n%s", page.StatusCode, to, page.text)
	}
	if n := page.left(t); n < whole-60 {
		t.Errorf("%d s are left", n)
	}
	done := b.post("/login/totp", "flow", page.flow(), "otp", code())
	if !strings.Contains(done.text, "Save these backup codes") { // the next step
		t.Errorf("%d:\n%s", done.StatusCode, done.text)
	}
}

// A page that cannot have more says that it is out of date, and leads on.
func TestExtendNot(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	b.post("/forgot-password", "email", "grace@river.example")
	token, _ := h.mails(1)[0].Data["token"].(string)
	page := b.get("/reset-password?token=" + token)
	if page.flow() == "" || dataLeft.MatchString(page.text) {
		t.Errorf("%d: more time is offered for a reset link, which is good for 60 minutes:\n%s", page.StatusCode, page.text)
	}
	for name, a := range map[string]answer{
		"a reset":       b.post("/login/extend", "flow", page.flow()),
		"no such flow":  b.post("/login/extend", "flow", "none"),
		"no flow named": b.post("/login/extend"),
	} {
		if a.StatusCode != http.StatusGone || !strings.Contains(a.text, "This page is out of date") || !strings.Contains(a.text, "/login/continue") {
			t.Errorf("%s: %d:\n%s", name, a.StatusCode, a.text)
		}
	}
	mine := b.authorize("")
	theirs := h.browser()
	theirs.authorize("")
	if a := theirs.post("/login/extend", "flow", mine.flow()); a.StatusCode != http.StatusGone {
		t.Errorf("another browser's: %d", a.StatusCode)
	}
}
