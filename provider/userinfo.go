package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/medximity/idp/provider/store"
)

// userinfo tells an app about the person it has an access token for (OIDC Core
// section 5.3).
func (o *oidc) userinfo(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	a, err := o.accessOf(r.Context(), token, o.Store.GrantByAccess)
	if errors.Is(err, store.ErrGone) {
		return invalidToken()
	}
	if err != nil {
		return err
	}
	if a.person == nil {
		return invalidToken() // a client's own: it names nobody
	}
	if !slices.Contains(a.scopes, scopeOpenID) {
		return &oauthError{Code: "insufficient_scope", Description: "the token was not granted openid",
			Status: http.StatusForbidden, Challenge: "Bearer"}
	}
	names := append(requestedBy(a.grant).Userinfo, claimNames(a.scopes)...)
	claims := claimsOf(a.person, names, o.Now())
	claims["sub"] = whose(a.grant)
	return o.tell(w, r, a.grant.Client, claims)
}

// tell answers in JSON, or signed for a client that is registered to have it so
// (OIDC Core section 5.3.2).
func (o *oidc) tell(w http.ResponseWriter, r *http.Request, client string, claims map[string]any) error {
	c, err := o.client(r.Context(), client)
	if err != nil {
		return err
	}
	if c == nil || c.UserinfoAlgorithm == "" {
		return answerJSON(w, http.StatusOK, claims)
	}
	claims["iss"], claims["aud"] = o.issuer, c.ID
	payload, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	signed, err := o.Keys.Sign(c.UserinfoAlgorithm, payload)
	if err != nil {
		return fmt.Errorf("sign userinfo: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/jwt")
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, signed) // the client is gone if this fails
	return nil
}

func invalidToken() error {
	return &oauthError{Code: "invalid_token", Description: "the access token is expired, revoked or not ours",
		Status: http.StatusUnauthorized, Challenge: "Bearer"}
}

// bearer returns the access token of a request: from the header, whose scheme
// has no case (RFC 9110 section 11.1), or from a form (RFC 6750 section 2.2),
// never from the query (section 2.3), where logs would keep it.
func bearer(r *http.Request) (string, error) {
	var token string
	if headers := r.Header.Values("Authorization"); len(headers) > 0 {
		scheme, rest, _ := strings.Cut(headers[0], " ")
		if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return "", unauthenticated()
		}
		token = strings.TrimLeft(rest, " ")
	}
	if r.Method == http.MethodPost && r.ContentLength != 0 {
		form, err := body(r)
		if err != nil {
			return "", err
		}
		if form.Has("access_token") && token != "" {
			return "", invalidRequest("more than one access token")
		}
		if token == "" {
			token = form.Get("access_token")
		}
	}
	if token == "" {
		return "", unauthenticated()
	}
	return token, nil
}

// unauthenticated asks for a token without an error code, since none was sent
// (RFC 6750 section 3.1).
func unauthenticated() error {
	return &oauthError{Status: http.StatusUnauthorized, Challenge: "Bearer"}
}
