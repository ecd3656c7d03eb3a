package provider

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// T29: a redirect URI is good if it is one of those registered, byte for byte,
// or a loopback one with a port where none is registered.
func FuzzRedirectURI(f *testing.F) {
	c := &store.Client{RedirectURIs: []string{testCB, "http://127.0.0.1/cb", "http://[::1]/cb?x=1", "http://127.0.0.1", "http://127.0.0.1:8080/fixed"}}
	for _, uri := range append(variants(testCB), "http://127.0.0.1:1/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:80@evil/cb", "http://[::1]:9/cb?x=1", "http://127.0.0.1:1", "http://127.0.0.1:1\\cb", "") {
		f.Add(uri)
	}
	loopback := regexp.MustCompile(`^(http://(?:127\.0\.0\.1|\[::1\])):([1-9][0-9]{0,4})((?:[/?].*)?)$`)
	f.Fuzz(func(t *testing.T, uri string) {
		want := slices.Contains(c.RedirectURIs, uri)
		if m := loopback.FindStringSubmatch(uri); m != nil && !strings.Contains(uri, "\n") {
			port, _ := strconv.Atoi(m[2])
			want = want || port <= 65535 && slices.Contains(c.RedirectURIs, m[1]+m[3])
		}
		if got := redirectURI(c, uri); got != want {
			t.Errorf("%q: %v, want %v", uri, got, want)
		}
		if redirectURI(&store.Client{}, uri) {
			t.Errorf("%q is good for a client that has none", uri)
		}
	})
}

// What may be registered is absolute and has a host that no two readings differ
// about; an answer is added to it and changes nothing else.
func FuzzCheckRedirectURI(f *testing.F) {
	for _, uri := range append(variants(testCB), "http://localhost/cb", "http://[::1]:1/", "https://a.b?", "https://a.b?x&", "com.example:/cb", "https://a.b/\u00e9") {
		f.Add(uri, "c0de", "st4te")
		f.Add(uri, "a&b=c", "#")
	}
	f.Fuzz(func(t *testing.T, uri, code, state string) {
		if CheckRedirectURI(uri) != nil {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(uri, "#\\ \r\n\t\"<>") ||
			u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			t.Fatalf("%q may be registered", uri)
		}
		to := extend(uri, url.Values{"code": {code}, "state": {state}})
		got, err := url.Parse(to)
		if err != nil || got.Scheme != u.Scheme || got.Host != u.Host || got.Path != u.Path || got.Fragment != "" || !strings.HasPrefix(to, uri) {
			t.Fatalf("%q leads to %q", uri, to)
		}
		before, after := u.Query(), got.Query()
		if strings.ContainsAny(u.RawQuery, ";%") {
			return // of which Go's reading is stricter than most
		}
		for name, values := range before {
			if len(after[name]) < len(values) || !slices.Equal(after[name][:len(values)], values) {
				t.Errorf("%q lost %s: %q", uri, name, to)
			}
		}
		if all := after["code"]; len(all) == 0 || all[len(all)-1] != code {
			t.Errorf("%q: no code in %q", uri, to)
		}
		if at := origin(uri); at != u.Scheme+"://"+u.Host {
			t.Errorf("the origin of %q is %q", uri, at)
		}
	})
}

