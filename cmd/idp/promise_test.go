package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Each test is a promise of the vendor's help pages, in their numbering, kept
// by the real binary for a person whose browser runs no JavaScript.

const newPassword = "a lantern over quiet water"

// grace is the first of the demo's people: she has no second factor.
func (d *demo) grace() demoPerson { return d.People[0] }

// lockOut types five wrong passwords.
func lockOut(t *testing.T, d *demo, who demoPerson) *person {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	for range 5 {
		p.signIn(who.Username, "not the right one")
	}
	p.sees("Your account is locked")
	return p
}

// askForLink goes through "Forgot Password?" and returns the mail.
func askForLink(t *testing.T, d *demo, p *person, who demoPerson) received {
	t.Helper()
	before := resetMails(d, who.Email)
	p.visit(d.Issuer + "/login")
	p.follow("Forgot Password?")
	p.press("Send Reset Link", map[string]string{"email": who.Email})
	eventually(t, "the reset mail", func() bool { return len(resetMails(d, who.Email)) > len(before) })
	all := resetMails(d, who.Email)
	return all[len(all)-1]
}

// resetMails are the mails with a link to a new password.
func resetMails(d *demo, to string) []received {
	var out []received
	for _, m := range d.inbox(to) {
		if strings.Contains(m.Text, "/reset-password?token=") {
			out = append(out, m)
		}
	}
	return out
}

func savePassword(p *person, password string) *page {
	p.t.Helper()
	return p.press("Save Password", map[string]string{"new_password": password, "confirm_password": password})
}

func TestPromise_1_1_ForgotPasswordStandsBelowTheLoginFields(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	words := p.page.words()
	if strings.Index(words, "Password") > strings.LastIndex(words, "Forgot Password?") {
		t.Errorf("the link does not stand below the fields: %s", words)
	}
	p.follow("Forgot Password?")
	if p.page.url.Path != "/forgot-password" {
		t.Errorf("it leads to %s", p.page.url)
	}
}

func TestPromise_1_2_TheAnswerTellsNotWhetherAnAddressIsRegistered(t *testing.T) {
	d := startDemo(t)
	answer := func(email string) *page {
		p := newPerson(t)
		p.visit(d.Issuer + "/forgot-password")
		return p.press("Send Reset Link", map[string]string{"email": email})
	}
	known, unknown := answer(d.grace().Email), answer("nobody@riverside.example")
	neutral := func(g *page, email string) string { return strings.ReplaceAll(g.words(), email, "ADDRESS") }
	if neutral(known, d.grace().Email) != neutral(unknown, "nobody@riverside.example") || known.status != unknown.status {
		t.Errorf("known (%d):\n%s\nunknown (%d):\n%s", known.status, known.words(), unknown.status, unknown.words())
	}
	for name := range known.header {
		if _, ok := unknown.header[name]; !ok {
			t.Errorf("only a registered address gets the header %s", name)
		}
	}
	d.mails(d.grace().Email, 1)
	if n := len(d.inbox("nobody@riverside.example")); n != 0 {
		t.Errorf("%d mails went to an address that nobody has", n)
	}
}

func TestPromise_1_3_TheMailLeadsToTheNewPassword(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	m := askForLink(t, d, p, d.grace())
	if !strings.Contains(m.HTML, "Reset My Password") || !strings.Contains(m.Text, "Reset My Password") {
		t.Errorf("the mail has no button Reset My Password:\n%s", m.Text)
	}
	p.visit(linkIn(t, m, "/reset-password?token="))
	if strings.Contains(p.page.url.String(), "token") {
		t.Errorf("the token stayed in the URL: %s", p.page.url)
	}
	p.sees("New password", "Confirm new password", "15")
	if got := p.page.header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}

	p.press("Save Password", map[string]string{"new_password": newPassword, "confirm_password": "another"})
	p.sees("There is a problem", "The two passwords are different")
	if !strings.HasPrefix(p.page.title(), "Error: ") || p.page.status != http.StatusUnprocessableEntity {
		t.Errorf("title %q, status %d", p.page.title(), p.page.status)
	}
	savePassword(p, "short")
	p.sees("Password must be 15 characters or more")
	savePassword(p, "passwordpassword")
	p.sees("This password is in a list of known passwords")
	savePassword(p, newPassword)
	if p.page.url.Path != "/login" {
		t.Errorf("after Save Password the page is %s", p.page.url)
	}
	p.signIn(d.grace().Email, newPassword)
	p.sees(d.grace().Username)
}

