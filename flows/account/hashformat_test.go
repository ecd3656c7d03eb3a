package account_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
)

// imported are hashes as other systems wrote them. Where no password is said it
// is "correct horse battery", hashed on 2026-11-25 by the program of that name.
var imported = []struct{ name, hash, password string }{
	{"argon2id of the reference implementation (argon2-cffi)", "$argon2id$v=19$m=1024,t=2,p=2$iZdB/yasqWdUgI4dB6weig$e4T7od61pvGR7wqLSrTGGw4TfdZRhGCiquEGTn9QbP0", ""},
	{"argon2i likewise", "$argon2i$v=19$m=1024,t=2,p=2$Ga0cWw9FZ12IgD2ws0qiSA$rtIHb6yRBEZZ4d6XM7Fp1kUqFKyFq9msMHfqnPCe/Oc", ""},
	{"Django 5.2 argon2", "argon2$argon2id$v=19$m=102400,t=2,p=8$bGFudGVybjBsYW50ZXJuMWxhbnRlcg$Ajicx3izGlPS5uDV/X0ApXRRabPzvFrlFhRlIerQNto", ""},

	{"bcrypt of the Python library", "$2a$05$F8Dn7Q1JZCXIO6lm.mdMReZs8N7yOFd2NL8MYDRKtZ1BB/KfMLbg.", ""},
	{"bcrypt of Apache's htpasswd", "$2y$05$AhbwVCvPWrDUsB9RvmQwT.YC4Trukf2md9BCcN03dN79.0EIzgcy2", ""},
	{"bcrypt of Django's library", "$2b$05$5sE6MdinB3VoSbk0YtGNp.lT/f/wJktFjincIqMq54xikkmI0d0bi", ""},
	{"Django 5.2 bcrypt", "bcrypt$$2b$05$5sE6MdinB3VoSbk0YtGNp.lT/f/wJktFjincIqMq54xikkmI0d0bi", ""},
	{"Django 5.2 bcrypt_sha256", "bcrypt_sha256$$2b$05$q6ZuwgJIg1LrrzGNAWzTh.2gHchhP4wSwaUVVANGQm6.1Ig3A3YRy", ""},

	{"Django 5.2 pbkdf2_sha256", "pbkdf2_sha256$10000$lantern0lantern1lanter$Nh/YzS7PesGvFKI1aCaWi7aef2DXonnCUynIDEtkvQ0=", ""},
	{"Django 5.2 pbkdf2_sha1", "pbkdf2_sha1$10000$lantern0lantern1lanter$28pxcRfygbKI5NcV4dOQkXODpdk=", ""},
	{"passlib 1.7 pbkdf2_sha1", "$pbkdf2$10000$QcjZGyMEwPi/t1aqtbb2vg$B/9RblY6fUlPAETEJfQuxEFAxAc", ""},
	{"passlib 1.7 pbkdf2_sha256", "$pbkdf2-sha256$10000$r7UWgtCaUwqBkNJa652z1g$KXeatH9BkZFpAiyMJLzL7fKQqDIVXf0NyQeeXDXgHtY", ""},
	{"passlib 1.7 pbkdf2_sha512", "$pbkdf2-sha512$10000$Z.zd25uTkrK2tnYuJQSgFA$Z2K2GZDVIkRahBKfrVvxnDi5U.xzA2BEzdgzXHKOL5a9lsLOx26nEKMvEZ5n9.MP6eOzBlX3nHSDkFr6rLGXew", ""},
	{"PBKDF2 with i= and l=, a vector of ory/kratos", "$pbkdf2-sha256$i=100000,l=32$1jP+5Zxpxgtee/iPxGgOz0RfE9/KJuDElP1ley4VxXc$QJxzfvdbHYBpydCbHoFg3GJEqMFULwskiuqiJctoYpI", "test"},
	{"Keycloak's defaults, by node:crypto: 27,500 of SHA-256, 64 bytes", "$pbkdf2-sha256$i=27500$bGFudGVybjBsYW50ZXJuMQ==$ZowxfAdaFAqGgAO771UUtUBtJ3+kkUbNi8q5BvZTjnD//+mUC2Kd/kWm3Evv3A9ZEzGG3DwiXcysTDRqFN1o1Q==", ""},
	{"the same with SHA-512", "$pbkdf2-sha512$i=10000$bGFudGVybjBsYW50ZXJuMQ==$WJY4ox0ZsxnlNuDQDqlmPzavdPPOvNfzVTjF5MP/bUmsfC19LIUR3SYgcz3/krGSKwGlLkIINheFihD/zdnuxg==", ""},
	{"RFC 6070, its third vector", "$pbkdf2-sha1$4096$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE", "password"},
	{"ASP.NET Core Identity 3, SHA-1, of its own tests", "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M", "my password"},
	{"ASP.NET Core Identity 3, SHA-256, of its own tests", "AQAAAAEAA9CQAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=", "my password"},
	{"ASP.NET Core Identity 3, SHA-512, of its own tests", "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw", "my password"},
	{"the same in the defaults of .NET 8, by Python's hashlib", "AQAAAAIAAYagAAAAEGxhbnRlcm4wbGFudGVybjGsdSRzpNqKoeOcsy6vFbG/qYcRfeVYV1c0e2uL74KTAw==", ""},

	{"RFC 7914 section 12, its third vector", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw", "pleaseletmein"},
	{"scrypt of node:crypto", "$scrypt$ln=14,r=8,p=1$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU", ""},
	{"passlib 1.7 scrypt", "$scrypt$ln=14,r=8,p=1$5BwjBGAMoZTSWgtBKIXwng$EMlcgIxtt/0PZZOxQGvP82dtVokLxeEDZhuV9WjX+mQ", ""},
	{"Django 5.2 scrypt", "scrypt$16384$lantern0lantern1lanter$8$5$w+Iud382fRZzfYmIE6NUQ15c9eKwA2BwbYxG9eu+dYYQOQZSZ4rc+Ika7UAHe4cCu/9imeX6cgXPgi7vG2jzMQ==", ""},

	{"sha512-crypt of openssl passwd -6", "$6$lanternlantern$/GiybLREHTl9oqYuycKTI3k19mbd8TiDWWGzMdfs3pgO0Da9Cr7XcL5q9d0w6Enn2fXhhS9XXNGc5B8Q5Erow1", ""},
	{"sha512-crypt of passlib 1.7, with rounds", "$6$rounds=10000$5va7TaSuU0NDMXxx$6K.YfvkGkixv1O55ASkkyLQABQR9t8wtnvzwHryCu6pqNj72U5Mkmf.rY8c9gw.qhor.GknUCcttnKja5499V0", ""},
	{"sha256-crypt of openssl passwd -5", "$5$lanternlantern$9.mZpBuc2MHQAJtJZ4HvLoRS2UUSyKab1ymVZTCrD37", ""},
	{"{CRYPT} of passlib 1.7", "{CRYPT}$6$Z36Ezy4teoep.Yz9$Vs0hFX2bhh3KNAm75OLDSaQIMuC4XU23YfP9rZGFULTkZGsQqpKJkubGR4iDQc5PDn3crR//XTKQ3JiVfGle2.", ""},
	{"{SSHA} of passlib 1.7, a salt of 4 bytes", "{SSHA}rjBQO2owgxPL0FB5XnixN1yqf+wj5Bwj", ""},
	{"{SSHA}, a vector of ory/kratos", "{SSHA}JFZFs0oHzxbMwkSJmYVeI8MnTDy/276a", "test123"},
	{"{SSHA256} of passlib 1.7", "{SSHA256}whldSQ1qhI2rtoi2W4BCxGiZ8OvRUKME0oWWutX3j/UPQcgZQ4gRog==", ""},
	{"{SSHA512} of passlib 1.7", "{SSHA512}LnE0K8lFg1UWZgnQPxl1rKvuQ+HZ6Y1xetz4aVDyq7K3WsV2WBVqdkE0ySXYgsEXRIzndyr90FS/a1g9tVZpBBxDaC2FkLI2", ""},
}

// What another system hashed is right here for that password and no other, and
// is to be made anew.
func TestImportedHashes(t *testing.T) {
	h := &account.Hasher{}
	for _, tt := range imported {
		t.Run(tt.name, func(t *testing.T) {
			if tt.password == "" {
				tt.password = "correct horse battery"
			}
			if err := account.CheckHash(tt.hash); err != nil {
				t.Fatal(err)
			}
			for _, typed := range []string{tt.password, tt.password + "x"} {
				ok, stale, err := h.Verify(t.Context(), lease(t), tt.hash, []byte(typed))
				if err != nil || ok != (typed == tt.password) || !stale {
					t.Errorf("%q: ok %v, stale %v, error %v", typed, ok, stale, err)
				}
			}
		})
	}
}

const bcryptTail = "$o6hx.Wog/wvFSkT/Bp/6DOxCtLRTDj7lm9on9suF/WaCGNVHbkfL6"

// What costs too much, or is no such hash, is refused by CheckHash and by
// Verify alike, before anything is computed, and nobody is told of what.
func TestHashesThatAreRefused(t *testing.T) {
	const salt, result = "bGFudGVybjBsYW50ZXJuMQ", "2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU"
	h := &account.Hasher{}
	for _, tt := range []struct{ name, hash, want string }{
		{"a password", "correct horse battery", "not a password hash"},
		{"a word", "secret", "not a password hash"},
		{"MD5", "5f4dcc3b5aa765d61d8327deb882cf99", "not a password hash"},
		{"md5-crypt", "$1$lantern$SN6/pUaRQS/E8Jh46As2C/", "not a password hash"},
		{"SHA-1 without salt", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "not a password hash"},
		{"yescrypt", "$y$j9T$x$y", "not a password hash"},
		{"argon2d", "$argon2d$v=19$m=1024,t=2,p=2$" + salt + "$" + result, "not a password hash"},
		{"plain", "$plaintext$test", "not a password hash"},
		{"the faulty bcrypt of old", "$2x$12" + bcryptTail, "not a password hash"},
		{"with a line break", "$2a$12" + bcryptTail + "\n", "not a password hash"},
		{"too long a text", "{SSHA}" + strings.Repeat("A", 2000), "not a password hash"},
		{"ASP.NET Identity v2", "AFcg3t2gm81Guu+i08t6u4Hm00M1COvYfXvX8jwHMIBxS0sVsj6UHkk2qww8l4x/QA==", "not a password hash"},

		{"bcrypt, dear", "$2a$15" + bcryptTail, "bcrypt: a cost over 14"},
		{"bcrypt, dearest", "$2b$31" + bcryptTail, "bcrypt: a cost over 14"},
		{"bcrypt, too cheap to be", "$2a$03" + bcryptTail, "bcrypt: is malformed"},
		{"bcrypt, cut", "$2a$12" + bcryptTail[:50], "bcrypt: is malformed"},
		{"bcrypt, of other letters", "$2a$12" + bcryptTail[:53] + "!", "bcrypt: is malformed"},

		{"argon2id, memory", "$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + result, "argon2id: KiB of memory over 262144"},
		{"argon2id, memory beyond any number", "$argon2id$v=19$m=99999999999999999999,t=1,p=1$" + salt + "$" + result, "argon2id: KiB of memory over 262144"},
		{"argon2id, passes", "$argon2id$v=19$m=262144,t=5,p=1$" + salt + "$" + result, "argon2id: passes over that memory over 4"},
		{"argon2id, lanes", "$argon2id$v=19$m=1024,t=1,p=17$" + salt + "$" + result, "argon2id: lanes over 16"},
		{"argon2id, no passes", "$argon2id$v=19$m=1024,t=0,p=1$" + salt + "$" + result, "argon2id: is malformed"},
		{"argon2id, twice the same", "$argon2id$v=19$m=1024,t=1,t=1$" + salt + "$" + result, "argon2id: is malformed"},
		{"argon2id, before its version", "$argon2id$m=1024,t=1,p=1$" + salt + "$" + result, "argon2id: is malformed"},
		{"argon2id, a short result", "$argon2id$v=19$m=1024,t=1,p=1$" + salt + "$" + result[:20], "argon2id: has a salt or a result that is too short"},
		{"argon2id, a short salt", "$argon2id$v=19$m=1024,t=1,p=1$bGF$" + result, "argon2id: has a salt or a result that is too short"},

		{"pbkdf2, iterations", "$pbkdf2-sha256$i=6000001$" + salt + "$" + result, "pbkdf2-sha256: iterations over 6000000"},
		{"pbkdf2, a long result", "$pbkdf2-sha256$i=3000001$" + salt + "$" + result + result, "pbkdf2-sha256: iterations for a result of that length over 3000000"},
		{"pbkdf2, none", "$pbkdf2-sha256$i=0$" + salt + "$" + result, "pbkdf2-sha256: is malformed"},
		{"pbkdf2, no number", "$pbkdf2-sha512$i=many$" + salt + "$" + result, "pbkdf2-sha512: is malformed"},
		{"Django's pbkdf2, less than none", "pbkdf2_sha256$-1$" + salt + "$" + result, "Django's pbkdf2_sha256: is malformed"},
		{"Django's pbkdf2, no salt", "pbkdf2_sha256$1000$$" + result, "Django's pbkdf2_sha256: has a salt or a result that is too short"},
		{"ASP.NET, iterations", "AQAAAAH/////AAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw", "ASP.NET Identity v3: iterations for a result of that length over 6000000"},
		{"ASP.NET, a fourth hash", "AQAAAAMAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw", "ASP.NET Identity v3: is malformed"},
		{"ASP.NET, a salt longer than all", "AQAAAAIAAAAy/////+MwvR3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw", "ASP.NET Identity v3: is malformed"},
		{"ASP.NET, cut", "AQAAAAIAAAAy", "ASP.NET Identity v3: is malformed"},

		{"scrypt, N", "$scrypt$ln=30,r=8,p=1$" + salt + "$" + result, "scrypt: a logarithm of N over 20"},
		{"scrypt, memory", "$scrypt$ln=19,r=8,p=1$" + salt + "$" + result, "scrypt: over 256 MiB of memory by lanes"},
		{"scrypt, work", "$scrypt$ln=18,r=8,p=2$" + salt + "$" + result, "scrypt: over 256 MiB of memory by lanes"},
		{"scrypt, a block", "$scrypt$ln=4,r=65,p=1$" + salt + "$" + result, "scrypt: a block size over 64"},
		{"Django's scrypt, N no power", "scrypt$16385$" + salt + "$8$1$" + result, "Django's scrypt: is malformed"},

		{"sha512-crypt, rounds", "$6$rounds=800001$lantern$" + strings.Repeat("a", 86), "sha512-crypt: rounds over 800000"},
		{"sha512-crypt, fewer than there can be", "$6$rounds=999$lantern$" + strings.Repeat("a", 86), "sha512-crypt: is malformed"},
		{"sha512-crypt, locked", "$6$lantern$!", "sha512-crypt: is malformed"},
		{"sha512-crypt, in another", "{CRYPT}{CRYPT}$6$lantern$" + strings.Repeat("a", 86), "not a password hash"},
		{"{SSHA}, no salt", "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SSHA}: has a salt or a result that is too short"},
		{"{SSHA256}, cut", "{SSHA256}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SSHA256}: has a salt or a result that is too short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := account.CheckHash(tt.hash)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("told %v, not %s", err, tt.want)
			}
			before := h.Verified()
			if ok, _, err := h.Verify(t.Context(), lease(t), tt.hash, []byte("test")); ok || err == nil {
				t.Errorf("verified: ok %v, error %v", ok, err)
			}
			if h.Verified() != before {
				t.Error("and something was judged")
			}
		})
	}
	if err := account.CheckHash(""); !errors.Is(err, account.ErrHashFormat) {
		t.Errorf("no hash at all: %v", err)
	}
}

