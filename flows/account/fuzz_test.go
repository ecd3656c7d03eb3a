package account_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/medximity/idp/flows/account"
)

// typed are what people, apps, keyboards and attackers put into a field.
var typed = []string{"", " ", "123456", "123 456", "１２３４５６", "12-34-56", "abcd-efgh-jkmnp", "OIL0-oil0-IIIII",
	"\x00", "\xff\xfe", "\u00a0", "\u3000 7", "ﬁ", "İstanbul", "ſ", "K", "é", "e\u0301", "가", "1679576722", "1679-576-722"}

// What a person types into the code's field comes out as six ASCII digits or is
// no attempt, and what came out comes out of itself.
func FuzzNormalCode(f *testing.F) {
	for _, s := range typed {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, ok := account.NormalCode(s)
		if ok && (len(code) != account.CodeDigits || strings.Trim(code, "0123456789") != "") {
			t.Errorf("NormalCode(%q) = %q", s, code)
		}
		if again, still := account.NormalCode(code); again != code || still != ok {
			t.Errorf("NormalCode(%q) = %q, %v; of that %q, %v", s, code, ok, again, still)
		}
		if spaced, _ := account.NormalCode(" " + s + "-"); spaced != code && utf8.ValidString(s) {
			t.Errorf("with space around it %q is %q, not %q", s, spaced, code)
		}
	})
}

func FuzzNormalBackupCode(f *testing.F) {
	for _, s := range typed {
		f.Add(s)
	}
	for _, c := range account.MakeBackupCodes(make([]byte, 32)) {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, ok := account.NormalBackupCode(s)
		if ok && (len(code) != 13 || strings.Trim(code, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "") {
			t.Errorf("NormalBackupCode(%q) = %q", s, code)
		}
		if !ok {
			return
		}
		for _, same := range []string{code, strings.ToLower(code), code[:4] + "-" + code[4:8] + "-" + code[8:],
			strings.NewReplacer("0", "o", "1", "l").Replace(code)} {
			if again, still := account.NormalBackupCode(same); again != code || !still {
				t.Errorf("%q is %q, but %q is %q", s, code, same, again)
			}
		}
	})
}

// N24: what is one identifier to a reader is one identifier to the counter.
func FuzzNormalise(f *testing.F) {
	for _, s := range append(typed, "Grace@River.Example", " grace ", "GRACE", "ｇｒａｃｅ") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) { // no form has it: web.Site refuses it
			return
		}
		got := account.Normalise(s)
		if again := account.Normalise(got); again != got {
			t.Errorf("Normalise(%q) = %q, of which it makes %q", s, got, again)
		}
		for name, same := range map[string]string{"in space": " \t" + s + "\u3000", "decomposed": norm.NFD.String(s),
			"composed": norm.NFC.String(s)} {
			if other := account.Normalise(same); other != got {
				t.Errorf("%s, %q is %q, not %q", name, s, other, got)
			}
		}
		if len(got) > 36*len(s)+36 { // NFKC makes at most 18 of one, in bytes at most 33
			t.Errorf("%d bytes became %d", len(s), len(got))
		}
	})
}

// T18: what is no text, or far too long, is refused before it costs anything;
// the rest keeps every character.
func FuzzNormalPassword(f *testing.F) {
	for _, s := range append(typed, strings.Repeat("é", 600), "\xed\xa0\x80", "violet kettle on the stove") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := account.NormalPassword(s)
		switch {
		case len(s) > account.MaxPasswordBytes:
			if !errors.Is(err, account.ErrTooLong) {
				t.Errorf("%d bytes: %v", len(s), err)
			}
			return
		case !utf8.ValidString(s) || strings.Contains(s, "\x00"):
			if !errors.Is(err, account.ErrNotText) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if err != nil || !utf8.Valid(got) || !norm.NFC.IsNormal(got) {
			t.Fatalf("NormalPassword(%q) = %q, %v", s, got, err)
		}
		for _, same := range []string{norm.NFD.String(s), norm.NFC.String(s)} {
			if len(same) > account.MaxPasswordBytes {
				continue
			}
			if other, err := account.NormalPassword(same); err != nil || !bytes.Equal(other, got) {
				t.Errorf("%q on another keyboard is %q, not %q", s, other, got)
			}
		}
		if norm.NFD.String(string(got)) != norm.NFD.String(s) {
			t.Errorf("%q lost something: %q", s, got)
		}
	})
}

