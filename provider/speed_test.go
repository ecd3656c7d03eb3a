package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/store"
)

// withAlgorithm runs a benchmark for a client of each algorithm.
func withAlgorithm(b *testing.B, f func(b *testing.B, g *rig)) {
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			g := newRig(b)
			g.change("web", func(c *store.Client) { c.Algorithm = alg })
			b.ReportAllocs()
			f(b, g)
		})
	}
}

func (g *rig) send(b *testing.B, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("web", "s3cret")
	w := g.do(r)
	if w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Body)
	}
	return w
}

func BenchmarkAuthorize(b *testing.B) {
	withAlgorithm(b, func(b *testing.B, g *rig) {
		q := ask("code_challenge", challenge, "code_challenge_method", "S256")
		for b.Loop() {
			if w := g.get(q); w.Code != http.StatusSeeOther {
				b.Fatal(w.Code)
			}
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	withAlgorithm(b, func(b *testing.B, g *rig) {
		codes := make([]string, 0, 1024)
		for b.Loop() {
			if len(codes) == 0 {
				b.StopTimer()
				for range cap(codes) {
					codes = append(codes, g.codeOf())
				}
				b.StartTimer()
			}
			code := codes[len(codes)-1]
			codes = codes[:len(codes)-1]
			g.send(b, "/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}})
		}
	})
}

func BenchmarkRefresh(b *testing.B) {
	withAlgorithm(b, func(b *testing.B, g *rig) {
		token := g.tokens()["refresh_token"].(string)
		for b.Loop() {
			w := g.send(b, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
			_, rest, _ := strings.Cut(w.Body.String(), `"refresh_token":"`)
			token, _, _ = strings.Cut(rest, `"`)
		}
	})
}

func BenchmarkUserinfo(b *testing.B) {
	g := newRig(b)
	token := g.tokens()["access_token"].(string)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", "/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if w := g.do(r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