// T29: an authorization request is answered at a registered URI or on a page,
// never elsewhere; it is never a fault, and a code is only given for a request
// that was right.
func FuzzAuthorize(f *testing.F) {
	g := newRig(f)
	good := ask("code_challenge", challenge, "code_challenge_method", "S256")
	f.Add(good.Encode())
	for _, change := range [][]string{{"redirect_uri", "https://evil.example"}, {"client_id", "nobody"}, {"prompt", "none"}, {"prompt", "login"}, {"max_age", "0"}, {"max_age", "-1"},
		{"response_type", "token"}, {"response_mode", "form_post"}, {"response_mode", "fragment"}, {"scope", "openid " + strings.Repeat("x ", 70)}, {"state", "\u2028"}, {"state", strings.Repeat("s", 5000)},
		{"claims", `{"id_token":{"acr":{"essential":true,"value":"x"}}}`}, {"claims", "[[["}, {"id_token_hint", "a.b.c"}, {"request", "x"}, {"code_challenge", "x"}, {"acr_values", "urn:medximity:acr:2fa"}, {"client_id", "careful"}, {"ui_locales", "\x00"}} {
		f.Add(ask(change...).Encode())
	}
	f.Add(good.Encode() + "&state=twice")
	f.Add("client_id=web&redirect_uri=" + url.QueryEscape(testCB) + "&state=%zz")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.URL.RawQuery = query
		g.began = nil
		w := g.do(r)
		to := w.Header().Get("Location")
		if w.Code >= 500 || w.Code == http.StatusSeeOther != (to != "") {
			t.Fatalf("%q: %d to %q %s", query, w.Code, to, w.Body)
		}
		form, err := url.ParseQuery(query)
		if err != nil && w.Code != http.StatusBadRequest {
			t.Fatalf("%q: %d", query, w.Code)
		}
		if to == "" {
			return
		}
		uri := form.Get("redirect_uri")
		if base, _, _ := strings.Cut(to, "?"); len(form["redirect_uri"]) != 1 || !strings.HasPrefix(to, uri) || base != uri ||
			!slices.Contains([]string{testCB, testNative}, uri) && !regexp.MustCompile(`^http://127\.0\.0\.1:[0-9]+/cb$`).MatchString(uri) {
			t.Fatalf("%q leads to %q", query, to)
		}
		u, err := url.Parse(to)
		if err != nil || strings.ContainsAny(to, "\r\n") || !slices.Equal(u.Query()["iss"], []string{testIssuer}) {
			t.Fatalf("%q leads to %q: %v", query, to, err)
		}
		if got := u.Query()["state"]; len(got) > 1 || len(got) == 1 && got[0] != form.Get("state") {
			t.Errorf("%q: the state is %q", query, got)
		}
		if u.Query().Has("code") == u.Query().Has("error") {
			t.Errorf("%q: %q", query, to)
		}
		if !u.Query().Has("code") {
			return
		}
		for _, name := range known {
			if len(form[name]) > 1 {
				t.Errorf("a code for %s twice: %q", name, query)
			}
		}
		if form.Get("response_type") != "code" || form.Has("request") && form.Get("request") != "" {
			t.Errorf("a code for %q", query)
		}
		if c, err := g.openCode(u.Query().Get("code"), form.Get("client_id")); err != nil || c.Account != "ann-id" || c.Challenge != form.Get("code_challenge") || c.Nonce != form.Get("nonce") {
			t.Errorf("a code for %+v, %v", c, err)
		}
	})
}

// OIDC Core section 5.5: what is asked for by name is never more than what the
// client may ask for at large, and a grant keeps it as it was read.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{"", "{}", "null", "[]", "1", `{"userinfo":null}`, `{"userinfo":{"name":null,"email":{"essential":true},"x":{}}}`, `{"id_token":{"acr":{"essential":true,"values":["a",1,null]},"sub":{"value":"x"}}}`,
		`{"id_token":{"sub":{"value":1}}}`, `{"id_token":{"acr":null}}`, `{"userinfo":{"name":1}}`, `{"userinfo":{"name":{"essential":"true"}}}`, `{"userinfo":{"name":{},"name":{}}}`, strings.Repeat(`{"userinfo":`, 900), `{"userinfo":{"\u0000":null}}`} {
		f.Add(s, "openid email")
	}
	f.Fuzz(func(t *testing.T, s, scopes string) {
		asked, err := readClaims(s)
		if err != nil {
			return
		}
		c := &store.Client{Scopes: strings.Fields(scopes)}
		got := asked.within(c)
		may := claimNames(allowedScopes(c))
		for _, name := range slices.Concat(got.Userinfo, got.IDToken) {
			if !slices.Contains(may, name) {
				t.Errorf("%q gives %q to a client of %q", s, name, scopes)
			}
		}
		kept := requestedBy(&store.Grant{Requested: got.String()})
		if !slices.Equal(kept.Userinfo, got.Userinfo) || !slices.Equal(kept.IDToken, got.IDToken) {
			t.Errorf("%q is kept as %+v, not %+v", s, kept, got)
		}
	})
}

