package account_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

// neverAsked is a challenge that no seed answers.
var neverAsked = bytes.Repeat([]byte{9}, 32)

// seedPasskeys adds real answers of the key, and lies of every kind.
func seedPasskeys(f *testing.F, k *passkeytest.Key) {
	for _, l := range lies(f) {
		f.Add([]byte(k.Use(aChallenge, l.lie)))
		f.Add([]byte(k.Make(aChallenge, l.lie)))
	}
	f.Add([]byte(k.Use(aChallenge, nil)))
	f.Add([]byte(k.Make(aChallenge, nil)))
	f.Add([]byte(`{"response":{"clientDataJSON":"e30"}}`))
}

// isRefusal fails for what is believed, and for what is no refusal.
func isRefusal(t *testing.T, believed bool, err error) {
	t.Helper()
	if _, ok := errors.AsType[*account.BadPasskey](err); believed || !ok {
		t.Errorf("believed %v, %v", believed, err)
	}
}

// Whatever says it is an answer, its challenge is what its client data says, or it
// is malformed.
func FuzzChallengeIn(f *testing.F) {
	seedPasskeys(f, passkeytest.New(passkeyDomain))
	f.Fuzz(func(t *testing.T, answer []byte) {
		challenge, err := account.ChallengeIn(answer)
		if err != nil {
			isRefusal(t, challenge != nil, err)
		} else if !json.Valid(answer) {
			t.Errorf("%q is no JSON and has the challenge %x", answer, challenge)
		}
	})
}

// Nothing signs in to a challenge that the key never saw; and what does to the one
// it saw was signed by it.
func FuzzPasskeyGiven(f *testing.F) {
	rp := relyingParty(f)
	k := passkeytest.New(passkeyDomain)
	grace := enrolled(f, rp, k)
	seedPasskeys(f, k)
	f.Fuzz(func(t *testing.T, answer []byte) {
		given, err := rp.Given(neverAsked, answer, holderOf(grace))
		isRefusal(t, given != nil, err)
		given, err = rp.Given(aChallenge, answer, holderOf(grace))
		if err != nil {
			isRefusal(t, given != nil, err)
		} else if !bytes.Equal(given.Passkey.Credential, k.ID) {
			t.Errorf("%q is by %x", answer, given.Passkey.Credential)
		}
	})
}

// Nothing is added to a challenge that was never given out; and what is added can
// be judged afterwards.
func FuzzPasskeyMade(f *testing.F) {
	rp := relyingParty(f)
	k := passkeytest.New(passkeyDomain)
	seedPasskeys(f, k)
	h := account.Holder{Handle: hersAlone, Username: "grace"}
	f.Fuzz(func(t *testing.T, answer []byte) {
		made, err := rp.Made(h, neverAsked, answer)
		isRefusal(t, made != nil, err)
		if made, err = rp.Made(h, aChallenge, answer); err != nil {
			isRefusal(t, made != nil, err)
			return
		}
		p := account.Passkey{Credential: made.Credential, Record: made.Record, Count: made.Count}
		given, err := rp.Given(neverAsked, []byte(k.Use(neverAsked, func(s *passkeytest.Says) {
			s.ID, s.Handle, s.Signer = made.Credential, hersAlone, stranger(t)
		})), holderOf(p))
		isRefusal(t, given != nil, err)
	})
}
