package account_test

import (
	"encoding/base32"
	"net/url"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

// RFC 6238 appendix B, SHA-1: eight digits there, of which apps show the last
// six.
func TestVectorsOfRFC6238(t *testing.T) {
	key := []byte("12345678901234567890")
	for _, v := range []struct {
		seconds int64
		code    string
	}{
		{59, "94287082"}, {1111111109, "07081804"}, {1111111111, "14050471"},
		{1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"},
	} {
		step, ok := account.ConfirmCode(key, v.code[2:], time.Unix(v.seconds, 0))
		if !ok || step != v.seconds/30 {
			t.Errorf("at %d: step %d, %v", v.seconds, step, ok)
		}
	}
}

// The code of one step is good in that step and its neighbours, and no longer:
// to the second (Keycloak #37762, RFC 6238 section 5.2).
func TestDrift(t *testing.T) {
	key := account.NewKey()
	start := time.Unix(1_800_000_000, 0) // a step begins
	code := account.ShowCode(key, start)
	for _, tt := range []struct {
		at     time.Duration
		offset int
		good   bool
	}{
		{-31 * time.Second, 0, false}, {-30 * time.Second, 1, true}, {-1 * time.Second, 1, true},
		{0, 0, true}, {29 * time.Second, 0, true}, {30 * time.Second, -1, true},
		{59 * time.Second, -1, true}, {60 * time.Second, 0, false}, {time.Hour, 0, false},
	} {
		all := []account.Authenticator{{ID: "a", Key: key}}
		m, found, used, err := account.MatchCode(lease(t), all, code, start.Add(tt.at))
		if err != nil || used || found != tt.good || m.Offset != tt.offset {
			t.Errorf("at %v: %+v, found %v, used %v, %v", tt.at, m, found, used, err)
		}
	}
}

// RFC 6238 section 5.2: the second use of a code is refused, and so is an older
// one after a newer one. Two apps do not stand in each other's way.
func TestACodeIsGoodOnce(t *testing.T) {
	key, other := []byte("12345678901234567890"), account.NewKey()
	now := time.Unix(59, 0) // step 1, code 287082
	for _, tt := range []struct {
		name        string
		last        int64
		found, used bool
	}{
		{"never used", 0, true, false},
		{"used", 1, true, true},
		{"a newer one was used", 2, true, true},
	} {
		all := []account.Authenticator{{ID: "other", Key: other, LastStep: 99}, {ID: "a", Key: key, LastStep: tt.last}}
		m, found, used, err := account.MatchCode(lease(t), all, "287082", now)
		if err != nil || found != tt.found || used != tt.used || m.Authenticator != "a" {
			t.Errorf("%s: %+v, found %v, used %v, %v", tt.name, m, found, used, err)
		}
	}
	// The same key twice, as somebody who scanned the code again might have it:
	// the one that was not used yet decides.
	all := []account.Authenticator{{ID: "old", Key: key, LastStep: 1}, {ID: "new", Key: key}}
	if m, found, used, _ := account.MatchCode(lease(t), all, "287082", now); !found || used || m.Authenticator != "new" {
		t.Errorf("twice: %+v, %v, %v", m, found, used)
	}
}

func TestNoLeaseNoVerdict(t *testing.T) {
	if _, _, _, err := account.MatchCode(account.Lease{}, nil, "287082", time.Now()); err != account.ErrNoLease {
		t.Errorf("a code without a lease: %v", err)
	}
	if _, err := new(account.Hasher).HashBackupCode(t.Context(), account.Lease{}, nil, "x"); err != account.ErrNoLease {
		t.Errorf("a backup code without a lease: %v", err)
	}
}

func TestTheKeyForApps(t *testing.T) {
	key := account.NewKey()
	u, err := url.Parse(account.KeyURI("Medximity", "grace:o/+ k", key))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Medximity:grace:o/+ k" || q.Get("issuer") != "Medximity" ||
		q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
		t.Errorf("%s", u)
	}
	back, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(q.Get("secret"))
	if err != nil || string(back) != string(key) || q.Get("secret") != account.KeyText(key) || len(key)*8 != 160 {
		t.Errorf("the key of %s: %v", u, err)
	}
}

func TestCodesAsTyped(t *testing.T) {
	for typed, want := range map[string]string{
		"123456": "123456", " 123 456 ": "123456", "123-456": "123456", "１２３４５６": "123456", "１２３－４５６": "123456",
		"12345": "", "1234567": "", "12345a": "", "": "", "  ": "", "１２３４５": "", "123456\x00": "", "١٢٣٤٥٦": "",
	} {
		got, ok := account.NormalCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
}
