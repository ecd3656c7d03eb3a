package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// A challenge is of one flow, of one browser, of where that flow stands, and of what
// it was given out for.
func TestAPasskeyChallengeIsOfOneFlow(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, b := h.enrolled("grace")
	refused := func(what string, by *person, flow string, answered string, status int) {
		t.Helper()
		had := by.cookie("session")
		got := by.post("/login/passkey", "flow", flow, "passkey", answered)
		if got.StatusCode != status || by.cookie("session") != had || got.code() != "" {
			t.Errorf("%s: %d\n%s", what, got.StatusCode, got.text)
		}
	}
	mine, theirs := h.browser(), h.browser()
	page := mine.get("/login")
	answered := k.Use(page.challenge(t), nil)
	theirs.get("/login")
	refused("another browser's flow", theirs, page.flow(), answered, 410)
	moved := mine.post("/login/identify", "flow", page.flow(), "identifier", "grace")
	refused("of another revision", mine, moved.flow(), answered, 422)
	made := b.post("/account/security/passkeys")
	refused("of the page that makes one", b, made.flow(), k.Use(made.challenge(t), nil), 200)
	step := b.authorize("&prompt=login")
	refused("of a set-up, in a step-up", b, step.flow(), k.Use(made.challenge(t), nil), 422)
	step = b.get("/login?flow=" + step.flow() + "&way=passkey")
	refused("of a step-up, in a sign-in", mine, moved.flow(), k.Use(step.challenge(t), nil), 422)
	if n, reason, _ := h.lastRefusal(); n != 3 || reason != string(account.PasskeyChallenge) {
		t.Errorf("%d are told, the last as %s", n, reason)
	}
}

// The page by which people sign in says the same to the browser, whoever the app
// thinks they are.
func TestThePasskeyThatIsAskedForTellsNobodyApart(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.enrolled("grace")
	h.browser().authorize("") // warms the caches
	var want shape
	for _, name := range append(whoever, "edith") {
		b := h.browser()
		var page answer
		got := h.shapeOf(name, func() answer {
			page = b.authorize("&login_hint=" + url.QueryEscape(name))
			return page
		})
		if strings.Contains(page.options(t), "allowCredentials") {
			t.Errorf("%s: whose passkeys are known: %s", name, page.options(t))
		}
		typed := h.shapeOf(name, func() answer {
			return b.post("/login/identify", "flow", page.flow(), "identifier", name)
		})
		got.Text += typed.Text
		got.Statements = append(got.Statements, typed.Statements...)
		got.Headers = nil
		if name == whoever[0] {
			want = got
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-%s +%s):\n%s", name, whoever[0], name, d)
		}
	}
}

// One answer, sent a hundred times at once from two browsers that share a cookie,
// is one session.
func TestAPasskeyAnswerIsOneSession(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHouseOn(t, "https://id.example", engine)
			k, _ := h.enrolled("grace")
			b, twin := h.browser(), h.browser()
			page := b.get("/login")
			u, err := url.Parse(h.issuer)
			h.ok(err)
			twin.Jar.SetCookies(u, b.Jar.Cookies(u))
			form := url.Values{"flow": {page.flow()}, "passkey": {k.Use(page.challenge(t), nil)}}.Encode()
			h.mu.Lock()
			h.events = nil
			h.mu.Unlock()
			statuses, start := make([]int, 100), make(chan struct{})
			var wg sync.WaitGroup
			for i := range statuses {
				wg.Go(func() {
					<-start
					statuses[i] = []*person{b, twin}[i%2].send("/login/passkey", form)
				})
			}
			close(start)
			wg.Wait()
			// A store that has no room for a hundred at once says so; whoever comes
			// back then is one more.
			statuses = append(statuses, b.send("/login/passkey", form))
			told := map[account.Kind]int{}
			for _, e := range h.eventsOf("id-grace") {
				told[e.Kind]++
			}
			if told[account.SignedIn] != 1 || told[account.PasskeyUsed] != 1 {
				t.Errorf("%v; %v", told, statuses)
			}
			if n := len(h.sessions("id-grace")); n != 2 { // with the one in which the passkey was made
				t.Errorf("%d sessions", n)
			}
			if slices.Contains(statuses, http.StatusInternalServerError) || slices.Min(statuses) < 200 {
				t.Errorf("%v", statuses)
			}
		})
	}
}

// send posts a form and returns the status, 0 if there was none.
func (p *person) send(path, form string) int {
	r, err := http.NewRequest(http.MethodPost, p.h.issuer+path, strings.NewReader(form))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := p.Transport.RoundTrip(withCookies(r, p.Jar.Cookies(r.URL)))
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

func withCookies(r *http.Request, all []*http.Cookie) *http.Request {
	for _, c := range all {
		r.AddCookie(c)
	}
	return r
}

func (h *house) sessions(id account.ID) []store.Session {
	h.t.Helper()
	all, err := h.Store.Sessions(h.t.Context(), id)
	h.ok(err)
	return all
}
