package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/seal"
)

// The promises of the help page about two-factor authentication; see
// promise_test.go.

// noraWithCodes signs nora in for the first time, which makes her save backup
// codes, and returns them.
func noraWithCodes(t *testing.T, d *demo) (demoPerson, authenticator, []string) {
	t.Helper()
	who := d.nora()
	phone := d.phone(who)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	p.enterCode(phone.next())
	codes := p.saveCodes()
	p.sees("You are signed in")
	return who, phone, codes
}

func TestPromise_3_1_CodesAreSixDigitsAndNewEvery30Seconds(t *testing.T) {
	d := startDemo(t)
	who := d.grace()
	p := newPerson(t)
	p.visit(d.App + "/records/signin")
	p.signIn(who.Username, who.Password)
	u := p.keyURI()
	q := u.Query()
	if u.Host != "totp" || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" ||
		q.Get("issuer") != "Medximity" || strings.TrimPrefix(u.Path, "/") != "Medximity:grace" {
		t.Errorf("apps are given %s", strings.ReplaceAll(u.String(), q.Get("secret"), "SECRET"))
	}
	phone := d.authenticator(q.Get("secret"))
	first, second := phone.next(), phone.next()
	if six := regexp.MustCompile(`^[0-9]{6}$`); !six.MatchString(first) || !six.MatchString(second) || first == second {
		t.Errorf("30 seconds apart the app shows %s and %s", first, second)
	}
	p.enterCode("12345")
	p.sees("There is a problem", "The code must be 6 numbers", "Set the clock of your phone to automatic")
	p.enterCode(second[:3] + " " + second[3:]) // as apps show it
	p.saveCodes()
	p.provedTwo()
}

func TestPromise_3_1_PhonesWhoseClockDriftsAreAccepted(t *testing.T) {
	d := startDemo(t)
	who, phone, _ := noraWithCodes(t, d)
	for _, tt := range []struct {
		name  string
		ahead int
		good  bool
	}{
		{"30 s slow", -1, true},
		{"30 s fast", +1, true},
		{"a minute slow", -2, false},
		{"a minute fast", +2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			phone.next() // unused: a code of this step or an older one is no replay
			phone.next()
			phone.next()
			p := newPerson(t)
			p.visit(d.Issuer + "/login")
			p.signIn(who.Username, who.Password)
			p.enterCode(phone.drifted(tt.ahead))
			if tt.good {
				p.sees("You are signed in")
				return
			}
			p.sees("There is a problem", "That code did not work", "Set the clock of your phone to automatic")
			if p.page.status != http.StatusUnauthorized {
				t.Errorf("status %d", p.page.status)
			}
		})
	}
}

func TestPromise_3_1_ACodeWorksOnce(t *testing.T) {
	d := startDemo(t)
	who, phone, _ := noraWithCodes(t, d)
	code := phone.next()
	for i := range 2 {
		p := newPerson(t)
		p.visit(d.Issuer + "/login")
		p.signIn(who.Username, who.Password)
		p.enterCode(code)
		p.sees([]string{"You are signed in", "That code was used already"}[i])
	}
}

func TestPromise_3_2_WhoSavedBackupCodesMayUseOne(t *testing.T) {
	d := startDemo(t)
	who := d.nora()
	phone := d.phone(who)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	if p.sees("6-digit code"); p.page.has("Use a backup code") {
		t.Error("who has no backup codes is offered to use one")
	}
	p.enterCode(phone.next())
	codes := p.saveCodes()

	p = newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	p.follow("Use a backup code")
	p.enterBackup("no code at all")
	p.sees("A backup code has 13 letters and numbers")
	p.enterBackup("00000-0000-0000")
	p.sees("That backup code did not work")
	p.enterBackup(strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))) // as typed from paper
	p.sees("You are signed in")
	m := d.told(who.Email, "A backup code was used for your Medximity account")
	if !strings.Contains(m.Text, "9 codes left") {
		t.Errorf("the mail says:\n%s", m.Text)
	}

	p = newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	p.sees("Enter a backup code") // it was what they used last
	p.enterBackup(codes[0])
	p.sees("That backup code was used already")
	p.follow("Use your authenticator app")
	p.enterCode(phone.next())
	p.sees("You are signed in")
}

func TestPromise_3_3_WhoHasNeitherIsHelpedBySupport(t *testing.T) {
	d := startDemo(t)
	who, phone, _ := noraWithCodes(t, d)
	elsewhere := newPerson(t)
	elsewhere.visit(d.Issuer + "/login")
	elsewhere.signIn(who.Username, who.Password)
	elsewhere.enterCode(phone.next())
	elsewhere.sees("You are signed in")

	p := newPerson(t)
	p.visit(d.App + "/records/signin")
	p.signIn(who.Username, who.Password)
	p.sees("Lost your phone?")
	p.follow("Use a backup code")
	p.sees("No backup codes either?")
	p.follow("Contact Support")
	p.press("Contact Support", map[string]string{"name": "Nora Bell", "practice": "Riverside", "username": who.Username,
		"email": "nora@new.example"})
	p.sees("one business day", "checks your identity")

	// Support has checked who it is.
	if doc := d.idp("account", "disable-2fa", who.Username); doc["had_second_factor"] != true {
		t.Errorf("the command printed %v", doc)
	}
	m := d.told(who.Email, "Your second step was turned off")
	if !strings.Contains(m.Text, "Contact Support") && !strings.Contains(m.Text, "contact Support") {
		t.Errorf("the mail does not lead to Support:\n%s", m.Text)
	}
	elsewhere.visit(d.Issuer + "/login")
	elsewhere.sees("Forgot Password?") // what was proven before is void

	p = newPerson(t)
	p.visit(d.App + "/records/signin")
	p.signIn(who.Username, who.Password)
	p.sees("Your practice or this app asks for a second step")
	fresh := p.setUp(d)
	if string(fresh.key) == string(phone.key) {
		t.Error("the lost phone's key is the new one's")
	}
	p.saveCodes()
	p.provedTwo()
}

