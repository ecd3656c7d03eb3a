package provider

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/medximity/idp/provider/store"
)

func TestRedirectURI(t *testing.T) {
	c := &store.Client{RedirectURIs: []string{testCB, "http://127.0.0.1/cb", "http://[::1]/cb?x=1",
		"http://localhost/cb", "http://127.0.0.1:8080/fixed"}}
	good := []string{testCB, "http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb",
		"http://[::1]:4711/cb?x=1", "http://[::1]/cb?x=1", "http://localhost/cb", "http://127.0.0.1:8080/fixed"}
	for _, uri := range good {
		if !redirectURI(c, uri) {
			t.Errorf("refused %s", uri)
		}
	}
	bad := []string{"", "https://127.0.0.1:80/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb",
		"http://127.0.0.1:080/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:80", "http://127.0.0.1:80/cb/",
		"http://127.0.0.1:80/cb?", "http://127.0.0.1:80/cb#", "http://127.0.0.1:80@evil.example/cb",
		"http://127.0.0.1:80.evil.example/cb", "http://user:pw@127.0.0.1:9/cb", "http://127.0.0.2:80/cb",
		"http://127.1:80/cb", "http://localhost:80/cb", "http://[::1]:80/cb?x=2", "http://[::1%25lo]:80/cb?x=1",
		"http://127.0.0.1:8081/fixed", "http://127.0.0.1/fixed", "http://127.0.0.1:+80/cb", "HTTP://127.0.0.1:80/cb"}
	for _, uri := range bad {
		if redirectURI(c, uri) {
			t.Errorf("accepted %s", uri)
		}
	}
}

// variants are spellings that some reading of a URI takes for the original.
func variants(uri string) []string {
	rest := strings.TrimPrefix(uri, "https://")
	host, path, _ := strings.Cut(rest, "/")
	path = "/" + path
	out := []string{
		"http://" + rest, "HTTPS://" + rest, "https:" + rest, "https:/" + rest, "https:///" + rest, "//" + rest, rest,
		"https://" + strings.ToUpper(host) + path, "https://" + host + "." + path, "https://" + host + ":443" + path,
		"https://" + host + ":" + path, "https://" + host + ":8443" + path, "https://evil.example" + path,
		"https://" + host + ".evil.example" + path, "https://" + host + "@evil.example" + path,
		"https://user@" + host + path, "https://user:pw@" + host + path, "https://evil.example#@" + host + path,
		"https://evil.example?@" + host + path, "https://evil.example/" + uri, "https://evil.example\\@" + host + path,
		"https://evil.example\\." + host + path, "https://x." + host + path, "javascript:alert(1)", "data:text/html,x",
		"https://" + host + "%2f" + path, "https://" + host + "%00.evil.example" + path, "\\\\" + rest,
		"https://" + host, "https://" + host + "/", uri + "/", uri + "//", uri + "/..", uri + "/.", uri + "/../cb",
		"https://" + host + "/x/.." + path, "https://" + host + "/." + path, "https://" + host + "/" + path,
		"https://" + host + "/%2e" + path, "https://" + host + strings.ToUpper(path), uri + "?", uri + "?x=1", uri + "&x=1",
		uri + "#", uri + "#x", uri + "%23", uri + "%3f", uri + ";x", uri + "%", uri + "%00", uri + "%0d%0aX:1", uri + ".",
		uri + " ", " " + uri, uri + "\t", uri + "\n", "\n" + uri, uri + "\x00", uri + "\u200b", uri + "*", uri + ",", uri + "\\",
		strings.Replace(uri, ".", "\u3002", 1), strings.Replace(uri, "e", "\u0435", 1), strings.Replace(uri, "a", "\uff41", 1),
		strings.Replace(uri, "c", "%63", 1), strings.Replace(uri, "b", "%62", 1), uri + "," + uri, uri + " " + uri,
	}
	return out
}

func TestRedirectCorpus(t *testing.T) {
	g := newRig(t)
	corpus := variants(testCB)
	r := rand.New(rand.NewPCG(1, 2))
	for len(corpus) < 700 { // and one character changed, added or dropped anywhere
		i, c := r.IntN(len(testCB)), string(rune(0x21+r.IntN(0x5e)))
		switch r.IntN(3) {
		case 0:
			corpus = append(corpus, testCB[:i]+c+testCB[i+1:])
		case 1:
			corpus = append(corpus, testCB[:i]+c+testCB[i:])
		case 2:
			corpus = append(corpus, testCB[:i]+testCB[i+1:])
		}
	}
	tried := map[string]bool{}
	for _, uri := range corpus {
		if uri == testCB || tried[uri] {
			continue
		}
		tried[uri] = true
		for _, q := range []url.Values{ask("redirect_uri", uri), ask("redirect_uri", uri, "prompt", "none", "response_type", "x")} {
			w := g.get(q)
			if w.Code != 400 || w.Header().Get("Location") != "" {
				t.Errorf("%q: %d %v", uri, w.Code, w.Header())
			}
		}
	}
	if len(tried) < 500 {
		t.Errorf("only %d variants", len(tried))
	}
	if w := g.get(ask()); w.Code != 303 {
		t.Error("the registered one:", w.Code)
	}
}

