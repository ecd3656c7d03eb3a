package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/mail"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// importPerson is a person as a file has them; its help is importHelp.
type importPerson struct {
	ID            string         `json:"id"`
	Username      string         `json:"username"`
	Email         string         `json:"email"`
	EmailVerified *bool          `json:"email_verified"`
	Name          string         `json:"name"`
	Role          string         `json:"role"`
	Practice      string         `json:"practice"`
	Locations     []string       `json:"locations"`
	Locale        string         `json:"locale"`
	NPI           string         `json:"npi"`
	PasswordHash  string         `json:"password_hash"`
	MustChange    bool           `json:"must_change"`
	Claims        map[string]any `json:"claims"`
}

// importPractice is a practice as a JSON file has it.
type importPractice struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Require2  bool             `json:"require_2fa"`
	Locations []importLocation `json:"locations"`
}

type importLocation struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

var errID = errors.New("needs 1 to 100 letters, digits or ._~-")

// member is the person to add; say is told what is wrong with them.
func (p importPerson) member(say func(field string, err error)) store.NewMember {
	m := store.NewMember{NewPerson: store.NewPerson{
		ID: account.ID(p.ID), Practice: account.PracticeID(p.Practice), Role: p.Role,
		Username: p.Username, Email: strings.TrimSpace(p.Email), EmailVerified: p.EmailVerified == nil || *p.EmailVerified,
		Name: p.Name, Locale: p.Locale, Hash: p.PasswordHash, MustChange: p.MustChange, Claims: p.Claims,
	}}
	if p.ID != "" && !clientID.MatchString(p.ID) {
		say("id", errID)
	}
	say("email", checkEmail(m.Email))
	normalise(&m.Username, "username", say)
	normalise(&m.Name, "name", say)
	p.checkPlace(say)
	for _, name := range p.Locations {
		normalise(&name, "locations", say)
		m.Locations = append(m.Locations, name)
	}
	if p.Locale != "" && !slices.Contains(templates.Languages(), p.Locale) {
		say("locale", fmt.Errorf("%q is none of %s", p.Locale, strings.Join(templates.Languages(), ", ")))
	}
	say("claims", checkClaims(p.Claims))
	if npi := account.NormalNPI(p.NPI); npi != "" {
		if !account.ValidNPI(npi) {
			say("npi", errors.New("is not an NPI: ten digits, of which the last is a check digit"))
		}
		m.Claims = maps.Clone(p.Claims)
		if m.Claims == nil {
			m.Claims = map[string]any{}
		}
		m.Claims["npi"] = npi
	}
	if p.PasswordHash != "" {
		say("password_hash", account.CheckHash(p.PasswordHash))
	}
	return m
}

// checkPlace refuses a role where it means nothing.
func (p importPerson) checkPlace(say func(field string, err error)) {
	role := account.Role(p.Role)
	switch {
	case role != "" && !slices.Contains(account.Roles, role):
		say("role", fmt.Errorf("%q is none of owner, admin, front_desk, billing, support", p.Role))
	case role == account.Support && p.Practice != "":
		say("role", errors.New("support belongs to no practice: leave practice out"))
	case role != "" && role != account.Support && p.Practice == "":
		say("role", fmt.Errorf("%s is one in a practice: name the practice", role))
	}
	switch {
	case p.Practice == "" && len(p.Locations) > 0:
		say("locations", errors.New("are those of a practice: name the practice"))
	case p.Practice != "" && !clientID.MatchString(p.Practice):
		say("practice", errID)
	}
}

func checkEmail(email string) error {
	if email == "" {
		return errors.New("is missing")
	}
	if err := mail.CheckAddress(email); err != nil {
		return err
	}
	if _, domain, _ := strings.Cut(email, "@"); !strings.Contains(domain, ".") {
		return errors.New("is not an e-mail address")
	}
	return nil
}

// normalise puts a name into the form in which it is kept, if there is one.
func normalise(name *string, field string, say func(field string, err error)) {
	if *name == "" {
		return
	}
	normal, err := account.NormalName(*name)
	switch {
	case errors.Is(err, account.ErrNoName):
		err = errors.New("is blank")
	case errors.Is(err, account.ErrLongName):
		err = fmt.Errorf("has more than %d characters", account.MaxName)
	case errors.Is(err, account.ErrBadName):
		err = errors.New("holds characters that nobody can see")
	}
	say(field, err)
	*name = normal
}

// textClaims are the claims that a directory may have beside what has a column
// (OIDC Core section 5.1), but for three that are no texts.
var textClaims = []string{"family_name", "given_name", "middle_name", "nickname", "profile", "picture", "website",
	"gender", "birthdate", "zoneinfo", "phone_number"}

// maxClaims is how many bytes of JSON one person's may be.
const maxClaims = 8 << 10

func checkClaims(claims map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		ok := false
		switch v := claims[name]; {
		case name == "phone_number_verified":
			_, ok = v.(bool)
		case name == "updated_at":
			_, ok = v.(float64)
		case name == "address":
			ok = isAddress(v)
		case slices.Contains(textClaims, name):
			ok = isText(v)
		default:
			return fmt.Errorf("%q is none that is kept", name)
		}
		if !ok {
			return fmt.Errorf("%q is not of the type that OpenID Connect gives it, or holds characters that nobody can see", name)
		}
	}
	if doc, err := json.Marshal(claims); err != nil || len(doc) > maxClaims {
		return fmt.Errorf("have more than %d bytes", maxClaims)
	}
	return nil
}

func isText(v any) bool {
	s, ok := v.(string)
	return ok && account.Plain(s)
}

// isAddress is for OIDC Core section 5.1.1, of which formatted may have lines.
func isAddress(v any) bool {
	fields, ok := v.(map[string]any)
	for _, f := range fields {
		s, text := f.(string)
		ok = ok && text && account.Plain(strings.NewReplacer("\r\n", "", "\n", "").Replace(s))
	}
	return ok
}
