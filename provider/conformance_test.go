package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

// What the OpenID Foundation's plans for providers ask of every request and
// answer; conformance_basic_test.go has their modules. It is our reading of them,
// and no replacement for them.

const (
	suiteCB      = "https://suite.example/cb"
	suiteQueryCB = "https://suite.example/cb?dummy1=lorem&dummy2=ipsum"
)

// suite is one module's run: a house, a browser in which nobody is signed in,
// and the client that asks.
type suite struct {
	*house
	*person
	t      *testing.T
	mode   string // response_mode, "" for none
	client string
	keys   *jose.JSONWebKeySet
}

func newSuiteHouse(t *testing.T, engine string) *house {
	h := newHouseOn(t, "https://id.example/base", engine)
	hash, err := h.Hasher.Hash(t.Context(), []byte(rightPassword))
	h.ok(err)
	_, err = h.Store.AddPerson(t.Context(), store.NewPerson{ID: "id-suite", Username: "suite", Email: "suite@river.example", EmailVerified: true,
		Name: "Su Ite", Locale: "en-US", Hash: hash, Claims: map[string]any{
			"given_name": "Su", "family_name": "Ite", "middle_name": "M", "nickname": "S", "profile": "https://river.example/suite",
			"picture": "https://river.example/suite.png", "website": "https://river.example", "gender": "female", "birthdate": "1980-01-02",
			"zoneinfo": "Asia/Seoul", "updated_at": 1.7e9, "phone_number": "+1 555 0100", "phone_number_verified": true,
			"address": map[string]any{"country": "US", "locality": "Springfield"}}}, "test")
	h.ok(err)
	for _, id := range []string{"suite1", "suite2"} {
		h.ok(h.Store.PutClient(t.Context(), store.Client{ID: id, Name: "Suite", SecretHash: account.HashSecret(clientSecret),
			PKCEOptional: true, RedirectURIs: []string{suiteCB, suiteQueryCB}}, "test"))
	}
	return h
}

func (h *house) suite(t *testing.T, mode string) *suite {
	s := &suite{house: h, person: h.browser(), t: t, mode: mode, client: "suite1"}
	s.decode(s.get("/jwks.json"), &s.keys)
	return s
}

func (s *suite) decode(a answer, v any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(a.text), v); err != nil {
		s.t.Fatalf("%d %s", a.StatusCode, a.text)
	}
}

// query is a request as the plans send it, with changes; "-" leaves one out.
func (s *suite) query(change ...string) url.Values {
	q := url.Values{"client_id": {s.client}, "redirect_uri": {suiteCB}, "response_type": {"code"}, "scope": {"openid"},
		"state": {"abcdef0123"}, "nonce": {"nonce01234"}}
	if s.mode != "" {
		q.Set("response_mode", s.mode)
	}
	for i := 0; i < len(change); i += 2 {
		if q.Set(change[i], change[i+1]); change[i+1] == "-" {
			q.Del(change[i])
		}
	}
	return q
}

func (s *suite) asks(change ...string) answer {
	s.t.Helper()
	return s.get("/authorize?" + s.query(change...).Encode())
}

