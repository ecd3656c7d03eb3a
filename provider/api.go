package provider

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/medximity/idp/provider/web"
)

// maxBody is the most that a program may send us. It is also what keeps deeply
// nested JSON from reaching a parser that dies of it.
const maxBody = 64 << 10

// methods of the endpoints for programs, where they are not GET and HEAD.
var methods = map[string][]string{"par": {"POST"}, "token": {"POST"}, "revoke": {"POST"}, "introspect": {"POST"}, "userinfo": {"GET", "POST"}}

// api turns an endpoint for programs into a handler: it bounds what is read,
// lets scripts of other origins call (no cookie is read here, so there is
// nothing to steal with them; never mount authorize so), and turns errors into
// the JSON of RFC 6749 section 5.2.
func (o *oidc) api(endpoint string, h func(http.ResponseWriter, *http.Request) error) http.Handler {
	may := methods[endpoint]
	if may == nil {
		may = []string{"GET", "HEAD"}
	}
	allowed := strings.Join(may, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cors(w.Header())
		if r.Method == http.MethodOptions {
			preflight(w, allowed)
			return
		}
		if !slices.Contains(may, r.Method) {
			w.Header().Set("Allow", allowed)
			o.fail(w, r, endpoint, &oauthError{Code: "invalid_request", Description: "the method is " + allowed,
				Status: http.StatusMethodNotAllowed})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		ctx, cancel := context.WithTimeout(r.Context(), web.AnswerFor)
		defer cancel()
		r = r.WithContext(ctx)
		if err := h(w, r); err != nil {
			o.fail(w, r, endpoint, err)
			return
		}
		o.Count(endpoint, "")
	})
}

func cors(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
}

func preflight(w http.ResponseWriter, allowed string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allowed)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}

// fail answers an error. What is our own fault is logged, here and only here;
// that a client hung up is nobody's.
func (o *oidc) fail(w http.ResponseWriter, r *http.Request, endpoint string, err error) {
	e := explain(err)
	if e.Status >= http.StatusInternalServerError && !errors.Is(r.Context().Err(), context.Canceled) {
		o.Logger.ErrorContext(r.Context(), "request failed", "endpoint", endpoint, "cause", root(err).Error())
	}
	o.Count(endpoint, cmp.Or(e.Code, "invalid_token"))
	h := w.Header()
	switch {
	case e.Challenge == "Basic":
		h.Set("WWW-Authenticate", `Basic realm="token", charset="UTF-8"`)
	case e.Challenge != "" && e.Code == "":
		h.Set("WWW-Authenticate", e.Challenge)
	case e.Challenge != "":
		h.Set("WWW-Authenticate", e.Challenge+` error="`+e.Code+`", error_description="`+wire(e.Description)+`"`)
	case e.Status == http.StatusServiceUnavailable, e.Status == http.StatusTooManyRequests:
		h.Set("Retry-After", "5")
	}
	answer := map[string]string{}
	if e.Code != "" {
		answer["error"], answer["error_description"] = e.Code, wire(e.Description)
	}
	_ = answerJSON(w, e.Status, answer) // of strings: cannot fail
}

// root returns what fosite wrapped: its own errors say nothing.
func root(err error) error {
	var f *fosite.RFC6749Error
	for errors.As(err, &f) && errors.Unwrap(f) != nil {
		err = errors.Unwrap(f)
	}
	return err
}

// body returns a request's form: urlencoded, each parameter once (RFC 6749
// section 3.2), nothing from the query. Empty parameters count as omitted.
func body(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &oauthError{Code: "invalid_request", Description: "the body is too large",
				Status: http.StatusRequestEntityTooLarge}
		}
		return nil, invalidRequest("the body is not properly encoded")
	}
	for name, v := range r.PostForm {
		switch {
		case len(v) > 1:
			return nil, invalidRequest("a parameter is given twice")
		case !text(name) || !text(v[0]):
			return nil, invalidRequest("a parameter is not text")
		case v[0] == "":
			delete(r.PostForm, name)
		}
	}
	return r.PostForm, nil
}