// RFC 6749 section 2.3.1: credentials are read as they were meant, or not at all.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"", "web", "a:b", "%", "+", "é", "a b", "\x00"} {
		f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte(s+":"+s)), s, s)
		f.Add("Bearer "+s, s, "")
		f.Add("basic  "+s, s, "x")
	}
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		if got, _, ok := basic(header); ok && got == "" {
			t.Errorf("%q has no name, and is good", header)
		}
		if id == "" {
			return
		}
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		gotID, gotSecret, ok := basic(r.Header.Get("Authorization"))
		if !ok || gotID != id || gotSecret != secret {
			t.Errorf("%q, %q came as %q, %q, %v", id, secret, gotID, gotSecret, ok)
		}
		for _, form := range []url.Values{{"client_secret": {"x"}}, {"client_id": {id + "x"}}} {
			if _, _, err := credentials(r, form); err == nil {
				t.Errorf("and %v beside it", form)
			}
		}
	})
}

// An ID token hint names somebody only if we signed it, for that very client.
func FuzzIDTokenHint(f *testing.F) {
	g := newRig(f)
	sign := func(alg, payload string) string {
		s, err := g.Keys.Sign(alg, []byte(payload))
		if err != nil {
			f.Fatal(err)
		}
		return s
	}
	good := `{"iss":"` + testIssuer + `","sub":"ann-id","aud":"web","exp":1}`
	ours := []string{sign("RS256", good), sign("EdDSA", good), sign("ES256", good)}
	for _, s := range append(ours, "", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", ours[0]+"=", strings.Replace(ours[0], ".", "..", 1), ours[0][:len(ours[0])-1]+"_",
		sign("RS256", `{"iss":"https://evil.example","sub":"ann-id","aud":"web"}`), sign("RS256", `{"iss":"`+testIssuer+`","sub":"","aud":"web"}`), sign("RS256", `{"iss":"`+testIssuer+`","sub":"x","aud":["web"]}`), sign("RS256", `[]`)) {
		f.Add(s, "web")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, token, client string) {
		id, err := g.subjectOf(token, client)
		if err == nil && (id != "ann-id" || client != "web" || !slices.Contains(ours, token)) {
			t.Errorf("%q for %q is about %q", token, client, id)
		}
	})
}

// An assertion is what the key signed, letter by letter, or nothing.
func FuzzAssertion(f *testing.F) {
	key := theKeys()["EdDSA"]
	good := signed(f, "EdDSA", key, head{}, map[string]any{"sub": "web", "exp": 1})
	for _, s := range []string{good, "", "..", good + "=", good + ".", flipped(good), "e30.e30.", strings.Repeat("[", 100), reshape(good, `{"alg":"none"}`, ""), reshape(good, "", `{"sub":"spa"}`), reshape(good, `{"alg":"EdDSA","crit":[]}`, "")} {
		f.Add(s)
	}
	public := publicKeys(jwks(f, "k1", key.Public()))
	f.Fuzz(func(t *testing.T, token string) {
		if a := readAssertion(token); a != nil && a.signedBy(public) && token != good {
			t.Errorf("%q passes for an assertion", token)
		}
	})
}

// A token is one that we made, for what we made it for, letter by letter.
func FuzzOpaque(f *testing.F) {
	m := minter{key: []byte(account.NewSecret())} // another in each process, so that only what this one made is good
	made := m.make(accessPrefix, "grant", 5)
	for _, s := range []string{made, "", accessPrefix, accessPrefix + ".", made + "=", made[:len(made)-1] + "B", strings.Replace(made, "at", "rt", 1), strings.Replace(made, "grant", "grant.x", 1), strings.ToUpper(made)} {
		f.Add(s, "grant", uint64(5))
	}
	f.Fuzz(func(t *testing.T, s, grant string, mask uint64) {
		if g, got, ok := m.read(accessPrefix, s); ok && (s != made || g != "grant" || got != 5) {
			t.Errorf("%q is of %q, %d", s, g, got)
		}
		if strings.Contains(grant, ".") {
			return // rand.Text has none
		}
		token := m.make(refreshPrefix, grant, mask)
		if g, got, ok := m.read(refreshPrefix, token); !ok || g != grant || got != mask {
			t.Errorf("%q, %d came back as %q, %d, %v", grant, mask, g, got, ok)
		}
		if _, _, ok := m.read(accessPrefix, token); ok {
			t.Error("a refresh token is an access token")
		}
		if _, _, ok := (minter{key: make([]byte, 32)}).read(refreshPrefix, token); ok {
			t.Error("it is good under another key")
		}
	})
}