// A password that is let through is as long as is said, is in no list, and a
// letter more of length never makes it too short.
func FuzzPasswordRules(f *testing.F) {
	for _, s := range append(typed, "violet kettle on the stove", "password1234567", "riverside clinic 1", "aaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "12345678901234567890") {
		f.Add(s, "Grace Hopper", uint8(0))
		f.Add(s, "grace@river.example", uint8(8))
	}
	f.Fuzz(func(t *testing.T, s, own string, least uint8) {
		secret, err := account.NormalPassword(s)
		if err != nil {
			return
		}
		rules := account.PasswordRules{Min: int(least), Known: account.Known}
		want := int(least)
		if want == 0 {
			want = account.MinPassword
		}
		n := utf8.RuneCount(secret)
		err = rules.Judge(secret, own)
		if (n < want) != errors.Is(err, account.ErrTooShort) {
			t.Errorf("%q of %d with at least %d: %v", secret, n, want, err)
		}
		if tooLong := n >= want && n > account.MaxPassword; tooLong != errors.Is(err, account.ErrTooLong) {
			t.Errorf("%d characters: %v", n, err)
		}
		if err == nil && account.Known(strings.ToLower(string(secret))) {
			t.Errorf("%q is known and was let through", secret)
		}
		if again := rules.Judge(secret, own); !errors.Is(again, err) {
			t.Errorf("%q: %v, then %v", secret, err, again)
		}
		// Longer is never too short, and nobody else's words make it worse.
		if longer := rules.Judge(append(bytes.Clone(secret), 'x'), own); errors.Is(longer, account.ErrTooShort) && n >= want {
			t.Errorf("%q and one more: %v", secret, longer)
		}
	})
}

// The check digit finds every single wrong digit (45 CFR 162.406, Luhn).
func FuzzNPI(f *testing.F) {
	for _, s := range append(typed, "1234567893", "2", "0123456789", "9999999999") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) { // no form has it: web.Site refuses it
			return
		}
		got := account.NormalNPI(s)
		if again := account.NormalNPI(got); again != got {
			t.Errorf("NormalNPI(%q) = %q, of which it makes %q", s, got, again)
		}
		if !account.ValidNPI(got) {
			return
		}
		if len(got) != 10 || strings.Trim(got, "0123456789") != "" || got[0] != '1' && got[0] != '2' {
			t.Fatalf("%q is valid", got)
		}
		for i := range 10 {
			for d := byte('0'); d <= '9'; d++ {
				if wrong := got[:i] + string(d) + got[i+1:]; wrong != got && account.ValidNPI(wrong) {
					t.Errorf("%s is valid, and so is %s", got, wrong)
				}
			}
		}
	})
}

// What an authenticator reads out of the QR code is the key, the issuer and the
// person, whatever they are called; nobody's name adds a parameter.
func FuzzKeyURI(f *testing.F) {
	for _, s := range append(typed, "grace", "a&secret=AAAA", "a?issuer=Evil", "Evil:grace", "grace#x", "%41", "a/b", "../x", "a+b@c.example") {
		f.Add(s, []byte("12345678901234567890"))
	}
	const issuer = "Medximity" // ours, and the only one: the library does not encode every character of it
	f.Fuzz(func(t *testing.T, username string, key []byte) {
		uri := account.KeyURI(issuer, username, key)
		if uri == "" {
			if username != "" && len(key) > 0 {
				t.Errorf("nothing for %q", username)
			}
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q: %v", uri, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Fatalf("%q: %v", uri, err)
		}
		for name, want := range map[string]string{"secret": account.KeyText(key), "issuer": issuer,
			"period": "30", "digits": "6", "algorithm": "SHA1"} {
			if len(key) > 0 && (len(q[name]) != 1 || q.Get(name) != want) {
				t.Errorf("%s is %q, want %q in %q", name, q[name], want, uri)
			}
		}
		if u.Path != "/"+issuer+":"+username {
			t.Errorf("the label is %q of %q", u.Path, uri)
		}
	})
}

