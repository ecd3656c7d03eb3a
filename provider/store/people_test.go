package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/argon2"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func TestLookup(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.ok(r.AddPractice(ctx, "acme", "Acme"))
		if err := r.AddPractice(ctx, "acme", "Acme"); err != store.ErrDuplicate {
			r.Errorf("twice: %v", err)
		}
		id, err := r.AddPerson(ctx, store.NewPerson{Practice: "acme", Role: "owner", Username: "Ann.Lee",
			Email: "Ann@Example.com", Name: "Ann Lee", Locale: "ko", MustChange: true,
			Claims: map[string]any{"phone_number": "+1"}, Hash: "h"}, "op")
		r.ok(err)
		p := store.People{Store: r.Store}
		for _, c := range []struct {
			name  string
			by    directory.By
			value string
			want  error
		}{
			{"username", directory.ByIdentifier, account.Normalise("ANN.LEE"), nil},
			{"address", directory.ByIdentifier, account.Normalise("ann@example.com"), nil},
			{"as an address", directory.ByEmail, account.Normalise("ann@example.com"), nil},
			{"a username is no address", directory.ByEmail, account.Normalise("ann.lee"), directory.ErrNotFound},
			{"id", directory.ByID, string(id), nil},
			{"nobody", directory.ByIdentifier, "nobody", directory.ErrNotFound},
		} {
			e, err := p.Lookup(ctx, c.by, c.value)
			if err != c.want {
				r.Errorf("%s: %v", c.name, err)
				continue
			}
			if err == nil && (e.ID != id || e.Practice != "acme" || e.Email != "Ann@Example.com" ||
				e.Claims["phone_number"] != "+1" || !e.MustChange || e.Handle != "h") {
				r.Errorf("%s: %+v", c.name, e)
			}
		}
		if n := len(r.told(account.AccountAdded)); n != 1 {
			r.Errorf("told %d times", n)
		}
	})
}

// One namespace: nobody's username is somebody else's address.
func TestIdentifiersAreUnique(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		_, err := r.AddPerson(ctx, store.NewPerson{ID: "1", Username: "ann", Email: "ann@example.com"}, "op")
		r.ok(err)
		for _, n := range []store.NewPerson{
			{Username: "ANN", Email: "other@example.com"},
			{Username: "other", Email: "Ann@Example.com"},
			{Username: "ann@example.com", Email: "other@example.com"},
			{ID: "1", Username: "other", Email: "other@example.com"},
		} {
			if _, err := r.AddPerson(ctx, n, "op"); err != store.ErrDuplicate {
				r.Errorf("%+v: %v", n, err)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM people"); n != 1 {
			r.Errorf("%d people", n)
		}
		_, err = r.AddPerson(ctx, store.NewPerson{Username: "bob@example.com", Email: "bob@example.com"}, "op")
		r.ok(err) // one key for both
	})
}

func TestVerifyPassword(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		h := &account.Hasher{}
		p := store.People{Store: r.Store, Hasher: h}
		hash, err := h.Hash(ctx, []byte("correct horse battery"))
		r.ok(err)
		id, err := r.AddPerson(ctx, store.NewPerson{Username: "ann", Email: "ann@example.com", Hash: hash}, "op")
		r.ok(err)
		e, err := p.Lookup(ctx, directory.ByID, string(id))
		r.ok(err)
		l := r.charge(attempt(id))
		stranger := r.charge(account.Attempt{Subject: "shadow", Shadow: true, Factor: account.Password})
		disabled := *e
		disabled.Disabled = true
		for _, c := range []struct {
			name     string
			lease    account.Lease
			e        *directory.Entry
			password string
			want     directory.Verdict
			err      error
		}{
			{"right", l, e, "correct horse battery", directory.OK, nil},
			{"wrong", l, e, "correct horse batterz", directory.Wrong, nil},
			{"disabled", l, &disabled, "correct horse battery", directory.Disabled, nil},
			{"nobody", stranger, nil, "correct horse battery", directory.NoSuchUser, nil},
			{"no lease", account.Lease{}, e, "correct horse battery", directory.Wrong, account.ErrNoLease},
			{"another's lease", stranger, e, "correct horse battery", directory.Wrong, account.ErrNoLease},
		} {
			before := h.Verified()
			got, err := p.VerifyPassword(ctx, c.lease, c.e, []byte(c.password))
			if got != c.want || err != c.err {
				r.Errorf("%s: %v %v", c.name, got, err)
			}
			if n := h.Verified() - before; (c.err == nil) != (n == 1) {
				r.Errorf("%s: %d verifications", c.name, n)
			}
		}
	})
}