// What is inside a code is read as it was written, and nothing makes the reader
// fail in any other way than by saying so.
func FuzzCodeInside(f *testing.F) {
	one := code{Grant: "g", Account: "a", Session: string(make([]byte, 32)), Epoch: 1, Scopes: "openid", AuthTime: time.Unix(1, 0), Until: time.Unix(2, 0)}
	f.Add(one.marshal(), "nonce")
	f.Add([]byte{}, "")
	f.Add(slices.Repeat([]byte{0xff}, 40), "\x00")
	f.Add(slices.Repeat([]byte{0}, 40), "")
	f.Fuzz(func(t *testing.T, b []byte, nonce string) {
		var c, again code
		if c.unmarshal(b) == nil {
			c.Nonce = nonce
			if err := again.unmarshal(c.marshal()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, again); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// A code opens for the client that it was given to, and for no other.
func FuzzSealedCode(f *testing.F) {
	g := newRig(f)
	f.Add("web", "strict", "openid email", "n", int64(1))
	f.Add("", "x", "", "\x00", int64(-1))
	f.Fuzz(func(t *testing.T, client, other, scopes, nonce string, epoch int64) {
		c := code{Grant: "g", Account: "a", Scopes: scopes, Nonce: nonce, Epoch: epoch, AuthTime: time.UnixMicro(epoch), Until: time.UnixMicro(1)}
		sealed := g.sealCode(c, client)
		got, err := g.openCode(sealed, client)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, *got); diff != "" {
			t.Error(diff)
		}
		if _, err := g.openCode(sealed, other); err == nil && other != client {
			t.Errorf("the code of %q opens for %q", client, other)
		}
		for _, spelling := range []string{sealed + "=", sealed + "A", " " + sealed, strings.TrimPrefix(sealed, codePrefix)} {
			if _, err := g.openCode(spelling, client); err == nil {
				t.Errorf("%q opens, too", spelling)
			}
		}
	})
}

const formType = "application/x-www-form-urlencoded"

// Parameters are given once and are text, or the request is refused.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b&a=c", "a=", "=", "%zz", "a=%00", "a=%ff", "a;b", strings.Repeat("a=b&", 100), "grant_type=authorization_code&code=x"} {
		f.Add(formType, s)
		f.Add("application/json", s)
		f.Add(formType+"; charset=utf-8", s)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, kind, s string) {
		r := httptest.NewRequest("POST", "/token?code=fromthequery", strings.NewReader(s))
		r.Header.Set("Content-Type", kind)
		form, err := body(r)
		if err != nil {
			if explain(err).Status >= 500 {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if want, bad := url.ParseQuery(s); bad != nil || form.Get("code") != want.Get("code") {
			t.Errorf("%q: the code is %q", s, form.Get("code"))
		}
		for name, v := range form {
			if len(v) != 1 || v[0] == "" || !text(v[0]) || !text(name) {
				t.Errorf("%q: %q is %q", s, name, v)
			}
		}
	})
}

// Programs get JSON, whatever they send, and no token unless they bring a code
// or a refresh token: neither is among what is tried here.
func FuzzToken(f *testing.F) {
	g := newRig(f)
	dead := g.codeOf()
	g.exchange(dead)
	for _, s := range []string{"", "grant_type=authorization_code&code=x&client_id=web&client_secret=s3cret", "grant_type=refresh_token&refresh_token=mdx_rt_x.AAAA&client_id=web&client_secret=s3cret",
		"grant_type=client_credentials&client_id=web&client_secret=s3cret", "grant_type=password&username=ann&password=x", "client_assertion=x", "grant_type=authorization_code&code=" + dead + "&redirect_uri=" + url.QueryEscape(testCB) + "&client_id=web&client_secret=s3cret", "client_id=spa&grant_type=refresh_token&refresh_token=x"} {
		f.Add(s, "")
		f.Add(s, "Basic "+base64.StdEncoding.EncodeToString([]byte("web:s3cret")))
	}
	f.Fuzz(func(t *testing.T, s, auth string) {
		for _, path := range []string{"/token", "/revoke"} {
			r := httptest.NewRequest("POST", path, strings.NewReader(s))
			r.Header.Set("Content-Type", formType)
			if auth != "" {
				r.Header.Set("Authorization", auth)
			}
			w := g.do(r)
			if w.Code >= 500 || w.Code == 200 && path == "/token" || w.Code != 200 && w.Code != 400 && w.Code != 401 {
				t.Errorf("%s %q: %d %s", path, s, w.Code, w.Body)
			}
			if w.Code == 401 != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s %q: %d %v", path, s, w.Code, w.Header())
			}
			if w.Body.Len() > 0 {
				decode(t, w)
			}
		}
	})
}

func FuzzBearer(f *testing.F) {
	g := newRig(f)
	good := g.tokens()["access_token"].(string)
	for _, s := range []string{good, "", "x", good + "=", good[1:], "mdx_at_x.AAAA", strings.ToUpper(good), good + " " + good} {
		f.Add("GET", "Bearer "+s, "")
		f.Add("POST", "", "access_token="+s)
		f.Add("POST", "bearer  "+s, "access_token="+s)
		f.Add("GET", s, s)
	}
	f.Fuzz(func(t *testing.T, method, auth, s string) {
		if method != "GET" {
			method = "POST"
		}
		r := httptest.NewRequest(method, "/userinfo", strings.NewReader(s))
		r.Header.Set("Content-Type", formType)
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		w := g.do(r)
		if w.Code >= 500 {
			t.Fatalf("%s %q %q: %d %s", method, auth, s, w.Code, w.Body)
		}
		body := decode(t, w)
		if w.Code == 200 && (!strings.Contains(auth+s, good) || body["sub"] != "ann-id") {
			t.Errorf("%q, %q: %v", auth, s, body)
		}
		if w.Code != 200 && body["sub"] != nil {
			t.Errorf("%d and %v", w.Code, body)
		}
	})
}

// T18: every form of every page, with any content: never a fault, and nobody is
// signed in, let alone somebody else. Half of it comes from somebody who is.
func FuzzForms(f *testing.F) {
	h := fuzzHouse(f)
	b := h.browser()
	page := b.get("/login")
	in := h.browser()
	in.signIn(in.get("/login"), "edith", rightPassword)
	var paths []string
	for _, pattern := range fuzzPatterns() {
		if method, path, ok := strings.Cut(pattern, " "); ok && method == "POST" && path != "/logout" {
			for _, step := range []string{"identify", "password", "totp", "backup-code", "set-up-totp", "backup-codes", "more-backup-codes", "new-password", "passkey", "set-up-passkey", "offer-passkey", "nonsense"} {
				paths = append(paths, strings.Replace(path, "{step}", step, 1))
				if !strings.Contains(path, "{step}") {
					break
				}
			}
		}
	}
	for i := range paths {
		for _, s := range []string{"flow=" + page.flow() + "&identifier=grace&password=wrong&otp=123456&backup_code=x&saved=yes&more=yes", "email=a%40b.example&token=x&id=x&language=ko&lang=ko&back=%2F", "flow=x", "name=a&practice=b&npi=1234567893&username=c&email=d%40e.example", ""} {
			f.Add(uint8(i), true, s)
			f.Add(uint8(i), false, s)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, known bool, s string) {
		who := b
		if known {
			who = in
		}
		r := formTo(paths[int(i)%len(paths)], s)
		r.Header.Set("Cookie", "")
		for _, name := range []string{"browser", "session"} {
			r.AddCookie(&http.Cookie{Name: "__Host-mdx_" + name, Value: who.cookie(name)})
		}
		r.RemoteAddr = "203.0.113." + strconv.Itoa(len(s)%250) + ":1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%s %q: %d", r.URL.Path, s, w.Code)
		}
		if form, err := url.ParseQuery(s); err == nil && strings.Contains(form.Get("password"), rightPassword) {
			return
		}
		for _, c := range w.Result().Cookies() {
			if strings.HasSuffix(c.Name, "_session") && c.Value != "" {
				t.Errorf("%s %q gave a session", r.URL.Path, s)
			}
		}
		if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
			t.Errorf("%s %q leads to %q", r.URL.Path, s, to)
		}
	})
}

