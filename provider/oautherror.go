package provider

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// oauthError is a refusal in the words of the protocol. What it says goes over
// the wire to programs; people are shown the pages' own texts.
type oauthError struct {
	Code        string // RFC 6749 sections 4.1.2.1 and 5.2, and their registry
	Description string // for the app's developer; never what was sent to us
	Status      int    // of the answer, where it is not a redirect
	Challenge   string // the scheme of WWW-Authenticate, where one is due
	Page        bool   // people are shown it, though it could be redirected
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

// pageError is a refusal that must not be redirected, because it is not known
// whose redirect URI it would go to (RFC 6749 section 4.1.2.1, RFC 9700
// section 4.11.2). People are shown it as a page, with status 400.
type pageError struct {
	App         string // the client's name, where known
	Code        string
	Description string
}

func (e *pageError) Error() string { return e.Code + ": " + e.Description }

// bad is a refusal with status 400, which is that of most.
func bad(code, description string) *oauthError {
	return &oauthError{Code: code, Description: description, Status: http.StatusBadRequest}
}

func invalidRequest(description string) *oauthError { return bad("invalid_request", description) }
func invalidGrant(description string) *oauthError   { return bad("invalid_grant", description) }
func invalidScope(description string) *oauthError   { return bad("invalid_scope", description) }

// explain returns what an error is called on the wire. A fault of ours comes
// back as server_error, and is for the caller to log.
func explain(err error) *oauthError {
	var known *oauthError
	var f *fosite.RFC6749Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, store.ErrReplayed), errors.Is(err, store.ErrReused):
		return invalidGrant("this was used before; all that came of it is revoked")
	case errors.Is(err, store.ErrGone):
		return invalidGrant("expired, revoked, or the account may not sign in")
	case errors.Is(err, directory.ErrUnavailable), store.Away(err):
		return &oauthError{Code: "temporarily_unavailable", Description: "try again in a moment",
			Status: http.StatusServiceUnavailable}
	case errors.As(err, &f):
		return explainFosite(f)
	}
	return &oauthError{Code: "server_error", Description: "the request could not be served",
		Status: http.StatusInternalServerError}
}

// explainFosite translates fosite's errors: some of its names are its own, some
// are the wrong ones, and its texts are for its developers.
func explainFosite(f *fosite.RFC6749Error) *oauthError {
	switch f.ErrorField {
	case "invalid_request":
		return invalidRequest("a parameter is missing or malformed")
	case "invalid_grant", "token_inactive", "not_found", "invalid_token", "token_signature_mismatch":
		return invalidGrant("the code or refresh token is not valid for this client and request")
	case "invalid_scope", "scope_not_granted":
		return invalidScope("the client is not registered for a requested scope")
	case "unauthorized_client":
		return bad("unauthorized_client", "the client may not use this grant type")
	case "unsupported_response_type":
		return bad("unsupported_response_type", "only response_type=code is supported")
	case "unsupported_response_mode":
		return invalidRequest("response_mode is query or form_post")
	}
	return &oauthError{Code: "server_error", Description: "the request could not be served",
		Status: http.StatusInternalServerError}
}

// wire keeps a description within the characters that RFC 6749 section 5.2
// allows: %x20-21 / %x23-5B / %x5D-7E.
func wire(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
}
