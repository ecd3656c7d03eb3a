package provider

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ory/fosite"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// authRequest is an authorization request that was checked (OIDC Core section
// 3.1.2.2). One that failed a check is filled in as far as the checks came:
// redirect is empty as long as errors must not be redirected.
type authRequest struct {
	client   *store.Client
	form     url.Values // what of it we know, once each
	redirect string     // where the answer goes
	formPost bool       // how it goes there; else as a query
	state    string     // to be returned as it came; "" for none
	scopes   []string
	prompt   map[string]bool
	maxAge   *time.Duration // nil: any; 0 asks for a new sign-in
	subject  account.ID     // the only person who will do, by the client's name for them; "" for anyone
	second   bool           // two factors are wanted, by the client or by acr
	claims   requestedClaims
	// mustReach are the classes of an essential acr; nil: any will do.
	mustReach []any
	arrived   time.Time // when it first came
	resumed   bool      // it led to a sign-in, which is over
	pushed    string    // the visit to it, if the app pushed it (pushed.go)
	parsed    fosite.AuthorizeRequester
}

// known are the parameters that we act on or keep. Others are ignored (RFC 6749
// section 3.1) and never stored.
var known = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "id_token_hint", "login_hint",
	"ui_locales", "acr_values", "display", "claims", "claims_locales", "resource", "request", "request_uri", "registration",
}

// parse checks an authorization request. If it fails a check, the request
// comes back beside the error, for refuse to send the error where it belongs.
func (o *oidc) parse(r *http.Request) (*authRequest, error) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		form, err = r.PostForm, r.ParseForm()
		if err == nil {
			form = r.PostForm
		}
	}
	req := &authRequest{arrived: o.Now()}
	if err != nil {
		return req, invalidRequest("the request is not properly encoded")
	}
	if strings.HasPrefix(form.Get("request_uri"), pushedPrefix) {
		if form, err = o.recall(r.Context(), req, form); err != nil {
			return req, err
		}
	}
	return req, o.read(r.Context(), req, form)
}

// restore checks a request again that led to a page of ours.
func (o *oidc) restore(ctx context.Context, fr flows.Request) (*authRequest, error) {
	req := &authRequest{arrived: fr.Arrived, pushed: fr.Pushed}
	form, err := url.ParseQuery(fr.Authorize)
	if err != nil {
		return req, invalidRequest("the request is not properly encoded")
	}
	return req, o.read(ctx, req, form)
}

func (o *oidc) read(ctx context.Context, req *authRequest, form url.Values) error {
	req.form = make(url.Values, len(form))
	for _, name := range known {
		if v := form[name]; len(v) > 0 {
			req.form[name] = v
		}
	}
	for _, rule := range o.rules() {
		if err := rule(ctx, req); err != nil {
			return err
		}
	}
	return nil
}

// flow returns the request as a login flow keeps it.
func (req *authRequest) flow() flows.Request {
	subject := req.subject
	if pairwise(req.client) {
		subject = "" // not to be turned back into an account; satisfied sees who came
	}
	return flows.Request{
		Authorize: req.form.Encode(), Arrived: req.arrived, Pushed: req.pushed,
		Client: req.client.ID, ClientName: req.client.Name, Target: origin(req.redirect),
		Locales: req.form.Get("ui_locales"), Hint: req.form.Get("login_hint"), Subject: subject,
		Second: req.second,
	}
}

// toGET answers a request that came as a POST by sending the browser here again
// with a GET: on a POST from the app's site it did not send our SameSite=Lax
// session cookie.
func (o *oidc) toGET(w http.ResponseWriter, r *http.Request, path string, known []string) error {
	if err := r.ParseForm(); err != nil {
		return &pageError{Code: "invalid_request", Description: "the request is not properly encoded"}
	}
	form := url.Values{}
	for _, name := range known {
		if v := r.PostForm[name]; len(v) > 0 {
			form[name] = v
		}
	}
	query := form.Encode()
	if len(query) > maxQuery {
		return &pageError{Code: "invalid_request", Description: "the request is too long"}
	}
	seeOther(w, strings.TrimSuffix(o.Issuer.Path, "/")+path+"?"+query)
	return nil
}

// seeOther redirects with 303, never 307, which would post again what was
// posted here (RFC 9700 section 4.12). The URI goes out byte for byte.
func seeOther(w http.ResponseWriter, uri string) {
	h := w.Header()
	h.Set("Location", uri)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}

// maxQuery leaves room for headers in the 32 KiB that a request's head may be.
const maxQuery = 16 << 10

// text reports whether a value is text that may be stored and sent back: UTF-8
// without control characters.
func text(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f }) < 0
}