// fuzzPatterns are those of the routes that are forms.
func fuzzPatterns() []string {
	all := []string{"POST /login/{step}", "POST /forgot-password", "POST /reset-password", "POST /reset-password/cancel", "POST /contact-support", "POST /language",
		"POST /contact-support/case/confirm", "POST /contact-support/case/withdraw", "POST /contact-support/stop", "POST /contact-support/release"}
	none := &Provider{engine: &flows.Engine{}}
	for _, rt := range none.settings().Routes() {
		all = append(all, rt.Pattern)
	}
	for _, rt := range none.desk().Routes() {
		all = append(all, rt.Pattern)
	}
	return all
}

// The contact form is sent or says what to mend; what it mails is what was
// typed, and no more.
func FuzzSupportForm(f *testing.F) {
	h := fuzzHouse(f)
	for _, s := range []string{"", "Grace", " ", strings.Repeat("a", 321), "a\r\nBcc: x@evil.example", "\u202e", "<b>"} {
		f.Add(s, "Riverside", "1679576722", "grace", "grace@river.example")
		f.Add("Grace", s, s, s, s)
		f.Add("Grace", "Riverside", "", "grace", s+"@river.example")
	}
	n := 0
	f.Fuzz(func(t *testing.T, name, practice, npi, username, email string) {
		form := url.Values{"name": {name}, "practice": {practice}, "npi": {npi}, "username": {username}, "email": {email}}
		r := formTo("/contact-support", form.Encode())
		n++
		r.RemoteAddr = "203.0." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255) + ":1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		good := utf8.ValidString(form.Encode()) && w.Code == 200
		switch {
		case w.Code != 200 && w.Code != 400 && w.Code != 413 && w.Code != 422 && w.Code != 429:
			t.Fatalf("%v: %d", form, w.Code)
		case good && (strings.TrimSpace(name) == "" || strings.TrimSpace(practice) == "" || len(strings.TrimSpace(name)) > 320 || npi == "" && strings.TrimSpace(username) == ""):
			t.Errorf("%v was sent", form)
		case w.Code == 200 && !strings.Contains(w.Body.String(), "reference") && !strings.Contains(strings.ToLower(w.Body.String()), "reference"):
			t.Errorf("%v: no reference", form)
		}
	})
}