func TestPromise_3_4_RequiredByTheApp(t *testing.T) {
	d := startDemo(t)
	who := d.person("mateo")
	p := newPerson(t)
	p.visit(d.App + "/signin") // this one does not ask for it
	p.signIn(who.Username, who.Password)
	if acr := p.told("acr"); acr != "urn:medximity:acr:1fa" {
		t.Errorf("acr %q", acr)
	}
	p.visit(d.App + "/records/signin") // signed in, but not with two factors
	p.sees("Your practice or this app asks for a second step")
	p.setUp(d)
	p.saveCodes()
	p.provedTwo()
}

func TestPromise_3_4_RequiredByThePractice(t *testing.T) {
	d := startDemo(t)
	who, patient := d.person("daniel"), d.person("ruth.alvarez@mailbox.example")
	if doc := d.idp("practice", "require-2fa", "riverside"); doc["changed"] != true {
		t.Errorf("the command printed %v", doc)
	}
	p := newPerson(t)
	p.visit(d.App + "/signin")
	p.signIn(who.Username, who.Password)
	p.sees("Your practice or this app asks for a second step")
	if p.page.has("Not now") {
		t.Error("what is required can be put off")
	}
	p.setUp(d)
	p.saveCodes()
	p.provedTwo()
	p.visit(d.Issuer + "/account/security")
	p.sees("Your practice requires it") // the last one stays

	p = newPerson(t)
	p.visit(d.App + "/signin")
	p.signIn(patient.Username, patient.Password) // who is no member of it
	if acr := p.told("acr"); acr != "urn:medximity:acr:1fa" {
		t.Errorf("acr %q", acr)
	}
	d.idp("practice", "require-2fa", "riverside", "--off")
	p = newPerson(t)
	p.visit(d.App + "/signin")
	p.signIn(d.grace().Username, d.grace().Password)
	if acr := p.told("acr"); acr != "urn:medximity:acr:1fa" {
		t.Errorf("acr %q", acr)
	}
}

// The demo has no such setting, so this is `idp serve`.
func TestPromise_3_4_RequiredByTheRole(t *testing.T) {
	dir := t.TempDir()
	_, ring, err := seal.NewRing()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ring.json"), ring, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	env := append(environ(), "IDP_KEYS__RING_FILE="+filepath.Join(dir, "ring.json"),
		"IDP_STORE__URL=sqlite:"+filepath.Join(dir, "idp.db"), "IDP_ISSUER=http://"+addr, "IDP_LISTEN="+addr,
		"IDP_OPERATOR__LISTEN=127.0.0.1:0", "IDP_MAIL__HOST=127.0.0.1", "IDP_MAIL__PORT=9", "IDP_MAIL__SECURITY=none",
		"IDP_MAIL__FROM=no-reply@id.example", "IDP_SUPPORT__EMAIL=desk@id.example", "IDP_SECOND_FACTOR__ROLES=owner,admin")
	const password = "a bridge of seven lanterns"
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(idpBinary(t), args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("idp %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("migrate")
	run("account", "add", "--email", "owner@acme.example", "--role", "owner", "--password-stdin")
	run("account", "add", "--email", "billing@acme.example", "--role", "billing", "--password-stdin")
	serve := exec.Command(idpBinary(t), "serve")
	serve.Env = env
	launch(t, serve)
	eventually(t, "idp serve", func() bool {
		resp, err := http.Get("http://" + addr + "/login")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	for email, title := range map[string]string{
		"owner@acme.example":   "Set up your authenticator app",
		"billing@acme.example": "Choose a new password", // an operator knows the first one
	} {
		p := newPerson(t)
		p.visit("http://" + addr + "/login")
		p.signIn(email, password)
		p.sees(title)
	}
}

func TestPromise_3_4_RecommendedForEveryone(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	p.signIn(d.grace().Username, d.grace().Password)
	p.visit(d.Issuer + "/account/security")
	p.sees("we recommend one for everybody", "Set Up Authenticator App")
	p.press("Set Up Authenticator App", nil)
	p.sees("Any authenticator app works")
	p.follow("Not now")
	p.onPath("/account/security")
	p.press("Set Up Authenticator App", nil)
	p.setUp(d)
	p.saveCodes()
	p.onPath("/account/security")
	p.sees("The authenticator is added.")
}
