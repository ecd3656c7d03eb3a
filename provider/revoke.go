package provider

import (
	"errors"
	"net/http"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// revoke ends the family of a token (RFC 7009): either kind of token ends both
// (section 2.1), since there is one grant behind them. A token that means
// nothing to us is as good as revoked (section 2.2); another client's token,
// and a store that does not answer, are errors.
func (o *oidc) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := body(r)
	if err != nil {
		return err
	}
	client, err := o.authenticated(r.Context(), r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return invalidRequest("token is missing")
	}
	id, err := o.familyOf(token)
	if err == nil && id != "" {
		err = o.revokeGrant(r, client.ID, id)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// familyOf names the grant of a token that we made, "" if we did not. A client's
// own JWT has none that could end (RFC 7009 section 2.2.1).
func (o *oidc) familyOf(token string) (string, error) {
	for _, prefix := range []string{refreshPrefix, accessPrefix} {
		if id, _, ok := o.opaque.read(prefix, token); ok {
			return id, nil
		}
	}
	t, err := o.readAccess(token)
	switch {
	case err != nil:
		return "", nil
	case t.own():
		return "", bad("unsupported_token_type", "a client's own JWT ends by itself, within minutes")
	}
	return t.grantID(), nil
}

func (o *oidc) revokeGrant(r *http.Request, client, id string) error {
	g, _, _, err := o.Store.Grant(r.Context(), id)
	switch {
	case errors.Is(err, store.ErrGone):
		return nil
	case err != nil:
		return err
	case g.Client != client:
		return invalidGrant("the token was issued to another client")
	}
	return o.Store.RevokeGrant(r.Context(), id, account.ClientAsked)
}
