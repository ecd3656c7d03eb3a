package keys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// clocked is a store whose clock a test moves, and which a test may break.
type clocked struct {
	*store.Store
	ahead  *atomic.Int64
	broken atomic.Bool
}

func (c *clocked) Now() time.Time { return c.Store.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clocked) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	if c.broken.Load() {
		return nil, errors.New("the database is down")
	}
	return c.Store.SigningKeys(ctx)
}

func (c *clocked) ChangeKeys(ctx context.Context, actor string, decide func(time.Time, []store.SigningKey) store.KeyChange) error {
	return c.Store.ChangeKeys(ctx, actor, func(_ time.Time, have []store.SigningKey) store.KeyChange {
		return decide(c.Now(), have)
	})
}

func newClocked(t testing.TB) *clocked {
	return &clocked{Store: storetest.Open(t, storetest.New(t, "sqlite")), ahead: new(atomic.Int64)}
}

func replica(t testing.TB, c *clocked) *Keys {
	t.Helper()
	k, err := open(context.Background(), c, Config{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *Keys, alg string) string {
	t.Helper()
	token, err := k.Sign(alg, []byte(`{"sub":"ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func kid(t testing.TB, token string) string {
	t.Helper()
	j, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{"RS256", "ES256", "EdDSA", "PS256"})
	if err != nil {
		t.Fatal(err)
	}
	return j.Signatures[0].Header.KeyID
}

// published verifies a token as a client would that fetched these bytes.
func published(t testing.TB, jwks []byte, token string) bool {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &keys); err != nil {
		t.Fatal(err)
	}
	j, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{"RS256", "ES256", "EdDSA", "PS256"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys.Key(j.Signatures[0].Header.KeyID) {
		if _, err := j.Verify(key); err == nil && key.Use == "sig" && key.IsPublic() {
			return true
		}
	}
	return false
}

func TestSignsAndVerifies(t *testing.T) {
	k := replica(t, newClocked(t))
	for _, alg := range k.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			token := sign(t, k, alg)
			if !published(t, k.JWKS(), token) {
				t.Error("go-jose refuses it")
			}
			if payload, err := k.Verify(token); err != nil || string(payload) != `{"sub":"ann"}` {
				t.Errorf("Verify = %q, %v", payload, err)
			}
		})
	}
	if _, err := k.Sign("HS256", nil); err == nil {
		t.Error("signed HS256")
	}
}

func TestKidIsTheThumbprint(t *testing.T) {
	k := replica(t, newClocked(t))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.JWKS(), &set); err != nil || len(set.Keys) != len(k.Algorithms()) {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	for _, key := range set.Keys {
		sum, err := key.Thumbprint(5) // crypto.SHA256
		if err != nil || key.KeyID != base64.RawURLEncoding.EncodeToString(sum) {
			t.Errorf("%s: kid %s, %v", key.Algorithm, key.KeyID, err)
		}
	}
	if strings.Contains(string(k.JWKS()), `"d":`) {
		t.Error("a private key is published")
	}
}

func TestReplicasStartTogether(t *testing.T) {
	c := newClocked(t)
	var all [4]*Keys
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = open(context.Background(), c, Config{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range all {
		if string(k.JWKS()) != string(all[0].JWKS()) {
			t.Error("replicas publish different keys")
		}
	}
}

// Two replicas live through 200 days, rotated by whichever comes first. A
// client fetched the JWKS of one up to half a day ago, and must verify what
// the other signs now, and for an hour after.
func TestRotationUnderOverlap(t *testing.T) {
	c := newClocked(t)
	a, b := replica(t, c), replica(t, c)
	const step = 6 * time.Hour
	kids := map[string]bool{}
	cached := []string{string(b.JWKS()), string(b.JWKS()), string(b.JWKS())}
	var last string
	for at := time.Duration(0); at < 200*24*time.Hour; at += step {
		c.ahead.Store(int64(at))
		if at%(24*time.Hour) == 0 {
			if err := a.RotateIfDue(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		token := sign(t, a, "ES256")
		kids[kid(t, token)] = true
		if !published(t, []byte(cached[0]), token) {
			t.Fatalf("day %v: a cached JWKS lacks the key that signs", at.Hours()/24)
		}
		cached = append(cached[1:], string(b.JWKS()))
		if last != "" && !published(t, b.JWKS(), last) {
			t.Fatalf("day %v: the last token no longer verifies", at.Hours()/24)
		}
		last = token
	}
	if len(kids) != 3 {
		t.Errorf("%d keys signed in 200 days, want 3", len(kids))
	}
}

func TestRotateByHand(t *testing.T) {
	c := newClocked(t)
	k := replica(t, c)
	first := sign(t, k, "RS256")
	for range 2 { // an impatient operator
		if err := k.Rotate(context.Background(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if kid(t, sign(t, k, "RS256")) != kid(t, first) {
		t.Error("the new key signs before it was published for a day")
	}
	c.ahead.Store(int64(25 * time.Hour))
	second := sign(t, k, "RS256")
	if kid(t, second) == kid(t, first) {
		t.Error("the old key still signs")
	}
	if !published(t, k.JWKS(), first) {
		t.Error("the old key is not published for as long as its tokens live")
	}
	c.ahead.Store(int64(50 * time.Hour))
	if published(t, k.JWKS(), first) {
		t.Error("the old key is published for ever")
	}
	if _, err := k.Verify(first); err != nil {
		t.Error("an old token is no hint:", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	c := newClocked(t)
	k, other := replica(t, c), replica(t, newClocked(t))
	enc := base64.RawURLEncoding
	token := sign(t, k, "RS256")
	parts := strings.Split(token, ".")
	with := func(h string) string { return enc.EncodeToString([]byte(h)) + "." + parts[1] + "." + parts[2] }
	id := kid(t, token)
	for name, bad := range map[string]string{
		"nothing":               "",
		"two parts":             parts[0] + "." + parts[1],
		"four parts":            token + ".",
		"another payload":       parts[0] + "." + enc.EncodeToString([]byte(`{"sub":"bob"}`)) + "." + parts[2],
		"no signature":          parts[0] + "." + parts[1] + ".",
		"a signature's prefix":  token[:len(token)-4],
		"padding":               token + "=",
		"alg none":              enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT","kid":"`+id+`"}`)) + "." + parts[1] + ".",
		"alg none, signed":      with(`{"alg":"none","typ":"JWT","kid":"` + id + `"}`),
		"HMAC":                  with(`{"alg":"HS256","typ":"JWT","kid":"` + id + `"}`),
		"another algorithm":     with(`{"alg":"PS256","typ":"JWT","kid":"` + id + `"}`),
		"another type":          with(`{"alg":"RS256","typ":"at+jwt","kid":"` + id + `"}`),
		"a critical extension":  with(`{"alg":"RS256","typ":"JWT","crit":["b64"],"kid":"` + id + `"}`),
		"a key of its own":      with(`{"alg":"RS256","typ":"JWT","kid":"x","jwk":{}}`),
		"no kid":                with(`{"alg":"RS256","typ":"JWT"}`),
		"header of no JSON":     with(`alg`),
		"deeply nested header":  with(strings.Repeat("[", 100_000)),
		"another issuer's keys": sign(t, other, "RS256"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := k.Verify(bad); !errors.Is(err, ErrNotOurs) {
				t.Errorf("Verify = %v", err)
			}
		})
	}
}

