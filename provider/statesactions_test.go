package provider

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"strings"
)

func (s *nurse) redemption(code string) []string {
	return []string{"grant_type", "authorization_code", "code", code, "redirect_uri", "https://app.example/cb", "code_verifier", verifier}
}

// actions are tried in this order: none ends what a later one needs.
var actions = []struct {
	name string
	do   func(*nurse) string
}{
	{"session: settings", func(s *nurse) string { return comesTo(s.desk.get("/account/sessions")) }},
	{"session: sign-in for app", func(s *nurse) string { return comesTo(s.desk.authorize("&prompt=none")) }},
	{"app: userinfo", func(s *nurse) string {
		r, err := newGET(s.issuer + "/userinfo")
		s.ok(err)
		r.Header.Set("Authorization", "Bearer "+s.access)
		return s.browser().do(r, nil).Status[:3]
	}},
	{"app: introspection", func(s *nurse) string {
		a, b := s.active(s.access), s.active(s.refresh)
		if a != b {
			return "access " + a + ", refresh " + b
		}
		return a
	}},
	{"app: refresh", func(s *nurse) string {
		return s.token("grant_type", "refresh_token", "refresh_token", s.refresh)
	}},
	{"app: code of before", func(s *nurse) string { return s.token(s.redemption(s.code)...) }},
	{"app: revocation", func(s *nurse) string {
		return s.browser().post("/revoke", "token", s.refresh, "client_id", "app", "client_secret", clientSecret).Status[:3]
	}},
	{"session: step-up", func(s *nurse) string {
		a := s.desk.post("/login/password", "flow", s.step.flow(), "password", rightPassword)
		return comesTo(s.withCode(s.desk, a))
	}},
	{"half: code", func(s *nurse) string {
		return comesTo(s.withCode(s.elsewhere, s.half))
	}},
	{"new: right password", func(s *nurse) string {
		b := s.browser()
		return comesTo(s.withCode(b, b.signIn(b.get("/login"), string(s.id), rightPassword)))
	}},
	{"new: wrong password", func(s *nurse) string {
		b := s.browser()
		return comesTo(b.signIn(b.get("/login"), string(s.id), "not the right one"))
	}},
	{"forgot", func(s *nurse) string {
		before := s.mailsTo()
		if a := s.browser().post("/forgot-password", "email", s.email()); a.StatusCode != http.StatusOK {
			return a.Status
		}
		if s.mailsTo() == before {
			return "not mailed"
		}
		return "mailed"
	}},
}

// withCode gives the authenticator's code where it is asked for.
func (s *nurse) withCode(b *person, a answer) answer {
	if !strings.Contains(a.text, `name="otp"`) {
		return a
	}
	return b.post("/login/totp", "flow", a.flow(), "otp", s.otp())
}

// signs are what tells where an answer leaves a browser: of the address that it
// is sent to, and of the page.
var signs = []struct{ sign, means string }{
	{"code=mdx_ac_", "code"}, {"error=login_required", "login_required"},
	{"<title>This page is out of date", "over"}, {"<title>Your account is locked", "locked"},
	{"<title>Your second step is on hold", "held"}, {"<title>This password cannot be used", "disabled"},
	{"<title>Sessions", "shown"}, {"You are signed in", "in"}, {"otpauth://", "sets up a second factor"},
	{`name="otp"`, "code asked"}, {`name="identifier"`, "asks to sign in"}, {`name="password"`, "asks for the password"},
}

func comesTo(a answer) string {
	if a.StatusCode == http.StatusUnauthorized {
		return "refused"
	}
	for _, s := range signs {
		if strings.Contains(a.Header.Get("Location")+a.text, s.sign) {
			return s.means
		}
	}
	return a.Status + " " + a.text
}

func (s *nurse) token(fields ...string) string {
	s.t.Helper()
	a := s.browser().post("/token", append(fields, "client_id", "app", "client_secret", clientSecret)...)
	var got struct{ Error, Access_token string }
	s.ok(json.Unmarshal([]byte(a.text), &got))
	if got.Access_token != "" {
		return "tokens"
	}
	return got.Error
}

func (s *nurse) active(token string) string {
	s.t.Helper()
	a := s.browser().post("/introspect", "token", token, "client_id", "api", "client_secret", clientSecret)
	var got struct{ Active bool }
	s.ok(json.Unmarshal([]byte(a.text), &got))
	if got.Active {
		return "active"
	}
	return "inactive"
}

func (s *nurse) redeems(token string) string {
	b := s.browser()
	page := b.get("/reset-password?token=" + token)
	if page.StatusCode == http.StatusGone {
		return "dead"
	}
	const next = "a lantern over quiet water"
	a := b.post("/reset-password", "flow", page.flow(), "new_password", next, "confirm_password", next)
	if a.StatusCode == http.StatusOK && strings.Contains(a.text, `name="identifier"`) && b.cookie("session") == "" {
		return "saved"
	}
	return a.Status + " " + a.text
}

// mailsTo counts the reset links that were mailed to them, or are to be.
func (s *nurse) mailsTo() (n int) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.db+"?_pragma=busy_timeout(10000)")
	s.ok(err)
	defer db.Close()
	s.ok(db.QueryRow(`SELECT COUNT(*) FROM mails WHERE template = 'reset' AND subject = $1`, string(s.id)).Scan(&n))
	return n
}