// A code is good for its own step and its neighbours, once, and no other is.
func FuzzMatchCode(f *testing.F) {
	f.Add([]byte("12345678901234567890"), "000000", int64(1_800_000_000), int64(0))
	f.Add([]byte("12345678901234567890"), "287082", int64(59), int64(0))
	f.Add([]byte(""), "", int64(-1), int64(1))
	f.Add([]byte("k"), "12345", int64(1)<<40, int64(1)<<60)
	f.Fuzz(func(t *testing.T, key []byte, code string, unix, last int64) {
		if unix < 60 || unix > 1<<40 || len(key) == 0 || len(key) > 256 {
			return
		}
		now, l := time.Unix(unix, 0), fuzzLease(t)
		step := unix / 30
		shown := map[string]int64{}
		for d := int64(-1); d <= 1; d++ {
			shown[account.ShowCode(key, now.Add(time.Duration(d)*account.CodeEvery))] = step + d
		}
		all := []account.Authenticator{{ID: "a", Key: key, LastStep: last}}
		for _, c := range append([]string{code}, account.ShowCode(key, now)) {
			m, found, used, err := account.MatchCode(l, all, c, now)
			want, right := shown[c]
			if err != nil || found != right || right && (used != (m.Step <= last) || m.Step > step+1 || m.Step < step-1) {
				t.Errorf("%q at %d: %+v found %v used %v, %v; want step %d", c, step, m, found, used, err, want)
			}
		}
		if _, _, _, err := account.MatchCode(account.Lease{}, all, code, now); !errors.Is(err, account.ErrNoLease) {
			t.Errorf("without a lease: %v", err)
		}
	})
}

// An imported hash that cannot be read is an error, never a right password, and
// reading one never depends on what was typed. Hashes that ask for more than a
// moment's work are left out, so that many are tried; FuzzCheckHash has them.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{"", "$", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", "$2a$04$......................", "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$5$rounds=1000$saltsalt$", "$6$rounds=1000$saltsalt$x", "$pbkdf2-sha256$1$c2FsdHNhbHQ$aGFzaA", "$scrypt$ln=1,r=1,p=1$c2FsdA$aGFzaA", "$plaintext$test", "$y$j9T$x$y", "{SSHA}x",
		"$argon2id$v=19$m=-1,t=0,p=0$$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", "$pbkdf2$1$$"} {
		f.Add(s, "test")
	}
	h := &account.Hasher{}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if dear(hash) {
			return
		}
		began := time.Now()
		ok, stale, err := h.Verify(t.Context(), fuzzLease(t), hash, []byte(password))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q took %s", hash, took)
		}
		if err != nil && (ok || stale && hash == "") {
			t.Errorf("%q: ok %v, stale %v beside %v", hash, ok, stale, err)
		}
		if hash == "" && ok {
			t.Error("nobody's password was right")
		}
		if !ok {
			return
		}
		if again, _, err := h.Verify(t.Context(), fuzzLease(t), hash, []byte(password+"x")); again && err == nil && len(password) < 72 {
			t.Errorf("%q is right for %q and for that and x", hash, password)
		}
	})
}

// Whatever a hash looks like, reading it ends at once and repeats nothing of it
// but its format; and Verify takes exactly what CheckHash lets in.
func FuzzCheckHash(f *testing.F) {
	for _, i := range imported {
		f.Add(i.hash)
	}
	for _, i := range dearest {
		f.Add(i.hash)
	}
	h := &account.Hasher{}
	f.Fuzz(func(t *testing.T, hash string) {
		err := account.CheckHash(hash)
		if err == nil {
			return
		}
		for _, part := range strings.FieldsFunc(hash, func(r rune) bool { return r == '$' || r == '=' }) {
			if len(part) > 15 && strings.Contains(err.Error(), part) {
				t.Errorf("%q is repeated in %q", part, err)
			}
		}
		ok, _, err := h.Verify(t.Context(), fuzzLease(t), hash, []byte("test"))
		if hash != "" && (ok || err == nil) {
			t.Errorf("%q was verified: %v %v", hash, ok, err)
		}
	})
}

// dear reports whether a hash asks for more than a small effort: any number in
// it that is not part of a salt or digest may be a cost.
func dear(hash string) bool {
	n := 0
	for _, c := range strings.FieldsFunc(hash, func(r rune) bool { return r < '0' || r > '9' }) {
		v, err := strconv.Atoi(c)
		if err != nil || v > 1100 {
			return true
		}
		n += v
	}
	if strings.HasPrefix(hash, "$2") || strings.HasPrefix(hash, "$bcrypt") {
		return !strings.Contains(hash, "$04$") && !strings.Contains(hash, "r=4")
	}
	if strings.Contains(hash, "scrypt") { // 2 to the power of ln
		return !strings.Contains(hash, "ln=1,") || n > 40
	}
	return n > 2000 || len(hash) > 4096
}

// fuzzLease is a lease like that of any attempt, without a store.
func fuzzLease(t *testing.T) account.Lease {
	t.Helper()
	m := &memory{now: time.Unix(1_800_000_000, 0)}
	l, err := account.Guard{Now: m.Now}.Charge(context.Background(), m, account.Attempt{Subject: "a", Factor: account.Password})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
