package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/provider/store"
)

// theKeys are one key of each kind, made once: RSA takes its time.
var theKeys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"RS256": r, "PS256": r, "ES256": e, "EdDSA": d}
})

// jwks is the public key of an algorithm as a client publishes it.
func jwks(tb testing.TB, kid string, public ...crypto.PublicKey) []byte {
	tb.Helper()
	var set jose.JSONWebKeySet
	for _, p := range public {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: p, KeyID: kid, Use: "sig"})
	}
	b, err := json.Marshal(set)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// signing registers "signer", which has a key and no secret, for everything.
func (g *rig) signing(alg string) {
	g.tb.Helper()
	err := g.st.PutClient(g.tb.Context(), store.Client{ID: "signer", Name: "Signer", Introspect: true,
		AuthMethods: []string{privateKeyJWT}, GrantTypes: GrantTypes(), RedirectURIs: []string{testCB}, PKCEOptional: true,
		Scopes: []string{"openid", "charts:read"}, JWKS: jwks(g.tb, "k1", theKeys()[alg].Public())}, "test")
	if err != nil {
		g.tb.Fatal(err)
	}
}

// good are the claims of a good assertion, with changes; nil takes one out.
func (g *rig) good(change ...any) map[string]any {
	now := g.Now().Unix()
	c := map[string]any{"iss": "signer", "sub": "signer", "aud": testIssuer, "jti": rand.Text(), "iat": now, "exp": now + 60}
	for i := 0; i < len(change); i += 2 {
		c[change[i].(string)] = change[i+1]
		if change[i+1] == nil {
			delete(c, change[i].(string))
		}
	}
	return c
}

// signed is a JWS of claims, or of whatever else payload is.
func signed(tb testing.TB, alg string, key any, header, payload any) string {
	tb.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	for k, v := range header.(map[string]any) {
		opts.WithHeader(jose.HeaderKey(k), v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
	if err != nil {
		tb.Fatal(err)
	}
	b, isRaw := payload.([]byte)
	if !isRaw {
		if b, err = json.Marshal(payload); err != nil {
			tb.Fatal(err)
		}
	}
	j, err := s.Sign(b)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

type head = map[string]any

func asserting(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form
}

func (g *rig) assert(path, assertion string) (int, map[string]any) {
	g.tb.Helper()
	form := url.Values{"grant_type": {clientCredentials}, "token": {"x"}}
	return g.post(path, asserting(form, assertion))
}

func TestPrivateKeyJWT(t *testing.T) {
	for alg, key := range theKeys() {
		g := newRig(t)
		g.signing(alg)
		for name, claims := range map[string]map[string]any{
			"the issuer":          g.good(),
			"the token endpoint":  g.good("aud", testIssuer+"/token"),
			"a list":              g.good("aud", []string{testIssuer}),
			"a list of both":      g.good("aud", []string{testIssuer, testIssuer + "/token"}),
			"ten minutes":         g.good("exp", g.Now().Unix()+600),
			"a clock ahead":       g.good("iat", g.Now().Unix()+55, "nbf", g.Now().Unix()+55),
			"without iat":         g.good("iat", nil),
			"a time in fractions": g.good("exp", float64(g.Now().Unix())+30.5),
			"more claims":         g.good("x", map[string]any{"y": 1}),
		} {
			if status, body := g.assert("/token", signed(t, alg, key, head{}, claims)); status != 200 || body["access_token"] == nil {
				t.Errorf("%s, %s: %d %v", alg, name, status, body)
			}
		}
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			if status, body := g.assert(path, signed(t, alg, key, head{}, g.good())); status != 200 {
				t.Errorf("%s, %s: %d %v", alg, path, status, body)
			}
		}
	}
}

// The whole way of an app that has no secret.
func TestPrivateKeyJWTForPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		g.signing("ES256")
		code := answered(t, g.get(ask("client_id", "signer", "scope", "openid"))).Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testCB}, "client_id": {"signer"}}
		var status int
		var body map[string]any
		ran := g.statements(func() {
			status, body = g.post("/token", asserting(form, signed(t, "ES256", theKeys()["ES256"], head{}, g.good())))
		})
		if status != 200 || body["id_token"] == nil {
			t.Fatal(status, body)
		}
		if diff := cmp.Diff([]string{"UseAssertion", "RedeemCode"}, ran); diff != "" {
			t.Error(diff)
		}
	})
}

// reshape changes the parts of a JWS and leaves its signature as it is.
func reshape(token string, header, payload string) string {
	parts := strings.Split(token, ".")
	for i, p := range []string{header, payload} {
		if p != "" {
			parts[i] = base64.RawURLEncoding.EncodeToString([]byte(p))
		}
	}
	return strings.Join(parts, ".")
}

