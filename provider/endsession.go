package provider

import (
	"context"
	"net/url"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
)

// logoutRequest is a logout request that was checked (OpenID Connect
// RP-Initiated Logout 1.0 section 2).
type logoutRequest struct {
	form   url.Values    // what of it we know, once each
	hint   *hint         // nil: none was given
	client *store.Client // the one that the hint was made for
	to     string        // where the browser goes afterwards, with the state; "" for nowhere
}

// logoutParams are the parameters that we know. logout_hint is accepted and not
// needed: a session is named by the ID token, or is the browser's own.
var logoutParams = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales", "logout_hint"}

// logoutRequest checks a logout request. One that is refused leads nowhere.
func (o *oidc) logoutRequest(ctx context.Context, form url.Values) (logoutRequest, error) {
	l := logoutRequest{form: url.Values{}}
	for _, name := range logoutParams {
		switch v := form[name]; {
		case len(v) > 1:
			return logoutRequest{}, invalidRequest(name + " is given twice")
		case len(v) == 0 || v[0] == "":
		case !text(v[0]) || len(v[0]) > max(longest[name], 2048):
			return logoutRequest{}, invalidRequest(name + " is no text, or too long")
		default:
			l.form[name] = v
		}
	}
	if err := o.hintedAt(ctx, &l); err != nil {
		return logoutRequest{}, err
	}
	return l, nil
}

// hintedAt reads who asks, and where to go then. Both are believed of an ID token
// that we made and of nothing else: without one, anybody could send people
// anywhere that any app is registered for (same section).
func (o *oidc) hintedAt(ctx context.Context, l *logoutRequest) (err error) {
	uri := l.form.Get("post_logout_redirect_uri")
	if !l.form.Has("id_token_hint") {
		if uri != "" {
			return invalidRequest("post_logout_redirect_uri needs an id_token_hint")
		}
		return nil
	}
	if l.hint, err = o.hintOf(l.form.Get("id_token_hint")); err != nil {
		return invalidRequest("id_token_hint is not an ID token of ours")
	}
	if l.client, err = o.client(ctx, l.hint.Audience); err != nil {
		return err
	}
	switch {
	case l.client == nil:
		return invalidRequest("the client of id_token_hint is registered no more")
	case l.form.Has("client_id") && l.form.Get("client_id") != l.client.ID:
		return invalidRequest("client_id is not the client of id_token_hint")
	case uri != "" && !registered(l.client.PostLogoutURIs, uri):
		return invalidRequest("post_logout_redirect_uri is not one of those registered for this client")
	}
	l.to = uri
	if uri != "" && l.form.Has("state") {
		l.to = extend(uri, url.Values{"state": l.form["state"]})
	}
	return nil
}

// names reports whether the session is the one that the app asks to end.
func (o *oidc) names(l *logoutRequest, s *store.Session) bool {
	return o.subjectFor(l.client, s.Account) == l.hint.Subject && s.SID() == l.hint.Session
}

// app is the name of the app that asks, "" if none does.
func (l *logoutRequest) app() string {
	if l.client == nil {
		return ""
	}
	return l.client.Name
}

// frames are those of a session's apps that want to be told by the browser. Each
// is told who says so and which session is over, though it need not want to know
// (OpenID Connect Front-Channel Logout 1.0 section 2).
func (o *oidc) frames(apps []*store.Client, s *store.Session) []web.Frame {
	var all []web.Frame
	for _, c := range apps {
		if c.FrontchannelLogoutURI != "" {
			uri := extend(c.FrontchannelLogoutURI, url.Values{"iss": {o.issuer}, "sid": {s.SID()}})
			all = append(all, web.Frame{App: c.Name, URI: uri})
		}
	}
	return all
}

// fields are the request as the page that asks first sends it once more, to be
// checked once more.
func (l *logoutRequest) fields() []web.FormField {
	var all []web.FormField
	for _, name := range []string{"id_token_hint", "post_logout_redirect_uri", "state"} {
		if l.to != "" && l.form.Has(name) {
			all = append(all, web.FormField{Name: name, Value: l.form.Get(name)})
		}
	}
	return all
}
