package provider

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// One POST of 9 MB with nested JSON in client_assertion used to kill fosite
// with a stack overflow, which nothing can recover from.
func TestNestedAssertion(t *testing.T) {
	g := newRig(t)
	s := httptest.NewServer(g.mux)
	defer s.Close()
	for _, depth := range []int{100, 10_000, 60_000, 3_500_000} {
		for _, path := range []string{"/token", "/revoke", "/userinfo"} {
			form := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "token": {"x"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
			body := form.Encode() + "&client_assertion=eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("W1tb", depth/3) + ".AAAA"
			resp, err := http.Post(s.URL+path, "application/x-www-form-urlencoded", strings.NewReader(body))
			if err != nil {
				continue // the server hung up on so long a body
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%s, depth %d: %d", path, depth, resp.StatusCode)
			}
		}
	}
	if status, body := g.exchange(g.codeOf()); status != 200 {
		t.Error("and then:", status, body)
	}
}

func TestBodies(t *testing.T) {
	g := newRig(t)
	const form = "application/x-www-form-urlencoded"
	good := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "client_id": {"web"}, "client_secret": {"s3cret"}}.Encode()
	var multi bytes.Buffer
	parts := multipart.NewWriter(&multi)
	_ = parts.WriteField("grant_type", "authorization_code")
	_ = parts.Close()
	tests := []struct {
		name, kind, body string
		status           int
	}{
		{"no type", "", good, 400},
		{"JSON", "application/json", `{"grant_type":"authorization_code"}`, 400},
		{"multipart", parts.FormDataContentType(), multi.String(), 400},
		{"empty", form, "", 400},
		{"bad percent", form, good + "&a=%zz", 400},
		{"semicolon", form, good + ";a=b", 400},
		{"twice", form, good + "&code=y", 400},
		{"twice, unknown", form, good + "&z=1&z=2", 400},
		{"not UTF-8", form, good + "&a=%ff", 400},
		{"NUL", form, good + "&a=%00", 400},
		{"too large", form, good + "&a=" + strings.Repeat("a", maxBody), 413},
	}
	for _, test := range tests {
		r := httptest.NewRequest("POST", "/token", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		w := g.do(r)
		body := decode(t, w)
		wants(t, w.Code, body, test.status, "invalid_request")
		if d, _ := body["error_description"].(string); d == "" || wire(d) != d {
			t.Errorf("%s: description %q", test.name, d)
		}
	}
	w := g.do(httptest.NewRequest("GET", "/token", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Error("GET /token:", w.Code, w.Header())
	}
}

func FuzzOpenCode(f *testing.F) {
	g := newRig(f)
	code := g.codeOf()
	f.Add(code)
	f.Add(codePrefix)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := g.openCode(s, "web"); err == nil && s != code {
			t.Errorf("opened %q", s)
		}
	})
}