func TestAssertionsRefused(t *testing.T) {
	g := newRig(t)
	g.signing("ES256")
	all := theKeys()
	key, now := all["ES256"], g.Now().Unix()
	es := func(change ...any) string { return signed(t, "ES256", key, head{}, g.good(change...)) }
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	used := es()
	if status, _ := g.assert("/token", used); status != 200 {
		t.Fatal(status)
	}
	corpus := map[string]string{
		"used":                       used,
		"empty":                      "",
		"garbage":                    "x",
		"two dots":                   "..",
		"four dots":                  es() + "..",
		"truncated":                  es()[:100],
		"signature cut":              es()[:len(es())-2],
		"signature gone":             es()[:strings.LastIndex(es(), ".")+1],
		"padded":                     es() + "=",
		"more signature":             es() + "AAAA",
		"a space":                    es() + " ",
		"case flipped":               flipped(es()),
		"alg none":                   reshape(es(), `{"alg":"none","kid":"k1"}`, ""),
		"alg none, unsigned":         reshape(es(), `{"alg":"none"}`, "")[:strings.LastIndex(reshape(es(), `{"alg":"none"}`, ""), ".")+1],
		"HS256 with the public key":  signed(t, "HS256", public, head{}, g.good()),
		"HS256 with the DER":         signed(t, "HS256", der, head{}, g.good()),
		"another alg in the header":  reshape(es(), `{"alg":"RS256","kid":"k1"}`, ""),
		"ES384 by name":              reshape(es(), `{"alg":"ES384","kid":"k1"}`, ""),
		"a stranger's key":           signed(t, "ES256", stranger, head{}, g.good()),
		"a key of another kind":      signed(t, "RS256", all["RS256"], head{}, g.good()),
		"its key in the header":      signed(t, "ES256", stranger, head{"jwk": jose.JSONWebKey{Key: stranger.Public()}}, g.good()),
		"its keys' address":          signed(t, "ES256", stranger, head{"jku": "https://evil.example/jwks"}, g.good()),
		"an unknown kid":             signed(t, "ES256", key, head{"kid": "k2"}, g.good()),
		"a kid with a path":          signed(t, "ES256", key, head{"kid": "../../k1"}, g.good()),
		"a kid in SQL":               signed(t, "ES256", key, head{"kid": "k1' OR '1'='1"}, g.good()),
		"critical":                   reshape(es(), `{"alg":"ES256","kid":"k1","crit":["exp"]}`, ""),
		"an access token by its typ": signed(t, "ES256", key, head{"typ": "at+jwt"}, g.good()),
		"payload changed":            reshape(es(), "", `{"iss":"signer","sub":"signer"}`),
		"no JSON":                    signed(t, "ES256", key, head{}, []byte("x")),
		"nested without end":         signed(t, "ES256", key, head{}, []byte(strings.Repeat("[", 11000))),
		"nested in the header":       reshape(es(), strings.Repeat("[", 11000), ""),
		"too long":                   signed(t, "ES256", key, head{}, g.good("x", strings.Repeat("x", maxAssertion))),
		"of another issuer":          es("iss", "web"),
		"without iss":                es("iss", nil),
		"without sub":                es("sub", nil),
		"of another client":          es("iss", "web", "sub", "web"),
		"of no client":               es("iss", "nobody", "sub", "nobody"),
		"a client with a NUL":        es("iss", "sig\x00ner", "sub", "sig\x00ner"),
		"of a public client":         es("iss", "spa", "sub", "spa"),
		"without aud":                es("aud", nil),
		"for nobody":                 es("aud", []string{}),
		"for another server":         es("aud", "https://evil.example"),
		"for another server too":     es("aud", []string{testIssuer, "https://evil.example"}),
		"for more of a path":         es("aud", testIssuer+"/token/x"),
		"for the issuer and a slash": es("aud", testIssuer+"/"),
		"for a number":               es("aud", 7),
		"without exp":                es("exp", nil),
		"over":                       es("exp", now-1),
		"for years":                  es("exp", now+3650*86400),
		"for more than ten minutes":  es("exp", now+660),
		"exp as text":                es("exp", "later"),
		"exp beyond numbers":         signed(t, "ES256", key, head{}, []byte(`{"iss":"signer","sub":"signer","aud":"`+testIssuer+`","jti":"n","exp":1e400}`)),
		"not yet":                    es("nbf", now+120),
		"from the future":            es("iat", now+120),
		"without jti":                es("jti", nil),
		"empty jti":                  es("jti", ""),
		"a very long jti":            es("jti", strings.Repeat("j", 256)),
	}
	if len(corpus) < 15 {
		t.Fatal("a small corpus")
	}
	for name, assertion := range corpus {
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			status, body := g.assert(path, assertion)
			if status != 401 || body["error"] != "invalid_client" || body["access_token"] != nil {
				t.Errorf("%s at %s: %d %v", name, path, status, body)
			}
			if text, _ := body["error_description"].(string); wire(text) != text {
				t.Errorf("%s: %q", name, text)
			}
		}
	}
}

