package provider

import (
	"time"

	"github.com/medximity/idp/provider/store"
)

// verdict says what a session is worth for a request.
type verdict uint8

const (
	pass    verdict = iota // answer from it
	signIn                 // ask the person to sign in
	refused                // login_required: asking is not allowed, or did not help
)

// satisfied judges the browser's session, or nil, for a request: prompt,
// max_age and whoever was named. A sign-in that the request itself led to
// satisfies prompt and max_age, but makes nobody else of a person.
func (o *oidc) satisfied(req *authRequest, s *store.Session) verdict {
	right := s != nil && (req.subject == "" || req.subject == s.Account)
	fresh := right && o.fresh(req, s)
	switch {
	case fresh:
		return pass
	case req.prompt["none"], req.resumed && s != nil && !right:
		return refused
	}
	return signIn
}

// fresh reports whether the session is new enough.
func (o *oidc) fresh(req *authRequest, s *store.Session) bool {
	if req.resumed && !s.AuthTime.Before(req.arrived.Add(-clockSlack)) {
		return true // signed in since; replicas' clocks may differ by so much
	}
	if req.prompt["login"] || req.prompt["select_account"] {
		return false
	}
	// By the whole second, as auth_time tells it: the app counts alike.
	age := o.Now().Sub(s.AuthTime.Truncate(time.Second))
	return req.maxAge == nil || *req.maxAge > 0 && age <= *req.maxAge
}

// clockSlack is how far replicas' clocks may differ before one fails readiness.
const clockSlack = 2 * time.Second
