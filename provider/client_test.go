package provider

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestClientAuthentication(t *testing.T) {
	enc := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name    string
		headers []string
		form    url.Values
		status  int
		want    string
	}{
		{"basic", []string{enc("web:s3cret")}, nil, 200, ""},
		{"basic in lower case", []string{strings.Replace(enc("web:s3cret"), "Basic", "basic", 1)}, nil, 200, ""},
		{"basic, and the same client_id", []string{enc("web:s3cret")}, url.Values{"client_id": {"web"}}, 200, ""},
		{"post", nil, url.Values{"client_id": {"web"}, "client_secret": {"s3cret"}}, 200, ""},
		{"public", nil, url.Values{"client_id": {"spa"}}, 200, ""},
		{"basic, urlencoded (RFC 6749 section 2.3.1)", []string{enc("odd%3Aid%2B%25:a%3Ab%25%2B+c")}, nil, 200, ""},
		{"nothing", nil, nil, 401, "invalid_client"},
		{"wrong secret", []string{enc("web:wrong")}, nil, 401, "invalid_client"},
		{"wrong secret in the body", nil, url.Values{"client_id": {"web"}, "client_secret": {"wrong"}}, 401, "invalid_client"},
		{"no secret", nil, url.Values{"client_id": {"web"}}, 401, "invalid_client"},
		{"empty secret", []string{enc("web:")}, nil, 401, "invalid_client"},
		{"unknown client", []string{enc("nobody:s3cret")}, nil, 401, "invalid_client"},
		{"unknown client without secret", nil, url.Values{"client_id": {"nobody"}}, 401, "invalid_client"},
		{"public with a secret", nil, url.Values{"client_id": {"spa"}, "client_secret": {"x"}}, 401, "invalid_client"},
		{"another scheme", []string{"Bearer abc"}, nil, 401, "invalid_client"},
		{"no base64", []string{"Basic !!"}, nil, 401, "invalid_client"},
		{"no colon", []string{enc("web")}, nil, 401, "invalid_client"},
		{"bad urlencoding", []string{enc("web:%zz")}, nil, 401, "invalid_client"},
		{"basic and post", []string{enc("web:s3cret")}, url.Values{"client_secret": {"s3cret"}}, 400, "invalid_request"},
		{"two headers", []string{enc("web:s3cret"), enc("web:s3cret")}, nil, 400, "invalid_request"},
		{"another client_id", []string{enc("web:s3cret")}, url.Values{"client_id": {"strict"}}, 400, "invalid_request"},
		{"assertion", nil, url.Values{"client_id": {"web"}, "client_assertion": {"x"}}, 401, "invalid_client"},
	}
	g := newRig(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			form := url.Values{"token": {"unknown"}}
			for k, v := range test.form {
				form[k] = v
			}
			r := httptest.NewRequest("POST", "/revoke", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header["Authorization"] = test.headers
			w := g.do(r)
			body := decode(t, w)
			if test.want != "" {
				wants(t, w.Code, body, test.status, test.want)
			} else if w.Code != test.status {
				t.Error(w.Code, body)
			}
			if asks := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(asks, "Basic ") {
				t.Errorf("%d with WWW-Authenticate %q", w.Code, asks)
			}
		})
	}
}

func TestSecretsInTheQueryDoNotCount(t *testing.T) {
	g := newRig(t)
	q := url.Values{"client_id": {"web"}, "client_secret": {"s3cret"}}
	status, body := g.post("/token?"+q.Encode(), url.Values{"grant_type": {"authorization_code"}, "code": {g.codeOf()}, "redirect_uri": {testCB}})
	wants(t, status, body, 401, "invalid_client")
}