var (
	postedTo    = regexp.MustCompile(`<form method="post" action="(https://suite[^"]*)" data-now>`)
	postedField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// response is what the app gets: by query or form as it wished and in no other
// way, with its state and our name, and with nothing that no specification has.
func (s *suite) response(a answer, state string) url.Values {
	s.t.Helper()
	var got url.Values
	if s.mode == "form_post" {
		got = s.posted(a)
	} else {
		to, err := a.Location()
		if err != nil || !strings.HasPrefix(to.String(), "https://suite.example/") || to.Fragment != "" {
			s.t.Fatalf("no answer to the app: %d to %q: %.300s", a.StatusCode, a.Header.Get("Location"), a.text)
		}
		got = to.Query()
	}
	if got.Get("state") != state || got.Get("iss") != s.issuer {
		s.t.Errorf("state %q, iss %q", got.Get("state"), got.Get("iss"))
	}
	for name, values := range got {
		if !slices.Contains([]string{"code", "state", "iss", "error", "error_description", "dummy1", "dummy2"}, name) || len(values) != 1 {
			s.t.Errorf("%s is in the answer: %q", name, values)
		}
	}
	if got.Has("error") == got.Has("code") {
		s.t.Errorf("neither an error nor a code, or both: %v", got)
	}
	if strings.Trim(got.Get("error_description"), onWire) != "" {
		s.t.Errorf("error_description is %q", got.Get("error_description"))
	}
	return got
}

// onWire are the characters of RFC 6749 section 4.1.2.1.
var onWire = func() (all string) {
	for c := ' '; c <= '~'; c++ {
		if c != '"' && c != '\\' {
			all += string(c)
		}
	}
	return all
}()

func (s *suite) posted(a answer) url.Values {
	s.t.Helper()
	to := postedTo.FindStringSubmatch(a.text)
	if a.StatusCode != http.StatusOK || to == nil {
		s.t.Fatalf("nothing is posted to the app: %d %s %.300s", a.StatusCode, a.Header.Get("Location"), a.text)
	}
	got := url.Values{}
	for _, field := range postedField.FindAllStringSubmatch(a.text, -1) {
		got.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	action, err := url.Parse(html.UnescapeString(to[1]))
	s.ok(err)
	if q := action.Query(); q.Has("code") || q.Has("state") || q.Has("error") {
		s.t.Errorf("posted to %s", action)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://suite.example") {
		s.t.Errorf("its policy forbids the form: %s", csp)
	}
	if !strings.Contains(a.text, `<button id="submit"`) {
		s.t.Error("no button for browsers without script")
	}
	return got
}

// code signs the person in if a page asks, and returns the code.
func (s *suite) code(change ...string) string {
	s.t.Helper()
	return s.response(s.through(s.asks(change...)), s.query(change...).Get("state")).Get("code")
}

// asked reports whether a page asks for the password.
func (s *suite) asked(a answer) bool {
	return a.StatusCode == http.StatusOK && strings.Contains(a.text, `type="password"`)
}

func (s *suite) through(a answer) answer {
	s.t.Helper()
	switch {
	case !s.asked(a):
		return a
	case strings.Contains(a.text, `id="identifier"`):
		return s.signIn(a, "suite", rightPassword)
	}
	return s.post("/login/password", "flow", a.flow(), "password", rightPassword)
}

// token asks the token endpoint as the client at work.
func (s *suite) token(fields ...string) (int, map[string]any) {
	s.t.Helper()
	a := s.post("/token", append(fields, "client_id", s.client, "client_secret", clientSecret)...)
	out := map[string]any{}
	s.decode(a, &out)
	if a.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		s.t.Errorf("token endpoint: %v", a.Header)
	}
	return a.StatusCode, out
}

func (s *suite) redeem(code string) (int, map[string]any) {
	s.t.Helper()
	return s.token("grant_type", "authorization_code", "code", code, "redirect_uri", suiteCB)
}

// tokens redeems a code and checks what comes.
func (s *suite) tokens(code, nonce string) (tokens, claims map[string]any) {
	s.t.Helper()
	status, tokens := s.redeem(code)
	life, _ := tokens["expires_in"].(float64)
	if status != http.StatusOK || tokens["token_type"] != "Bearer" || life <= 0 || life > 31_536_000 {
		s.t.Fatalf("token: %d %v", status, tokens)
	}
	claims = s.idClaims(tokens)
	if got, _ := claims["nonce"].(string); got != nonce {
		s.t.Errorf("nonce %q, want %q", got, nonce)
	}
	return tokens, claims
}

// signedIn is a whole sign-in.
func (s *suite) signedIn(change ...string) (tokens, claims map[string]any) {
	s.t.Helper()
	return s.tokens(s.code(change...), s.query(change...).Get("nonce"))
}

// leftHalf is the at_hash of a token where the algorithm ends in 256.
func leftHalf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

var inIDToken = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid"}

// idClaims verifies an ID token as the plans do.
func (s *suite) idClaims(tokens map[string]any) map[string]any {
	s.t.Helper()
	raw, _ := tokens["id_token"].(string)
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
	s.ok(err)
	of := s.keys.Key(signed.Signatures[0].Header.KeyID)
	if len(of) != 1 {
		s.t.Fatalf("%d keys of that kid", len(of))
	}
	payload, err := signed.Verify(of[0])
	s.ok(err)
	claims := map[string]any{}
	s.ok(json.Unmarshal(payload, &claims))
	now := float64(time.Now().Unix())
	number := func(name string) float64 { n, _ := claims[name].(float64); return n }
	for problem, is := range map[string]bool{
		"iss":       claims["iss"] != s.issuer,
		"aud":       fmt.Sprint(claims["aud"]) != s.client,
		"sub":       claims["sub"] == nil || claims["sub"] == "",
		"exp":       number("exp") <= now || number("exp") > now+50*365*86400,
		"iat":       math.Abs(number("iat")-now) > 300,
		"auth_time": number("auth_time") <= 0 || number("auth_time") > now+1,
		"acr":       claims["acr"] == nil || claims["acr"] == "",
		"at_hash":   claims["at_hash"] != leftHalf(tokens["access_token"].(string)),
	} {
		if is {
			s.t.Errorf("%s of the ID token: %v", problem, claims)
		}
	}
	for name := range claims {
		if !slices.Contains(inIDToken, name) {
			s.t.Errorf("%s was not asked for in the ID token", name)
		}
	}
	return claims
}

// info is userinfo by GET with a header, which every module asks at its end.
func (s *suite) info(tokens map[string]any) map[string]any {
	s.t.Helper()
	r, err := newGET(s.issuer + "/userinfo")
	s.ok(err)
	r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
	return s.infoOf(s.do(r, nil), tokens)
}

func (s *suite) infoOf(a answer, tokens map[string]any) map[string]any {
	s.t.Helper()
	if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		s.t.Fatalf("userinfo: %d %s", a.StatusCode, a.text)
	}
	info := map[string]any{}
	s.decode(a, &info)
	if info["sub"] == nil || info["sub"] != s.idClaims(tokens)["sub"] {
		s.t.Errorf("userinfo is about %v", info["sub"])
	}
	return info
}

// The modules, on both engines and in both ways to be answered: the plans Basic
// and Form Post.
func TestConformance(t *testing.T) {
	for _, engine := range storetest.Engines {
		for plan, mode := range map[string]string{"basic": "", "form_post": "form_post"} {
			t.Run(engine+"/"+plan, func(t *testing.T) {
				t.Parallel()
				h := newSuiteHouse(t, engine)
				for _, m := range basicModules {
					t.Run(m.name, func(t *testing.T) { m.run(h.suite(t, mode)) })
				}
			})
		}
	}
}