// The page for a lost password answers every address alike.
func FuzzForgotForm(f *testing.F) {
	h := fuzzHouse(f)
	for _, s := range []string{"", "grace@river.example", "GRACE@river.example", "nobody@river.example", "a,b@c.d", "a@b", "\x00", "a@b.c\r\nX:1", strings.Repeat("a", 300) + "@b.c"} {
		f.Add(s)
	}
	n := 0
	f.Fuzz(func(t *testing.T, email string) {
		r := formTo("/forgot-password", url.Values{"email": {email}}.Encode())
		n++
		r.RemoteAddr = "203.0." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255) + ":1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := map[bool]int{true: 200, false: 422}[emailProblem(account.Normalise(email)) == ""]
		if !utf8.ValidString(email) || strings.ContainsRune(email, 0) {
			want = 400
		}
		if w.Code != want && w.Code != 429 {
			t.Errorf("%q: %d, want %d", email, w.Code, want)
		}
	})
}

// Nobody finds a link by guessing, and no guess is a fault.
func FuzzLinks(f *testing.F) {
	h := fuzzHouse(f)
	h.link(h.browser(), "grace@river.example")
	for _, s := range []string{"", "x", strings.Repeat("A", 43), "\x00", "\xff", strings.Repeat("x", 9000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		q := "?" + url.Values{"token": {token}}.Encode()
		for _, path := range []string{"/reset-password", "/confirm-email", "/confirm-email/cancel", "/not-me", "/reset-password/cancel", "/invite"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path+q, nil))
			ok := w.Code == 410 || w.Code == 400 || path == "/reset-password/cancel" && w.Code == 200
			if !ok {
				t.Errorf("GET %s of %q: %d", path, token, w.Code)
			}
			w = httptest.NewRecorder()
			h.ServeHTTP(w, formTo(path, url.Values{"token": {token}, "flow": {token}}.Encode()))
			if w.Code < 400 || w.Code >= 500 {
				t.Errorf("POST %s of %q: %d", path, token, w.Code)
			}
		}
	})
}

// fuzzHouse has Grace and Edith, and is made once for all inputs.
func fuzzHouse(f *testing.F) *house {
	f.Helper()
	h := quickHouse(f, "https://id.example")
	hash, err := h.Hasher.Hash(f.Context(), []byte(rightPassword))
	h.ok(err)
	for _, name := range []string{"grace", "edith"} {
		_, err := h.Store.AddPerson(f.Context(), store.NewPerson{ID: account.ID("id-" + name), Username: name, Email: name + "@river.example", EmailVerified: true, Hash: hash}, "test")
		h.ok(err)
	}
	return h
}