// Nobody signs in with the beginning of a password that the old system cut off,
// or with more than is worth its time.
func TestNothingIsTruncated(t *testing.T) {
	const cut = "$2a$05$/OK.fbVrR/bpIqNJ5ianF.swQOIzjOiJ9GHEPuhEkvqrUyvWhEMx6" // crypt_blowfish's, of 72 times 0xaa and more
	long := strings.Repeat("\xaa", 72)
	h := &account.Hasher{}
	for _, tt := range []struct {
		name, typed string
		ok          bool
	}{{"72 bytes", long, true}, {"73 bytes", long + "x", false}} {
		ok, _, err := h.Verify(t.Context(), lease(t), cut, []byte(tt.typed))
		if ok != tt.ok || err != nil {
			t.Errorf("%s: ok %v, error %v", tt.name, ok, err)
		}
	}
}

// The dearest of each kind that is still let in.
var dearest = []struct{ name, hash string }{
	{"bcrypt", "$2a$14" + bcryptTail},
	{"argon2id", "$argon2id$v=19$m=262144,t=4,p=1$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU"},
	{"pbkdf2-sha1", "$pbkdf2$6000000$bGFudGVybjBsYW50ZXJuMQ$SwB5AbdlSJqr7Um3IdBloCnBp8E"},
	{"pbkdf2-sha256", "$pbkdf2-sha256$6000000$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU"},
	{"pbkdf2-sha512", "$pbkdf2-sha512$2000000$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU"},
	{"scrypt", "$scrypt$ln=18,r=8,p=1$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU"},
	{"sha512-crypt", "$6$rounds=800000$lantern$" + strings.Repeat("a", 86)},
	{"sha256-crypt", "$5$rounds=800000$lantern$" + strings.Repeat("a", 43)},
}

func BenchmarkDearest(b *testing.B) {
	g, m := newGuard()
	l, err := g.Charge(b.Context(), m, attempt)
	if err != nil {
		b.Fatal(err)
	}
	h := &account.Hasher{}
	for _, bb := range dearest {
		for size, typed := range map[string]string{"short": "correct horse battery", "long": strings.Repeat("long", 64)} {
			b.Run(bb.name+"/"+size, func(b *testing.B) {
				for b.Loop() {
					if _, _, err := h.Verify(b.Context(), l, bb.hash, []byte(typed)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