// The link was made between two looks at the clock: 59:59 after the first it is
// not yet an hour old, 60:00 after the second it is.
func TestPromise_1_4_AResetLinkIsValidFor60Minutes(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	first := d.now()
	link := linkIn(t, askForLink(t, d, p, d.grace()), "/reset-password?token=")
	second := d.now()

	d.set(first.Add(59*time.Minute + 59*time.Second))
	p.visit(link)
	p.sees("Save Password")
	d.set(second.Add(60 * time.Minute))
	late := newPerson(t)
	late.visit(link)
	late.sees("This link has expired", "60 minutes", "Send Reset Link")
	savePassword(p, newPassword) // on the page that was opened in time
	p.sees("This link has expired")
	p.follow("Send Reset Link")
	p.press("Send Reset Link", map[string]string{"email": d.grace().Email})
	p.sees("Check your email")
}

func TestPromise_1_5_OnlyTheMostRecentLinkIsActive(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	older := askForLink(t, d, p, d.grace())
	opened := newPerson(t) // in a tab that was open before the newer one came
	opened.visit(linkIn(t, older, "/reset-password?token="))
	newer := askForLink(t, d, p, d.grace())

	p.visit(linkIn(t, older, "/reset-password?token="))
	p.sees("There is a newer link")
	hasTime := false
	for tm := range p.page.elements("time") {
		_, err := time.Parse(time.RFC3339, attr(tm, "datetime"))
		hasTime = err == nil
	}
	if !hasTime {
		t.Errorf("the page does not say when the newer link was sent:\n%s", p.page.body)
	}
	savePassword(opened, newPassword)
	opened.sees("There is a newer link")

	p.visit(linkIn(t, newer, "/reset-password?token="))
	savePassword(p, newPassword)
	p.signIn(d.grace().Username, newPassword)
	p.sees(d.grace().Username)
}

func TestPromise_1_6_ALinkWorksOnceAndOpeningItDoesNotUseItUp(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	link := linkIn(t, askForLink(t, d, p, d.grace()), "/reset-password?token=")
	for range 20 { // a mail scanner
		newPerson(t).visit(link)
	}
	p.visit(link)
	savePassword(p, newPassword)

	again := newPerson(t)
	again.visit(link)
	again.sees("This link has been used", "Send Reset Link")
}

func TestPromise_1_7_WhoGotNoMailIsToldWhatToDo(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/forgot-password")
	p.press("Send Reset Link", map[string]string{"email": d.grace().Email})
	p.sees("Check your email", d.grace().Email, "60 minutes", "spam", "safe", "filter", "no-reply@")
	d.mails(d.grace().Email, 1) // a link that is superseded before it was mailed is not mailed
	p.press("Send a new link", nil)
	p.sees("Check your email")
	d.mails(d.grace().Email, 2)
	p.follow("Contact Support")
}

func TestPromise_1_8_AFinishedResetEndsEverythingButTheSecondFactor(t *testing.T) {
	d := startDemo(t)
	elsewhere := newPerson(t)
	elsewhere.visit(d.Issuer + "/login")
	elsewhere.signIn(d.grace().Username, d.grace().Password)
	elsewhere.sees(d.grace().Username)

	p := lockOut(t, d, d.grace())
	m := askForLink(t, d, p, d.grace())
	p.visit(linkIn(t, m, "/reset-password?token="))
	savePassword(p, newPassword)

	elsewhere.visit(d.Issuer + "/login")
	elsewhere.sees("Forgot Password?") // the session is gone
	p.signIn(d.grace().Username, d.grace().Password)
	p.sees("There is a problem") // the old password is gone, the lock too
	p.signIn(d.grace().Username, newPassword)
	p.sees(d.grace().Username)
	eventually(t, "the notice", func() bool {
		for _, m := range d.inbox(d.grace().Email) {
			if strings.Contains(m.Subject, "password was changed") {
				return true
			}
		}
		return false
	})
}

