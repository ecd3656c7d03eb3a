package provider

import (
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

// verdict says what a session is worth for a request.
type verdict uint8

const (
	pass    verdict = iota // answer from it
	signIn                 // ask for a sign-in
	anew                   // ask the person who is signed in to prove it anew
	more                   // ask them for the second factor alone
	refused                // asking is not allowed, or did not help
)

// satisfied judges the browser's session, or nil, for a request: prompt,
// max_age, the class of authentication, and whoever was named. A sign-in that
// the request itself led to satisfies prompt and max_age, but makes nobody else
// of a person.
func (o *oidc) satisfied(req *authRequest, s *store.Session) verdict {
	right := s != nil && (req.subject == "" || req.subject == o.subjectFor(req.client, s.Account))
	fresh := right && o.fresh(req, s)
	two := right && (!req.second || flows.TwoFactors(s.ACR))
	switch {
	case fresh && two && req.reached(s.ACR) != "":
		return pass
	case req.prompt["none"], req.resumed && s != nil && !right:
		return refused
	case !right, req.prompt["select_account"]:
		return signIn
	case !fresh, two: // or another way is wanted than it was proven by
		return anew
	}
	return more
}

// fresh reports whether the session is new enough.
func (o *oidc) fresh(req *authRequest, s *store.Session) bool {
	if req.resumed && !s.AuthTime.Before(req.arrived.Add(-clockSlack)) {
		return true // signed in since; replicas' clocks may differ by so much
	}
	if req.prompt["login"] || req.prompt["select_account"] {
		return false
	}
	// By the whole second, as auth_time tells it: the app counts alike. A
	// session does not grow too old while a second factor is asked for.
	now := o.Now()
	if req.resumed {
		now = req.arrived
	}
	age := now.Sub(s.AuthTime.Truncate(time.Second))
	return req.maxAge == nil || *req.maxAge > 0 && age <= *req.maxAge
}

// clockSlack is how far replicas' clocks may differ before one fails readiness.
const clockSlack = 2 * time.Second
