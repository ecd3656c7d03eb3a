package provider

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// The scopes we know (OIDC Core sections 5.4 and 11).
const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

var standardScopes = []string{scopeOpenID, "profile", "email", "address", "phone", scopeOffline}

// fieldScopes are those of this field. Unlike the standard ones they are for
// clients that were registered with them: what somebody does for which practice
// is not every app's business.
//
//	practice   practice: the practice's id and name; roles: what they are in it;
//	           locations: where they work, as the directory has it;
//	           recently_recovered: true for 7 days after somebody else gave the
//	           account back to them, for an app that waits with what is grave
//	npi        npi: the National Provider Identifier, if its check digit is right
var fieldScopes = []string{"practice", "npi"}

// knownScopes are all of them.
var knownScopes = slices.Concat(standardScopes, fieldScopes)

// scopeClaims are the claims of each scope (OIDC Core section 5.4; fieldScopes).
var scopeClaims = map[string][]string{
	"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},

	"practice": {"practice", "roles", "locations", "recently_recovered"},
	"npi":      {"npi"},
}

// claimsOf returns what the directory knows of the person under the names, each
// with the type that OIDC Core section 5.1 gives it. What it does not know, or
// knows in another shape, is left out (section 5.3.2).
func claimsOf(e *directory.Entry, names []string, now time.Time) map[string]any {
	out := make(map[string]any, len(names)+1)
	for _, name := range names {
		if v := claim(e, name, now); v != nil {
			out[name] = v
		}
	}
	return out
}

// recoveredFor is how long apps are told that an account was recovered.
const recoveredFor = 7 * 24 * time.Hour

func claim(e *directory.Entry, name string, now time.Time) any {
	switch name {
	case "name":
		return nonBlank(e.Name)
	case "preferred_username":
		return nonBlank(e.Username)
	case "email":
		return nonBlank(e.Email)
	case "email_verified":
		if e.Email == "" {
			return nil
		}
		return e.EmailVerified // a boolean, whatever the directory's claims say
	case "locale":
		if e.Locale != "" {
			return e.Locale
		}
	case "phone_number_verified":
		if nonBlank(e.Claims["phone_number"]) == nil {
			return nil
		}
		verified, _ := e.Claims[name].(bool)
		return verified
	case "updated_at":
		return number(e.Claims[name])
	case "address":
		return address(e.Claims[name])
	case "practice":
		return practice(e)
	case "roles":
		if e.Role != "" {
			return []string{e.Role}
		}
		return nil
	case "locations":
		return locations(e.Claims[name])
	case "recently_recovered":
		if e.Recovered.IsZero() || !now.Before(e.Recovered.Add(recoveredFor)) {
			return nil
		}
		return true
	case "npi":
		if npi, ok := e.Claims[name].(string); ok && account.ValidNPI(npi) {
			return npi
		}
		return nil
	}
	return nonBlank(e.Claims[name])
}

// nonBlank returns a text that says something, or nil.
func nonBlank(v any) any {
	if s, ok := v.(string); ok && strings.TrimSpace(s) != "" {
		return s
	}
	return nil
}

func number(v any) any {
	switch v.(type) {
	case float64, int64, int, json.Number:
		return v
	}
	return nil
}

// address returns the texts of an address (OIDC Core section 5.1.1), or nil.
func address(v any) any {
	fields, _ := v.(map[string]any)
	out := make(map[string]any, len(fields))
	for name, f := range fields {
		if s := nonBlank(f); s != nil {
			out[name] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// practice names the practice that somebody belongs to; patients and attorneys
// belong to none.
func practice(e *directory.Entry) any {
	if e.Practice == "" {
		return nil
	}
	p := map[string]string{"id": string(e.Practice)}
	if e.PracticeName != "" {
		p["name"] = e.PracticeName
	}
	return p
}

// locations returns the texts of a list, or nil.
func locations(v any) any {
	var out []string
	all, _ := v.([]any)
	for _, one := range all {
		if s, ok := nonBlank(one).(string); ok {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// claimNames are the claims that the scopes stand for.
func claimNames(scopes []string) []string {
	var names []string
	for _, s := range scopes {
		names = append(names, scopeClaims[s]...)
	}
	return names
}

// requestedClaims is what we keep of a claims parameter: the names we know; and
// beside them what else a grant is settled by when its code is redeemed. That
// one is essential changes nothing: what we know is told, and what we do not
// know is not (OIDC Core section 5.5.1).
type requestedClaims struct {
	Userinfo []string   `json:"userinfo,omitempty"`
	IDToken  []string   `json:"id_token,omitempty"`
	Resource string     `json:"resource,omitempty"` // "": ourselves
	Pairwise account.ID `json:"pairwise,omitempty"` // the person's name for the client; "": the account's

	subject   account.ID // the sub that was asked for
	mustReach []any      // the values of an essential acr; nil: any will do
}

var errClaims = errors.New("not a claims parameter")

// readClaims reads a claims parameter.
func readClaims(v string) (requestedClaims, error) {
	type wish struct {
		Essential bool  `json:"essential"`
		Value     any   `json:"value"`
		Values    []any `json:"values"`
	}
	var p struct {
		Userinfo map[string]*wish `json:"userinfo"`
		IDToken  map[string]*wish `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(v), &p); err != nil {
		return requestedClaims{}, errClaims
	}
	var r requestedClaims
	for name := range p.Userinfo {
		r.Userinfo = append(r.Userinfo, name)
	}
	for name, w := range p.IDToken {
		r.IDToken = append(r.IDToken, name)
		if w == nil {
			continue
		}
		one, _ := w.Value.(string)
		switch {
		case name == "sub" && one != "":
			r.subject = account.ID(one)
		case name == "acr" && w.Essential && (w.Value != nil || w.Values != nil):
			r.mustReach = append(w.Values, w.Value)
		}
	}
	return r, nil
}

// within drops names that we do not know, and those of scopes that the client
// is not registered for: asking one by one gives no more than asking at large.
func (r requestedClaims) within(c *store.Client) requestedClaims {
	may := claimNames(allowedScopes(c))
	drop := func(name string) bool { return !slices.Contains(may, name) }
	r.Userinfo = slices.DeleteFunc(r.Userinfo, drop)
	r.IDToken = slices.DeleteFunc(r.IDToken, drop)
	slices.Sort(r.Userinfo)
	slices.Sort(r.IDToken)
	return r
}

// String is how a grant keeps them: JSON, or "" for none.
func (r requestedClaims) String() string {
	if len(r.Userinfo)+len(r.IDToken) == 0 && r.Resource == "" && r.Pairwise == "" {
		return ""
	}
	b, _ := json.Marshal(r) // of strings: cannot fail
	return string(b)
}

// requestedBy returns what String wrote.
func requestedBy(g *store.Grant) (r requestedClaims) {
	if g.Requested != "" && g.Requested != "{}" {
		_ = json.Unmarshal([]byte(g.Requested), &r) // we wrote it
	}
	return r
}
