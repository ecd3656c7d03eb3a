package provider

import (
	"net/url"
	"slices"
)

// formPost is the data of the page that posts an answer to the app (OAuth 2.0
// Form Post Response Mode). Its form works without script, by a button.
type formPost struct {
	App    string // the client's name
	Action string // where the form goes: the redirect URI
	Target string // its origin, which the page's form-action must allow
	Fields []formField
}

// formField is one hidden control.
type formField struct{ Name, Value string }

func formPostOf(req *authRequest, answer url.Values) formPost {
	p := formPost{App: req.client.Name, Action: req.redirect, Target: origin(req.redirect)}
	for name := range answer {
		p.Fields = append(p.Fields, formField{name, answer.Get(name)})
	}
	slices.SortFunc(p.Fields, func(a, b formField) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return p
}