func TestPromise_2_1_WithoutTheEmailThePersonIsLedToSupport(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/forgot-password")
	p.press("Send Reset Link", map[string]string{"email": d.grace().Email})
	p.follow("Contact Support")
	p.sees("Full name", "Practice name", "NPI", "New email")
	if strings.Contains(strings.ToLower(p.page.words()), "phone number") {
		t.Error("the page asks for a phone number")
	}
	fields := map[string]string{"name": "Grace Hopper", "practice": "Riverside", "npi": "1234567890", "email": "grace@new.example"}
	p.press("Contact Support", fields)
	p.sees("There is a problem")
	fields["npi"] = "1234567893"
	p.press("Contact Support", fields)
	p.sees("one business day", "We sent a link to your new email")
	link := linkIn(t, d.mailsWith("grace@new.example", "/contact-support/case?token=", 1)[0], "/contact-support/case?token=")
	p.visit(link)
	p.sees("Waiting for Support", "Answer by")
	p.press("This Address Is Mine", nil)
	p.sees("This email address is confirmed.")
	d.pass(5 * 24 * time.Hour)
	p.visit(link)
	p.sees("The answer is late.")
	if got := d.metric("medximity_idp_support_cases_overdue"); got != 1 {
		t.Errorf("%v cases overdue", got)
	}
	p.press("Withdraw the Case", nil)
	p.sees("Withdrawn by you")
	if got := d.metric("medximity_idp_support_cases_overdue"); got != 0 {
		t.Errorf("%v cases overdue once it was withdrawn", got)
	}
	eventually(t, "the mail to Support", func() bool {
		for _, m := range allMails(d) {
			if strings.Contains(m.Text, "grace@new.example") && strings.Contains(m.Text, "1234567893") {
				return m.To != "grace@new.example"
			}
		}
		return false
	})
}

// allMails are the mails to whomever the demo may write to.
func allMails(d *demo) []received {
	all := d.inbox("support@medximity.example")
	for _, p := range d.People {
		all = append(all, d.inbox(p.Email)...)
	}
	return all
}

func TestPromise_4_1_FiveConsecutiveFailuresLock(t *testing.T) {
	d := startDemo(t)
	for _, tt := range []struct{ name, identifier, password string }{
		{"a known person", d.grace().Username, d.grace().Password},
		{"somebody nobody knows", "no.such.person", "whatever it may be"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPerson(t)
			p.visit(d.Issuer + "/login")
			for i := range 5 {
				p.signIn(tt.identifier, "not the right one")
				switch i {
				case 2:
					p.sees("2 attempts left")
				case 3:
					p.sees("1 attempt left")
				case 4:
					p.sees("Your account is locked", "30 minutes", "Forgot Password?", "Contact Support")
				}
			}
			p.visit(d.Issuer + "/login")
			p.signIn(tt.identifier, tt.password) // even the right one
			p.sees("Your account is locked")
			if p.page.status != http.StatusForbidden {
				t.Errorf("status %d", p.page.status)
			}
		})
	}
}

func TestPromise_4_1_ARightPasswordBetweenEndsTheRun(t *testing.T) {
	d := startDemo(t)
	for range 2 {
		p := newPerson(t)
		p.visit(d.Issuer + "/login")
		for range 4 {
			p.signIn(d.grace().Username, "not the right one")
		}
		p.signIn(d.grace().Username, d.grace().Password)
		p.sees(d.grace().Username)
	}
}

