package provider

import (
	"slices"

	"github.com/medximity/idp/flows"
)

// acrValues are the classes that a sign-in can reach, the weakest first: each stands
// for those before it as well, and a client that sends all of them is content with
// any.
var acrValues = []string{flows.ACR1FA, flows.ACR2FA, flows.ACRPhr}

// reached returns the class to tell the app of a session's: the session's own, or
// of those that an essential acr names the highest that the session reaches. An
// app that would have two factors, and said so, is not told of a class that it may
// not know. "" if none is reached, which is a sign-in that failed (OIDC Core
// section 5.5.1.1).
func (req *authRequest) reached(acr string) string {
	if req.mustReach == nil {
		return acr
	}
	for i := slices.Index(acrValues, acr); i >= 0; i-- {
		if slices.Contains(req.mustReach, any(acrValues[i])) {
			return acrValues[i]
		}
	}
	return ""
}