func TestTamperingAnywhere(t *testing.T) {
	k := replica(t, newClocked(t))
	for _, alg := range k.Algorithms() {
		token := []byte(sign(t, k, alg))
		for i := range token {
			bad := string(token[:i]) + string(flip(token[i])) + string(token[i+1:])
			if _, err := k.Verify(bad); err == nil {
				t.Fatalf("%s: changed at %d and accepted", alg, i)
			}
		}
	}
}

func flip(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

// A replica hears of another's rotation within 30 seconds.
func TestReadsAgain(t *testing.T) {
	c := newClocked(t)
	a, b := replica(t, c), replica(t, c)
	if err := a.Rotate(context.Background(), "ann"); err != nil {
		t.Fatal(err)
	}
	c.ahead.Add(int64(oldAfter))
	if string(a.JWKS()) != string(b.JWKS()) {
		t.Error("another replica's keys are not published after 30 seconds")
	}
}

func TestStoreDown(t *testing.T) {
	c := newClocked(t)
	k := replica(t, c)
	token := sign(t, k, "ES256")
	c.broken.Store(true)
	for range 3 {
		c.ahead.Add(int64(time.Minute))
		sign(t, k, "ES256")
		if !published(t, k.JWKS(), token) {
			t.Error("nothing published")
		}
	}
	if err := k.Rotate(context.Background(), "ann"); err == nil {
		t.Error("rotated without a store")
	}
	if _, err := open(context.Background(), c, Config{}); err == nil {
		t.Error("opened without a store")
	}
}

func TestUntil(t *testing.T) {
	c := newClocked(t)
	k := replica(t, c)
	const day = 24 * time.Hour
	days := func(at time.Time) float64 { return at.Sub(c.Now()).Round(time.Hour).Hours() / 24 }
	signing, provided := k.Until()
	if days(signing) != 90 || days(provided) != 90 {
		t.Errorf("at first %v, %v", days(signing), days(provided))
	}
	c.ahead.Store(int64(89 * day))
	if err := k.RotateIfDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	if signing, provided = k.Until(); days(signing) != 1 || days(provided) != 91 {
		t.Errorf("after the rotation %v, %v", days(signing), days(provided))
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"no overlap to speak of":     {Overlap: time.Second},
		"rotates within the overlap": {Overlap: time.Hour, RotateEvery: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := open(context.Background(), newClocked(t), c); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	k := replica(b, newClocked(b))
	payload := []byte(strings.Repeat("x", 400))
	for _, alg := range k.Algorithms() {
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Sign(alg, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	k := replica(b, newClocked(b))
	for _, alg := range k.Algorithms() {
		token := sign(b, k, alg)
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A token of one kind is none of another.
func TestTyp(t *testing.T) {
	k := replica(t, newClocked(t))
	for _, alg := range algorithms() {
		access, err := k.SignAs("at+jwt", alg, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if payload, err := k.VerifyAs("at+jwt", access); err != nil || string(payload) != `{}` {
			t.Errorf("%s: %q %v", alg, payload, err)
		}
		if _, err := k.Verify(access); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: an access token passes for a JWT: %v", alg, err)
		}
		if _, err := k.VerifyAs("at+jwt", sign(t, k, alg)); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: a JWT passes for an access token: %v", alg, err)
		}
	}
}