func TestPromise_4_2_TheLockClearsByItselfAfter30Minutes(t *testing.T) {
	d := startDemo(t)
	p := lockOut(t, d, d.grace())
	var until time.Time
	for tm := range p.page.elements("time") {
		until, _ = time.Parse(time.RFC3339Nano, attr(tm, "datetime"))
	}
	if until.IsZero() {
		t.Fatalf("the locked page names no time:\n%s", p.page.body)
	}
	d.set(until.Add(-time.Second)) // 29:59
	p.visit(d.Issuer + "/login")
	p.signIn(d.grace().Username, d.grace().Password)
	p.sees("Your account is locked", "1 minute")
	d.set(until) // 30:00
	p.visit(d.Issuer + "/login")
	p.signIn(d.grace().Username, d.grace().Password)
	p.sees(d.grace().Username)
	if got := d.metric(`medximity_idp_lockouts_cleared_total{by="timeout"}`); got != 1 {
		t.Errorf("lockouts cleared by the timer: %v", got)
	}
}

func TestPromise_4_3_ForgotPasswordWorksDuringTheLock(t *testing.T) {
	d := startDemo(t)
	p := lockOut(t, d, d.grace())
	p.follow("Forgot Password?")
	p.press("Send Reset Link", map[string]string{"email": d.grace().Email})

	stillLocked := newPerson(t) // asking alone clears nothing
	stillLocked.visit(d.Issuer + "/login")
	stillLocked.signIn(d.grace().Username, d.grace().Password)
	stillLocked.sees("Your account is locked")

	eventually(t, "the reset mail", func() bool { return len(resetMails(d, d.grace().Email)) == 1 })
	p.visit(linkIn(t, resetMails(d, d.grace().Email)[0], "/reset-password?token="))
	savePassword(p, newPassword)
	p.signIn(d.grace().Username, newPassword)
	p.sees(d.grace().Username)
}

func TestPromise_6_1_InternetExplorerIsToldPolitely(t *testing.T) {
	d := startDemo(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Issuer+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko")
	p := newPerson(t)
	p.do(req)
	p.sees("Internet Explorer", "Forgot Password?") // told, not turned away
}

func TestPromise_6_2_NoPageNeedsAnotherHostOrAScript(t *testing.T) {
	d := startDemo(t)
	own, err := url.Parse(d.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/login", "/forgot-password", "/contact-support", "/logout", "/no-such-page"} {
		p := newPerson(t)
		p.visit(d.Issuer + path)
		for _, tag := range []string{"script", "link", "img", "iframe", "form"} {
			for n := range p.page.elements(tag) {
				for _, a := range []string{"src", "href", "action"} {
					to, err := p.page.url.Parse(attr(n, a))
					if err != nil || to.Host != own.Host {
						t.Errorf("%s: <%s %s=%q>", path, tag, a, attr(n, a))
					}
				}
			}
		}
		if csp := p.page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") ||
			strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

func TestPromise_6_3_WhoseCookiesAreOffIsToldWhatToDo(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.client.Jar = nil // cookies are off, or the private window was closed
	p.signIn(d.grace().Username, d.grace().Password)
	p.sees("cookies")
	if p.page.status/100 != 4 {
		t.Errorf("status %d", p.page.status)
	}
}

func TestPromise_6_4_TheSiteSpeaksThePersonsLanguage(t *testing.T) {
	d := startDemo(t)
	get := func(accept, query string) *page {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Issuer+"/login"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := newPerson(t)
		p.client.Transport = language{accept}
		return p.do(req)
	}
	for accept, lang := range map[string]string{"ko-KR,ko;q=0.9": "ko", "fr-CA": "fr", "es-419,es;q=0.8": "es", "de": "en"} {
		for h := range get(accept, "").elements("html") {
			if attr(h, "lang") != lang {
				t.Errorf("Accept-Language %q gave lang=%q", accept, attr(h, "lang"))
			}
		}
	}
}

// language is a transport whose requests ask for a language.
type language struct{ accept string }

func (l language) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept-Language", l.accept)
	return http.DefaultTransport.RoundTrip(r)
}
