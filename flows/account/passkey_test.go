package account_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

const passkeyDomain = "id.example"

var (
	aChallenge = bytes.Repeat([]byte{7}, 32)
	hersAlone  = []byte("a handle of Grace's, 32 bytes of")
)

func relyingParty(t testing.TB) *account.RelyingParty {
	t.Helper()
	rp, err := account.NewRelyingParty(passkeyDomain, "Medximity", []string{"https://" + passkeyDomain})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// enrolled makes a passkey of the key, as a browser does before a person.
func enrolled(t testing.TB, rp *account.RelyingParty, k *passkeytest.Key) account.Passkey {
	t.Helper()
	k.Handle = hersAlone
	made, err := rp.Made(account.Holder{Handle: hersAlone, Username: "grace"}, aChallenge, []byte(k.Make(aChallenge, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return account.Passkey{ID: "K1", Account: "id-grace", Credential: made.Credential, Record: made.Record, Count: made.Count,
		Verified: made.Verified, Synced: made.Synced}
}

// holderOf finds Grace by her passkeys, and nobody else.
func holderOf(all ...account.Passkey) func([]byte) (*account.Holder, error) {
	return func(credential []byte) (*account.Holder, error) {
		for _, p := range all {
			if bytes.Equal(p.Credential, credential) {
				return &account.Holder{Handle: hersAlone, Passkeys: all}, nil
			}
		}
		return nil, nil
	}
}

func stranger(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func client(name string, value any) func(*passkeytest.Says) {
	return func(s *passkeytest.Says) {
		if s.Client[name] = value; value == nil {
			delete(s.Client, name)
		}
	}
}

func with(flags byte) func(*passkeytest.Says) {
	return func(s *passkeytest.Says) { s.Flags = flags }
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// lies are told in the signing-in and in the making of a passkey alike: whichever
// ceremony, each is refused and for its cause (WebAuthn Level 3 sections 7.1, 7.2).
func lies(t testing.TB) map[string]struct {
	lie   func(*passkeytest.Says)
	cause account.Reason
} {
	type lie = struct {
		lie   func(*passkeytest.Says)
		cause account.Reason
	}
	return map[string]lie{
		"no type":                          {client("type", nil), account.PasskeyType},
		"the type of a payment":            {client("type", "payment.get"), account.PasskeyType},
		"another's challenge":              {client("challenge", encode(bytes.Repeat([]byte{8}, 32))), account.PasskeyChallenge},
		"no challenge":                     {client("challenge", nil), account.PasskeyChallenge},
		"an empty challenge":               {client("challenge", ""), account.PasskeyChallenge},
		"a challenge cut":                  {client("challenge", encode(aChallenge[:16])), account.PasskeyChallenge},
		"a challenge with padding":         {client("challenge", encode(aChallenge)+"="), account.PasskeyChallenge},
		"a challenge of the standard kind": {client("challenge", base64.StdEncoding.EncodeToString(aChallenge)), account.PasskeyChallenge},
		"another host":                     {client("origin", "https://id.example.evil.example"), account.PasskeyOrigin},
		"a sub-domain":                     {client("origin", "https://pay.id.example"), account.PasskeyOrigin},
		"the domain above":                 {client("origin", "https://example"), account.PasskeyOrigin},
		"another scheme":                   {client("origin", "http://id.example"), account.PasskeyOrigin},
		"another port":                     {client("origin", "https://id.example:8443"), account.PasskeyOrigin},
		"a trailing dot":                   {client("origin", "https://id.example."), account.PasskeyOrigin},
		"an app's origin":                  {client("origin", "android:apk-key-hash:47DEQpj8HBSa"), account.PasskeyOrigin},
		"no origin":                        {client("origin", nil), account.PasskeyOrigin},
		"an opaque origin":                 {client("origin", "null"), account.PasskeyOrigin},
		"in somebody's frame":              {client("crossOrigin", true), account.PasskeyCross},
		"in a frame of another page": {func(s *passkeytest.Says) {
			s.Client["crossOrigin"], s.Client["topOrigin"] = true, "https://evil.example"
		}, account.PasskeyCross},
		"in a frame of our own page": {func(s *passkeytest.Says) {
			s.Client["crossOrigin"], s.Client["topOrigin"] = true, "https://id.example"
		}, account.PasskeyCross},
		"a top page and no frame":        {client("topOrigin", "https://id.example"), account.PasskeyCross},
		"for another party":              {func(s *passkeytest.Says) { s.Party = "evil.example" }, account.PasskeyParty},
		"for the domain above":           {func(s *passkeytest.Says) { s.Party = "example" }, account.PasskeyParty},
		"touched by nobody":              {with(passkeytest.Verified), account.PasskeyPresence},
		"a token binding of no kind":     {client("tokenBinding", map[string]any{"status": "maybe"}), account.PasskeyMalformed},
		"no flag at all":                 {with(0), account.PasskeyPresence},
		"synced, and not able to be":     {with(passkeytest.Present | passkeytest.BackedUp), account.PasskeyFlags},
		"extensions that are not there":  {with(passkeytest.Present | passkeytest.Extensions), account.PasskeyMalformed},
		"client data that is no object":  {func(s *passkeytest.Says) { s.Client = nil }, account.PasskeyType},
		"a type that is a number":        {client("type", 7), account.PasskeyMalformed},
		"a challenge that is a list":     {client("challenge", []int{7}), account.PasskeyMalformed},
		"a frame that is neither yes no": {client("crossOrigin", "yes"), account.PasskeyMalformed},
	}
}

// Whatever an authenticator or its browser has wrong is refused, and told.
func TestPasskeyLiesAreRefused(t *testing.T) {
	rp := relyingParty(t)
	k := passkeytest.New(passkeyDomain)
	grace := enrolled(t, rp, k)
	cases := lies(t)
	type lie = struct {
		lie   func(*passkeytest.Says)
		cause account.Reason
	}
	for name, l := range map[string]lie{
		"made, not used":                 {client("type", "webauthn.create"), account.PasskeyType},
		"a bit of the signature":         {func(s *passkeytest.Says) { s.Spoil = func(b []byte) { b[len(b)-1] ^= 1 } }, account.PasskeySignature},
		"no signature":                   {func(s *passkeytest.Says) { s.Signer = nil }, account.PasskeySignature},
		"another's key":                  {func(s *passkeytest.Says) { s.Signer = stranger(t) }, account.PasskeySignature},
		"a credential that nobody has":   {func(s *passkeytest.Says) { s.ID = bytes.Repeat([]byte{1}, 32) }, account.PasskeyUnknown},
		"somebody else's handle":         {func(s *passkeytest.Says) { s.Handle = []byte("a handle of Edith's") }, account.PasskeyForeign},
		"it may be synced all at once":   {with(passkeytest.Present | passkeytest.Eligible), account.PasskeyFlags},
		"more behind the data":           {func(s *passkeytest.Says) { s.Tail = []byte{0} }, account.PasskeyMalformed},
		"a credential in an assertion":   {with(passkeytest.Present | passkeytest.Attested), account.PasskeyMalformed},
		"an id longer than there can be": {func(s *passkeytest.Says) { s.ID = make([]byte, 2000) }, account.PasskeyUnknown},
	} {
		cases[name] = l
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			given, err := rp.Given(aChallenge, []byte(k.Use(aChallenge, c.lie)), holderOf(grace))
			refusedFor(t, given != nil, err, c.cause)
		})
	}
	if _, err := rp.Given(aChallenge, []byte(k.Use(aChallenge, nil)), holderOf(grace)); err != nil {
		t.Errorf("and the truth: %v", err)
	}
}

// So is a passkey that is made wrong, and none is added.
func TestPasskeyIsNotMadeOfLies(t *testing.T) {
	rp := relyingParty(t)
	k := passkeytest.New(passkeyDomain)
	cases := lies(t)
	type lie = struct {
		lie   func(*passkeytest.Says)
		cause account.Reason
	}
	for name, l := range map[string]lie{
		"used, not made":                 {client("type", "webauthn.get"), account.PasskeyType},
		"an algorithm not asked for":     {func(s *passkeytest.Says) { s.Algorithm = -47 }, account.PasskeyAlgorithm},
		"another's id beside it":         {func(s *passkeytest.Says) { s.Outer = bytes.Repeat([]byte{1}, 32) }, account.PasskeyMalformed},
		"an id longer than there can be": {func(s *passkeytest.Says) { s.ID = make([]byte, 2000) }, account.PasskeyMalformed},
		"no credential":                  {func(s *passkeytest.Says) { s.Attestation = passkeytest.Attestation(make([]byte, 37)) }, account.PasskeyMalformed},
		"data cut":                       {func(s *passkeytest.Says) { s.Attestation = passkeytest.Attestation(make([]byte, 36)) }, account.PasskeyMalformed},
		"no CBOR":                        {func(s *passkeytest.Says) { s.Attestation = []byte("\xff\xff") }, account.PasskeyMalformed},
		"CBOR without end":               {func(s *passkeytest.Says) { s.Attestation = bytes.Repeat([]byte{0x9f}, 4000) }, account.PasskeyMalformed},
		"a map that says it is huge":     {func(s *passkeytest.Says) { s.Attestation = []byte("\xbb\xff\xff\xff\xff\xff\xff\xff\xff") }, account.PasskeyMalformed},
	} {
		cases[name] = l
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			made, err := rp.Made(account.Holder{Handle: hersAlone, Username: "grace"}, aChallenge, []byte(k.Make(aChallenge, c.lie)))
			refusedFor(t, made != nil, err, c.cause)
		})
	}
	grace := enrolled(t, rp, k)
	made, err := rp.Made(account.Holder{Handle: hersAlone, Passkeys: []account.Passkey{grace}}, aChallenge, []byte(k.Make(aChallenge, nil)))
	refusedFor(t, made != nil, err, account.PasskeyKnown)
}

func refusedFor(t *testing.T, believed bool, err error, cause account.Reason) {
	t.Helper()
	bad, ok := errors.AsType[*account.BadPasskey](err)
	switch {
	case believed:
		t.Fatal("believed")
	case !ok:
		t.Fatalf("a fault, and not a refusal: %v", err)
	case bad.Cause != cause:
		t.Errorf("refused for %s, want %s", bad.Cause, cause)
	}
}

// What is no answer at all is no fault of ours either.
func TestPasskeyAnswersThatAreNone(t *testing.T) {
	rp := relyingParty(t)
	k := passkeytest.New(passkeyDomain)
	grace := enrolled(t, rp, k)
	real := k.Use(aChallenge, nil)
	made := passkeytest.New(passkeyDomain).Make(aChallenge, nil)
	for _, answer := range []string{"", "null", "{}", "[]", `"x"`, "7", "{", "\x00", "\xff\xfe", `{"response":{}}`, `{"response":null}`, `{"response":7}`,
		real[:len(real)/2], real + "x", real + real, strings.Replace(real, "public-key", "password", 1),
		strings.Replace(real, `"rawId":"`, `"rawId":"!`, 1), strings.Replace(real, `"rawId":`, `"rawid2":`, 1),
		strings.Replace(real, `"id":"`, `"id":"AAAA`, 1), strings.Replace(real, `"clientDataJSON":"`, `"clientDataJSON":"*`, 1),
		strings.Replace(real, `"clientDataJSON":"`, `"clientDataJSON":"AAAA`, 1),
		strings.Replace(real, `"authenticatorData":"`, `"authenticatorData":"%`, 1),
		strings.Replace(real, `"authenticatorData":"`, `"authenticatorData":7,"x":"`, 1),
		strings.Replace(made, `"attestationObject":"`, `"attestationObject":"AA`, 1),
		strings.Replace(made, `"attestationObject":"`, `"attestationObject":"","x":"`, 1),
		strings.Repeat(`{"response":`, 5000), strings.Repeat("[", 60_000)} {
		given, err := rp.Given(aChallenge, []byte(answer), holderOf(grace))
		refusedFor(t, given != nil, err, account.PasskeyMalformed)
		key, err := rp.Made(account.Holder{Handle: hersAlone}, aChallenge, []byte(answer))
		refusedFor(t, key != nil, err, account.PasskeyMalformed)
		if said, err := account.ChallengeIn([]byte(answer)); err == nil && !bytes.Equal(said, aChallenge) {
			t.Errorf("of %.40q the challenge is %x", answer, said)
		}
	}
}

// One that does not know its person is believed, and is no more than something held.
func TestPasskeyWithoutVerificationIsSaidToBe(t *testing.T) {
	rp := relyingParty(t)
	for _, flags := range []byte{passkeytest.Present, passkeytest.Present | passkeytest.Verified} {
		k := passkeytest.New(passkeyDomain)
		grace := enrolled(t, rp, k) // it knew her when it was made
		given, err := rp.Given(aChallenge, []byte(k.Use(aChallenge, with(flags))), holderOf(grace))
		if err != nil || given.Verified != (flags&passkeytest.Verified != 0) {
			t.Errorf("flags %x: %+v, %v", flags, given, err)
		}
	}
}

// A count that does not rise is told once, with the answer that had it: it is
// believed, and nothing that comes after is refused for it.
func TestPasskeyCountThatDoesNotRise(t *testing.T) {
	rp := relyingParty(t)
	k := passkeytest.New(passkeyDomain)
	grace := enrolled(t, rp, k)
	for i, step := range []struct {
		count  uint32
		cloned bool
		kept   uint32
	}{
		{5, false, 5},
		{5, true, 5},
		{4, true, 5},
		{0, true, 5},
		{6, false, 6},
		{1<<32 - 1, false, 1<<32 - 1},
	} {
		answer := k.Use(aChallenge, func(s *passkeytest.Says) { s.Count = step.count })
		given, err := rp.Given(aChallenge, []byte(answer), holderOf(grace))
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if given.Cloned != step.cloned || given.Passkey.Count != step.kept || given.Before != grace.Count {
			t.Errorf("step %d: %+v, want cloned %v and %d kept", i, given, step.cloned, step.kept)
		}
		if bytes.Contains(given.Passkey.Record, []byte(`"cloneWarning":true`)) {
			t.Errorf("step %d: the warning is kept: %s", i, given.Passkey.Record)
		}
		grace = given.Passkey
	}
	// An authenticator that does not count is no copy.
	k = passkeytest.New(passkeyDomain)
	grace = enrolled(t, rp, k)
	for range 2 {
		given, err := rp.Given(aChallenge, []byte(k.Use(aChallenge, func(s *passkeytest.Says) { s.Count = 0 })), holderOf(grace))
		if err != nil || given.Cloned {
			t.Fatalf("without a count: %+v, %v", given, err)
		}
		grace = given.Passkey
	}
}

// The page asks for a passkey that can be found again, does not want one twice on
// a device, wants no attestation, and calls nobody by name in the handle.
func TestPasskeyOfferAndAsk(t *testing.T) {
	rp := relyingParty(t)
	k := passkeytest.New(passkeyDomain)
	grace := enrolled(t, rp, k)
	offer, err := rp.Offer(account.Holder{Handle: hersAlone, Username: "grace", Passkeys: []account.Passkey{grace}}, aChallenge)
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Challenge   string
		Timeout     int
		RP          struct{ ID string }
		User        struct{ ID, Name, DisplayName string }
		Attestation string
		Exclude     []struct{ ID string }                          `json:"excludeCredentials"`
		Selection   struct{ ResidentKey, UserVerification string } `json:"authenticatorSelection"`
	}
	if err := json.Unmarshal(offer, &o); err != nil {
		t.Fatal(err)
	}
	if o.Challenge != encode(aChallenge) || o.Timeout != 300_000 || o.RP.ID != passkeyDomain || o.User.ID != encode(hersAlone) ||
		o.User.Name != "grace" || o.User.DisplayName != "grace" || len(o.Exclude) != 1 || o.Exclude[0].ID != encode(k.ID) ||
		o.Selection.ResidentKey != "preferred" || o.Attestation != "none" {
		t.Errorf("%+v\n%s", o, offer)
	}
	nobodys, err := rp.Ask(nil, aChallenge)
	if err != nil || bytes.Contains(nobodys, []byte("allowCredentials")) || !bytes.Contains(nobodys, []byte(encode(aChallenge))) {
		t.Errorf("%s, %v", nobodys, err)
	}
	hers, err := rp.Ask([]account.Passkey{grace}, aChallenge)
	if err != nil || !bytes.Contains(hers, []byte(encode(k.ID))) {
		t.Errorf("%s, %v", hers, err)
	}
}
