package web

import (
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/templates"
)

// The structs fit their pages, in every language.
func TestPageData(t *testing.T) {
	g := newRig(t)
	at := time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)
	for _, p := range []templates.Page{
		{Name: "login", Step: "identify", Flow: "f1", Data: flows.SignInPage{Identifier: "grace", App: "Chart"}},
		{Name: "new_password", Action: "/id/reset-password", Data: flows.NewPasswordPage{Username: "grace", Min: 15, Max: 256}},
		{Name: "locked", Data: LockedPage{30, at}},
		{Name: "busy", Data: BusyPage{2}},
		{Name: "forgot", Data: ForgotPage{"a@b.example"}},
		{Name: "forgot_sent", Data: ForgotSentPage{"a@b.example", "no-reply@c.example", 60}},
		{Name: "link", Data: LinkPage{Fate: "superseded", NewerAt: at}},
		{Name: "cancel", Data: CancelPage{"t1"}},
		{Name: "support", Data: SupportPage{}},
		{Name: "support_sent", Data: SupportSentPage{"AB12CD34", at}},
		{Name: "home", Data: HomePage{"grace"}},
		{Name: "stale", Data: StalePage{}},
		{Name: "fault", Data: FaultPage{"AB12CD34"}},
		{Name: "unavailable", Data: FaultPage{"AB12CD34"}},
		{Name: "oauth_error", Data: OAuthErrorPage{"Chart", "invalid_scope", "no such scope"}},
		{Name: "form_post", Data: FormPostPage{"Chart", "https://chart.example/cb", []FormField{{"code", "c1"}}}},
	} {
		for _, lang := range templates.Languages() {
			r := get("/page")
			r.Header.Set("Accept-Language", lang)
			resp := g.handle(r, g.shows(200, p))
			out := body(t, resp)
			if resp.StatusCode != 200 || !strings.Contains(out, "<h1>") || inlineOf(t, out) != "" {
				t.Errorf("%s in %s: %d %s", p.Name, lang, resp.StatusCode, inlineOf(t, out))
			}
		}
	}
	if g.log.Len() > 0 {
		t.Errorf("log: %s", g.log)
	}
}
