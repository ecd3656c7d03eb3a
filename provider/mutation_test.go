package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/store"
)

// mutant is a good token that somebody has been at.
type mutant struct{ name, token string }

// mutants are what ASVS 9.1.2, 9.2.2 and 9.2.4 have us refuse, whatever the
// token is for, given the public half of the key that signed the good one and
// the kid of another one.
func mutants(tb testing.TB, token string, public crypto.PublicKey, other string) (all []mutant) {
	tb.Helper()
	add := func(name, token string) { all = append(all, mutant{name, token}) }
	parts := strings.Split(token, ".")
	header, claims := payloadOf(tb, token)
	headed := func(change head) string {
		h := maps.Clone(header)
		maps.Copy(h, change)
		return encode(tb, h) + "." + parts[1]
	}

	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		unsigned := headed(head{"alg": none})
		add("alg "+none, unsigned+"."+parts[2])
		add("alg "+none+" without a signature", unsigned+".")
	}
	for alg, h := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for form, secret := range publicForms(tb, public) {
			m := hmac.New(h, secret)
			unsigned := headed(head{"alg": alg})
			m.Write([]byte(unsigned))
			add(alg+" with the public key as "+form, unsigned+"."+base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
		}
	}
	for _, kid := range []any{"../../../../dev/null", "/dev/null", "keys/../" + fmt.Sprint(header["kid"]), "file:///dev/null",
		"x' UNION SELECT '", "", "\x00", other, 7, []any{header["kid"]}} {
		add(fmt.Sprintf("kid %v", kid), headed(head{"kid": kid})+"."+parts[2])
	}
	for _, alg := range keys.Algorithms() {
		if alg != header["alg"] {
			add("alg "+alg, headed(head{"alg": alg})+"."+parts[2])
		}
	}
	add("crit", headed(head{"crit": []string{"exp"}})+"."+parts[2])
	add("jku", headed(head{"jku": "https://evil.example/jwks"})+"."+parts[2])

	for _, name := range slices.Sorted(maps.Keys(claims)) {
		c := maps.Clone(claims)
		c[name] = "https://evil.example"
		add(name+" changed", parts[0]+"."+encode(tb, c)+"."+parts[2])
	}
	for _, n := range []int{0, 1, len(token) / 4, len(token) / 2, len(token) - 20, len(token) - 2, len(token) - 1} {
		add(fmt.Sprintf("cut to %d", n), token[:n])
	}
	for i, part := range []string{"header", "payload", "signature"} {
		for _, tail := range []string{"=", "==", "A", "AAAA", ".", "%3D", "+", "/"} {
			p := slices.Clone(parts)
			p[i] += tail
			add(part+" with "+tail, strings.Join(p, "."))
		}
		p := slices.Clone(parts)
		p[i] = ""
		add("without "+part, strings.Join(p, "."))
		p = slices.Clone(parts)
		p[i] = strings.ToUpper(p[i])
		add(part+" in capitals", strings.Join(p, "."))
	}
	for i, c := range parts[2] {
		if flipped := string(c ^ 0x20); strings.Contains(base64url, flipped) && c >= 'A' {
			add(fmt.Sprintf("letter %d of the signature in the other case", i), parts[0]+"."+parts[1]+"."+parts[2][:i]+flipped+parts[2][i+1:])
		}
	}
	if n := len(parts[2]); n%4 != 0 { // bits that mean nothing
		last := strings.IndexByte(base64url, parts[2][n-1])
		add("another spelling", token[:len(token)-1]+string(base64url[last^1]))
	}
	return append(all, mutant{"twice", token + "." + token}, mutant{"five parts", token + ".e30.e30"})
}

func encode(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// publicForms are what a verifier could take for a shared secret.
func publicForms(tb testing.TB, public crypto.PublicKey) map[string][]byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: public})
	if err != nil {
		tb.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return map[string][]byte{"DER": der, "PEM": text, "JWK": jwk, "PEM without its last line's end": text[:len(text)-1], "nothing": {}}
}

// signedWith finds the public half of the key that signed a token of ours, and
// the name of another one.
func (g *rig) signedWith(token string) (public crypto.PublicKey, other string) {
	g.tb.Helper()
	header, _ := payloadOf(g.tb, token)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(g.Keys.JWKS(), &set); err != nil {
		g.tb.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.KeyID == header["kid"] {
			public = k.Key
		} else {
			other = k.KeyID
		}
	}
	return public, other
}

// N of mutants, 0 accepted: as a hint, as an access token, as an assertion.
func TestNoMutantIsAccepted(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			g := newRig(t)
			g.reading("web")
			g.change("web", func(c *store.Client) { c.Algorithm = alg })
			g.signing(alg)
			body := g.tokens()
			id, access := body["id_token"].(string), body["access_token"].(string)
			tried := g.mutantHints(id) + g.mutantAccess(access) + g.mutantAssertions(alg)
			t.Logf("%s: %d mutants", alg, tried)
			if tried < 300 {
				t.Error("a small corpus")
			}
		})
	}
}

func (g *rig) hinting(token string) url.Values {
	g.tb.Helper()
	w := g.get(ask("id_token_hint", token))
	return answered(g.tb, w)
}