// A hash that another system made is made anew from a right password, and only
// from that.
func TestOldHashIsRenewed(t *testing.T) {
	weak, err := argon2.New(argon2.WithVariantID(), argon2.WithM(8<<10), argon2.WithT(1), argon2.WithP(1))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := weak.Hash("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		p := store.People{Store: r.Store, Hasher: &account.Hasher{}}
		id, err := r.AddPerson(ctx, store.NewPerson{Username: "ann", Email: "ann@example.com", Hash: digest.Encode()}, "op")
		r.ok(err)
		e, err := p.Lookup(ctx, directory.ByID, string(id))
		r.ok(err)
		l := r.charge(attempt(id))
		for _, c := range []struct {
			password string
			renewed  bool
		}{{"wrong horse battery", false}, {"correct horse battery", true}} {
			if _, err := p.VerifyPassword(ctx, l, e, []byte(c.password)); err != nil {
				r.Fatal(err)
			}
			now, err := p.Lookup(ctx, directory.ByID, string(id))
			r.ok(err)
			if renewed := now.Handle != e.Handle; renewed != c.renewed || now.Version != e.Version {
				r.Errorf("%s: renewed %v, version %s", c.password, renewed, now.Version)
			}
		}
	})
}

// So is one of any format that people bring along. What each is of, and where it
// is from, is in flows/account/hashformat_test.go.
func TestImportedHashesAreRenewed(t *testing.T) {
	imported := []string{
		"$argon2i$v=19$m=1024,t=2,p=2$Ga0cWw9FZ12IgD2ws0qiSA$rtIHb6yRBEZZ4d6XM7Fp1kUqFKyFq9msMHfqnPCe/Oc",
		"$2y$05$AhbwVCvPWrDUsB9RvmQwT.YC4Trukf2md9BCcN03dN79.0EIzgcy2",
		"bcrypt_sha256$$2b$05$q6ZuwgJIg1LrrzGNAWzTh.2gHchhP4wSwaUVVANGQm6.1Ig3A3YRy",
		"pbkdf2_sha256$10000$lantern0lantern1lanter$Nh/YzS7PesGvFKI1aCaWi7aef2DXonnCUynIDEtkvQ0=",
		"$pbkdf2$10000$QcjZGyMEwPi/t1aqtbb2vg$B/9RblY6fUlPAETEJfQuxEFAxAc",
		"$pbkdf2-sha512$i=10000$bGFudGVybjBsYW50ZXJuMQ==$WJY4ox0ZsxnlNuDQDqlmPzavdPPOvNfzVTjF5MP/bUmsfC19LIUR3SYgcz3/krGSKwGlLkIINheFihD/zdnuxg==",
		"AQAAAAIAAYagAAAAEGxhbnRlcm4wbGFudGVybjGsdSRzpNqKoeOcsy6vFbG/qYcRfeVYV1c0e2uL74KTAw==",
		"$scrypt$ln=14,r=8,p=1$bGFudGVybjBsYW50ZXJuMQ$2EoMO9S7H/5QJDl2cb1sZ2RSUO4fa8Y157MEOUJZfoU",
		"$5$lanternlantern$9.mZpBuc2MHQAJtJZ4HvLoRS2UUSyKab1ymVZTCrD37",
		"$6$lanternlantern$/GiybLREHTl9oqYuycKTI3k19mbd8TiDWWGzMdfs3pgO0Da9Cr7XcL5q9d0w6Enn2fXhhS9XXNGc5B8Q5Erow1",
		"{SSHA}rjBQO2owgxPL0FB5XnixN1yqf+wj5Bwj",
		"{SSHA512}LnE0K8lFg1UWZgnQPxl1rKvuQ+HZ6Y1xetz4aVDyq7K3WsV2WBVqdkE0ySXYgsEXRIzndyr90FS/a1g9tVZpBBxDaC2FkLI2",
	}
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		p := store.People{Store: r.Store, Hasher: &account.Hasher{}}
		for n, hash := range imported {
			id, err := r.AddPerson(ctx, store.NewPerson{Username: fmt.Sprint(n), Email: fmt.Sprint(n, "@example.com"), Hash: hash}, "op")
			r.ok(err)
			for _, c := range []struct {
				password string
				want     directory.Verdict
				renewed  bool
			}{
				{"correct horse batterz", directory.Wrong, false},
				{"correct horse battery", directory.OK, true},
				{"correct horse battery", directory.OK, true}, // by the new hash
			} {
				got, err := p.VerifyPassword(ctx, r.charge(attempt(id)), r.entry(id), []byte(c.password))
				if got != c.want || err != nil {
					r.Errorf("%s, %s: %v %v", hash, c.password, got, err)
				}
				if now := string(r.entry(id).Handle); strings.HasPrefix(now, "$argon2id$") != c.renewed {
					r.Errorf("%s, %s: now it is %s", hash, c.password, now)
				}
			}
		}
	})
}