// flipped changes the case of the first letter of a signature.
func flipped(token string) string {
	i := strings.LastIndex(token, ".") + 1
	for ; i < len(token); i++ {
		c := token[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return token[:i] + string(c^0x20) + token[i+1:]
		}
	}
	return token
}

// A kid may be left out where the key is clear.
func TestAssertionWithoutKid(t *testing.T) {
	g := newRig(t)
	g.signing("EdDSA")
	if status, body := g.assert("/token", signed(t, "EdDSA", theKeys()["EdDSA"], head{"kid": ""}, g.good())); status != 200 {
		t.Error(status, body)
	}
}

// One way at a time, and the one that the client is registered for.
func TestAuthenticationMethodsExclude(t *testing.T) {
	g := newRig(t)
	g.signing("ES256")
	g.change("signer", func(c *store.Client) { c.SecretHash = mustSecret(g, "web") })
	g.change("web", func(c *store.Client) { c.JWKS = jwks(t, "k1", theKeys()["ES256"].Public()) })
	good := func() string { return signed(t, "ES256", theKeys()["ES256"], head{}, g.good()) }
	form := func(change ...string) url.Values { return set(url.Values{"grant_type": {clientCredentials}}, change) }
	tests := []struct {
		name   string
		form   url.Values
		auth   []string
		status int
		want   string
	}{
		{"its secret", form(), []string{"signer", "s3cret"}, 401, "invalid_client"},
		{"its secret in the body", form("client_id", "signer", "client_secret", "s3cret"), nil, 401, "invalid_client"},
		{"its name", form("client_id", "signer"), nil, 401, "invalid_client"},
		{"by who has a secret", asserting(form(), signed(t, "ES256", theKeys()["ES256"], head{}, g.good("iss", "web", "sub", "web"))), nil, 401, "invalid_client"},
		{"and a secret", asserting(form("client_id", "signer", "client_secret", "s3cret"), good()), nil, 400, "invalid_request"},
		{"and a header", asserting(form(), good()), []string{"signer", "s3cret"}, 400, "invalid_request"},
		{"another client_id", asserting(form("client_id", "web"), good()), nil, 401, "invalid_client"},
		{"without the type", form("client_assertion", good()), nil, 401, "invalid_client"},
		{"of another type", form("client_assertion", good(), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), nil, 401, "invalid_client"},
		{"the type alone", form("client_assertion_type", assertionType), nil, 401, "invalid_client"},
	}
	for _, test := range tests {
		status, body := g.post("/token", test.form, test.auth...)
		if status != test.status || body["error"] != test.want || body["access_token"] != nil {
			t.Errorf("%s: %d %v", test.name, status, body)
		}
	}
}

func mustSecret(g *rig, id string) []byte {
	g.tb.Helper()
	c, err := g.st.Client(g.tb.Context(), id)
	if err != nil {
		g.tb.Fatal(err)
	}
	return c.SecretHash
}

// Of any number of the same at once, one is accepted, and until it is over none
// after it, at whatever endpoint.
func TestAssertionIsGoodOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, g *rig) {
		g.signing("EdDSA")
		one := signed(t, "EdDSA", theKeys()["EdDSA"], head{}, g.good())
		var mu sync.Mutex
		accepted := 0
		parallel(10, func() {
			if status, _ := g.assert("/token", one); status == 200 {
				mu.Lock()
				accepted++
				mu.Unlock()
			}
		})
		if accepted != 1 {
			t.Errorf("accepted %d times", accepted)
		}
		status, body := g.assert("/introspect", one)
		wants(t, status, body, 401, "invalid_client")
		// Its name in another assertion is used, too.
		again := signed(t, "EdDSA", theKeys()["EdDSA"], head{}, g.good("jti", "n"))
		g.assert("/token", again)
		status, body = g.assert("/token", signed(t, "EdDSA", theKeys()["EdDSA"], head{}, g.good("jti", "n", "x", 1)))
		wants(t, status, body, 401, "invalid_client")
	})
}