func TestCheckRedirectURI(t *testing.T) {
	for uri, good := range map[string]bool{
		testCB: true, "http://127.0.0.1/cb": true, "http://[::1]:99/cb": true, "http://localhost:3000/cb": true,
		"https://app.example/cb?x=1": true, "http://app.example/cb": false, "app:/cb": false, "/cb": false, "": false,
		"https://app.example/cb#x": false, "https://app.example/cb#": false, "https://u@app.example/cb": false,
		"https://app.example/c b": false, "https://app.example/\u00e9": false, "javascript:alert(1)": false,
		"http://127.0.0.1.evil.example/": false, "https://": false,
	} {
		if err := CheckRedirectURI(uri); (err == nil) != good {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestCheckFrontchannelURI(t *testing.T) {
	redirects := []string{testCB, "http://127.0.0.1/cb", "https://app.example:8443/cb"}
	for uri, good := range map[string]bool{
		"https://app.example/out": true, "https://app.example/out?x=1": true, "https://app.example:8443/out": true,
		"http://127.0.0.1/out": true, "http://127.0.0.1:4711/out": true,
		"https://app.example:444/out": false, "https://other.example/out": false, "http://app.example/out": false,
		"https://app.example.evil.example/out": false, "https://app.example@evil.example/out": false,
		"https://app.example/out#x": false, "http://localhost/out": false, "/out": false, "": false,
	} {
		if err := CheckFrontchannelURI(uri, redirects); (err == nil) != good {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// RFC 8252 section 7.1.
func TestCheckNativeURI(t *testing.T) {
	for uri, good := range map[string]bool{"com.example.app:/cb": true, "com.example.app:/": true, "com.example.app:/cb?x=1": true, testCB: true, testNative: true,
		"app:/cb": false, "com.example.app:cb": false, "com.example.app://cb": false, "com.example.app://evil.example/cb": false, "com.example.app:///cb": false,
		"com.example.app:/cb#x": false, "com.example.app:/c b": false, "Com.Example.App:/cb": false, "javascript:/alert(1)": false, "com..app:/cb": false,
		"data:text/html,x": false, "com.example.app": false, "com.example.app:": false, ".example:/cb": false, "com.example.app:/cb\n": false, "http://app.example/cb": false} {
		if err := CheckNativeURI(uri); (err == nil) != good {
			t.Errorf("%q: %v", uri, err)
		}
		if strings.HasPrefix(uri, "com.") && CheckRedirectURI(uri) == nil {
			t.Errorf("%q is good for a client with a secret", uri)
		}
	}
}

// An app on a phone gets its code at its own scheme, which the pages' policy lets
// a sign-in lead to, and needs its verifier.
func TestNativeApp(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.app("phone", func(c *store.Client) {
		c.Public, c.SecretHash, c.RedirectURIs = true, nil, []string{"com.example.app:/cb"}
	})
	b := h.browser()
	const ask = "/authorize?client_id=phone&redirect_uri=com.example.app%3A%2Fcb&response_type=code&scope=openid&state=s"
	page := b.get(ask + "&code_challenge_method=S256&code_challenge=" + challenge)
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' com.example.app:;") {
		t.Error(csp)
	}
	to, err := url.Parse(b.signIn(page, "grace", rightPassword).Header.Get("Location"))
	if err != nil || to.Scheme != "com.example.app" || to.Path != "/cb" || to.Query().Get("state") != "s" || !to.Query().Has("code") {
		t.Fatal(to, err)
	}
	for _, try := range []struct {
		verifier string
		want     int
	}{{"wrong" + verifier, http.StatusBadRequest}, {verifier, http.StatusOK}} {
		a := b.post("/token", "grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", "com.example.app:/cb",
			"client_id", "phone", "code_verifier", try.verifier)
		if a.StatusCode != try.want {
			t.Errorf("verifier %q: %d %s", try.verifier, a.StatusCode, a.text)
		}
	}
	a := b.get(ask)
	if got, _ := url.Parse(a.Header.Get("Location")); got == nil || got.Query().Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if got := b.get(ask + "&response_mode=form_post&code_challenge_method=S256&code_challenge=" + challenge).Header.Get("Location"); !strings.Contains(got, "error=invalid_request") {
		t.Errorf("form_post: %q", got)
	}
}

func ExampleCheckRedirectURI() {
	fmt.Println(CheckRedirectURI("http://app.example/cb"))
	// Output: it must be https, or http on the loopback interface
}