func (g *rig) mutantHints(id string) int {
	g.tb.Helper()
	if g.hinting(id).Get("code") == "" {
		g.tb.Fatal("the good one is refused")
	}
	public, other := g.signedWith(id)
	all := mutants(g.tb, id, public, other)
	all = append(all, g.foreign(id, "JWT")...)
	for _, m := range all {
		if m.token == "" {
			continue // an empty parameter is none
		}
		if q := g.hinting(m.token); q.Get("code") != "" || q.Get("error") != "invalid_request" {
			g.tb.Errorf("hint, %s: %v", m.name, q)
		}
	}
	return len(all)
}

// foreign are tokens that our key signed and that are somebody else's: with
// another issuer or no sub, or of another kind.
func (g *rig) foreign(token, typ string) (all []mutant) {
	g.tb.Helper()
	header, claims := payloadOf(g.tb, token)
	for name, change := range map[string]any{"iss": "https://evil.example", "sub": "", "aud": "https://evil.example", "jti": "x"} {
		if claims[name] == nil {
			continue
		}
		c := maps.Clone(claims)
		c[name] = change
		b, err := json.Marshal(c)
		if err != nil {
			g.tb.Fatal(err)
		}
		signed, err := g.Keys.SignAs(typ, header["alg"].(string), b)
		if err != nil {
			g.tb.Fatal(err)
		}
		all = append(all, mutant{"ours, with another " + name, signed})
	}
	for _, typ := range []string{"logout+jwt", "JOSE", "", typ + "x", strings.ToUpper(typ) + " "} {
		b, err := json.Marshal(claims)
		if err != nil {
			g.tb.Fatal(err)
		}
		signed, err := g.Keys.SignAs(typ, header["alg"].(string), b)
		if err != nil {
			g.tb.Fatal(err)
		}
		all = append(all, mutant{"ours, of typ " + typ, signed})
	}
	return all
}

func (g *rig) mutantAccess(access string) int {
	g.tb.Helper()
	if status, _ := g.userinfo(access); status != 200 {
		g.tb.Fatal("the good one is refused")
	}
	public, other := g.signedWith(access)
	all := append(mutants(g.tb, access, public, other), g.foreign(access, typeAccess)...)
	if twin := twinOf(access, public); twin != "" {
		all = append(all, mutant{"the other signature of ECDSA", twin})
	}
	for _, m := range all {
		if status, _ := g.userinfo(m.token); status != 401 {
			g.tb.Errorf("userinfo, %s: %d", m.name, status)
		}
		if m.token == "" {
			continue
		}
		if status, about := g.asks(m.token); status == 200 && (about["active"] != false || len(about) > 1) {
			g.tb.Errorf("introspection, %s: %v", m.name, about)
		}
	}
	return len(all)
}

// twinOf is the same token with n-s for s, which ECDSA verifies just as well.
func twinOf(token string, public crypto.PublicKey) string {
	if _, is := public.(*ecdsa.PublicKey); !is {
		return ""
	}
	i := strings.LastIndex(token, ".") + 1
	b, err := base64.RawURLEncoding.DecodeString(token[i:])
	if err != nil {
		return ""
	}
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(b[32:]))
	s.FillBytes(b[32:])
	return token[:i] + base64.RawURLEncoding.EncodeToString(b)
}

func (g *rig) mutantAssertions(alg string) int {
	g.tb.Helper()
	key := theKeys()[alg]
	good := signed(g.tb, alg, key, head{}, g.good())
	all := mutants(g.tb, good, key.Public(), "k2")
	for _, m := range all {
		status, body := g.assert("/token", m.token)
		if status == 200 || body["access_token"] != nil || body["error"] != "invalid_client" && body["error"] != "invalid_request" {
			g.tb.Errorf("assertion, %s: %d %v", m.name, status, body)
		}
	}
	if status, body := g.assert("/token", good); status != 200 {
		g.tb.Fatal("the good one is refused, or a mutant used it up:", status, body)
	}
	if twin := twinOf(good, key.Public()); twin != "" {
		status, body := g.assert("/token", twin)
		wants(g.tb, status, body, 401, "invalid_client") // its jti is used
	}
	return len(all)
}

// Every algorithm that discovery names signs ID tokens which others verify.
func TestIDTokenAlgorithms(t *testing.T) {
	g := newRig(t)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(g.Keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	for _, alg := range g.Algorithms {
		g.change("web", func(c *store.Client) { c.Algorithm = alg })
		body := g.tokens()
		jws, err := jose.ParseSignedCompact(body["id_token"].(string), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		found := set.Key(jws.Signatures[0].Header.KeyID)
		if len(found) != 1 || found[0].Algorithm != alg {
			t.Fatalf("%s: kid %q", alg, jws.Signatures[0].Header.KeyID)
		}
		payload, err := jws.Verify(found[0])
		if err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		var c struct {
			AtHash string `json:"at_hash"`
		}
		sum := sha256.Sum256([]byte(body["access_token"].(string)))
		half := sum[:16]
		if alg == "EdDSA" { // of Ed25519, whose hash is SHA-512
			long := sha512.Sum512([]byte(body["access_token"].(string)))
			half = long[:32]
		}
		if err := json.Unmarshal(payload, &c); err != nil || c.AtHash != base64.RawURLEncoding.EncodeToString(half) {
			t.Errorf("%s: at_hash %q", alg, c.AtHash)
		}
	}
}
