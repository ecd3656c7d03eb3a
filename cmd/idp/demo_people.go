package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// demoPractice is where the demo's staff work.
const demoPractice = "riverside"

var demoLocations = []string{"Riverside Main Street", "Riverside North"}

// seededPerson is one of the demo's people, as the JSON line names them.
type seededPerson struct {
	Email    string `json:"email"`
	Username string `json:"username"`
	Password string `json:"password"`
	TOTP     string `json:"totp_secret"` // "": no second factor
	Role     string `json:"role"`
	Practice string `json:"practice"`

	id, given, middle, family, nickname, gender, born, locale, npi string
}

func demoPeople() []seededPerson {
	staff := func(p seededPerson) seededPerson { p.Practice = demoPractice; return p }
	return []seededPerson{
		staff(seededPerson{id: "demo-owner", Role: "owner", Username: "grace", Email: "grace.okafor@riverside.example",
			Password: "orchid ladder tundra 41", given: "Grace", middle: "Adaeze", family: "Okafor", nickname: "Gray",
			gender: "female", born: "1974-03-09", locale: "en-US", npi: "1234567893"}),
		staff(seededPerson{id: "demo-admin", Role: "admin", Username: "daniel", Email: "daniel.park@riverside.example",
			Password: "copper violin meadow 52", given: "Daniel", middle: "Min-jun", family: "Park", nickname: "Dan",
			gender: "male", born: "1983-11-21", locale: "ko-KR"}),
		staff(seededPerson{id: "demo-front-desk", Role: "front_desk", Username: "camille", Email: "camille.roy@riverside.example",
			Password: "pebble harbor cinnamon 63", given: "Camille", middle: "Anne", family: "Roy", nickname: "Cam",
			gender: "female", born: "1995-06-30", locale: "fr-CA"}),
		staff(seededPerson{id: "demo-billing", Role: "billing", Username: "mateo", Email: "mateo.silva@riverside.example",
			Password: "walnut comet trellis 74", given: "Mateo", middle: "José", family: "Silva", nickname: "Teo",
			gender: "male", born: "1990-01-17", locale: "es-US"}),
		staff(seededPerson{id: "demo-nurse", Role: "front_desk", Username: "nora", Email: "nora.bell@riverside.example",
			Password: "velvet anchor drizzle 07", TOTP: "shown by the demo", given: "Nora", middle: "Jean", family: "Bell", nickname: "Nor",
			gender: "female", born: "1992-04-14", locale: "en-US"}),
		{id: "demo-patient", Username: "ruth.alvarez@mailbox.example", Email: "ruth.alvarez@mailbox.example",
			Password: "lantern saffron otter 85", given: "Ruth", middle: "Elena", family: "Alvarez", nickname: "Ruthie",
			gender: "female", born: "1951-09-02", locale: "en-US"},
		{id: "demo-support", Role: "support", Username: "sam", Email: "sam.lee@medximity.example",
			Password: "quartz bramble ferry 96", TOTP: "shown by the demo", given: "Sam", middle: "Jordan", family: "Lee", nickname: "Sammy",
			gender: "nonbinary", born: "1988-12-05", locale: "en-US"},
		{id: "demo-support-2", Role: "support", Username: "alex", Email: "alex.kim@medximity.example",
			Password: "marble thicket sonata 18", TOTP: "shown by the demo", given: "Alex", middle: "Rowan", family: "Kim", nickname: "Lex",
			gender: "nonbinary", born: "1991-08-23", locale: "en-US"},
	}
}

// claims are all the standard ones that are not fields of their own (OIDC Core
// section 5.1), so that an app sees what it could get.
func (p seededPerson) claims() map[string]any {
	page := "https://riverside.example/people/" + p.id
	c := map[string]any{
		"given_name": p.given, "middle_name": p.middle, "family_name": p.family, "nickname": p.nickname,
		"profile": page, "picture": page + ".png", "website": "https://riverside.example",
		"gender": p.gender, "birthdate": p.born, "zoneinfo": "America/Chicago",
		"updated_at":   time.Date(2026, time.June, 27, 9, 0, 0, 0, time.UTC).Unix(),
		"phone_number": "+1 312 555 0142", "phone_number_verified": true,
		"address": map[string]any{
			"formatted":      "18 River Street\nRiverside, IL 60546\nUSA",
			"street_address": "18 River Street", "locality": "Riverside", "region": "IL",
			"postal_code": "60546", "country": "US",
		},
	}
	if p.npi != "" {
		c["npi"] = p.npi
	}
	return c
}

// demoRecordsScopes are what patients' records want to know of who reads them.
var demoRecordsScopes = []string{"openid", "profile", "email", "practice", "npi"}

// demoClients are the demo's apps. The first is confidential, and is also for
// scripts: it answers to any loopback port, with or without PKCE. The second is
// public, as one on a phone. The third, patients' records, wants two factors.
// The fourth is an attorney's: people are asked what it may see.
var demoClients = [4]ClientConfig{
	{ID: "demo-chart", Name: "Riverside Chart", PKCE: "optional",
		RedirectURIs: []string{"http://127.0.0.1/callback"}, PostLogoutURIs: []string{"http://127.0.0.1/"}},
	{ID: "demo-scheduler", Name: "Riverside Scheduler", Public: true,
		RedirectURIs: []string{"http://127.0.0.1/second/callback"}, PostLogoutURIs: []string{"http://127.0.0.1/second/"}},
	{ID: "demo-records", Name: "Riverside Records", PKCE: "optional", RequireMFA: true, Scopes: demoRecordsScopes,
		RedirectURIs: []string{"http://127.0.0.1/records/callback"}, PostLogoutURIs: []string{"http://127.0.0.1/records/"}},
	{ID: "demo-law", Name: "Harbor Law Files", PKCE: "optional", ThirdParty: true, Scopes: []string{"openid", "profile", "email", "npi"},
		RedirectURIs: []string{"http://127.0.0.1/law/callback"}, PostLogoutURIs: []string{"http://127.0.0.1/law/"}},
}

// seededApp is an app as the JSON line names it.
type seededApp struct {
	ID             string   `json:"client_id"`
	Secret         string   `json:"client_secret"`
	RedirectURIs   []string `json:"redirect_uris"`
	PostLogoutURIs []string `json:"post_logout_redirect_uris"`
}

func seededApps(docs []clientDoc) []seededApp {
	out := make([]seededApp, len(docs))
	for i, d := range docs {
		out[i] = seededApp{d.ID, d.Secret, d.RedirectURIs, d.PostLogoutURIs}
	}
	return out
}

// seedDemo adds the people and apps that are not there yet. It may run as often
// as one likes: what a person changed meanwhile stays.
func seedDemo(ctx context.Context, st *store.Store, ring []byte) ([]clientDoc, error) {
	for _, p := range demoPeople() {
		if err := addSeeded(ctx, st, ring, p); err != nil {
			return nil, err
		}
	}
	var docs []clientDoc
	for _, c := range demoClients {
		secret := ""
		if !c.Public {
			secret = base64.RawURLEncoding.EncodeToString(demoSecret(ring, c.ID))
		}
		c.Secret = Secret(secret)
		sc := c.client().Client
		if old, err := st.Client(ctx, c.ID); err != nil || !sameClient(*old, sc) {
			if err := st.PutClient(ctx, sc, "demo"); err != nil {
				return nil, err
			}
		}
		docs = append(docs, document(sc, secret))
	}
	return docs, nil
}

// demoSecret is known to whoever has the folder, and the same at each start.
func demoSecret(ring []byte, name string) []byte {
	mac := hmac.New(sha256.New, ring)
	mac.Write([]byte(name))
	return mac.Sum(nil)
}

// demoKey is the key of a person's authenticator; nil if they have none.
func (p seededPerson) demoKey(ring []byte) []byte {
	if p.TOTP == "" {
		return nil
	}
	return demoSecret(ring, "authenticator of "+p.id)[:20]
}

// demoStaff are the people with the keys of their authenticators.
func demoStaff(ring []byte) []seededPerson {
	all := demoPeople()
	for i, p := range all {
		if p.TOTP != "" {
			all[i].TOTP = account.KeyText(p.demoKey(ring))
		}
	}
	return all
}

// arrival is the person, with their practice if it is not there yet.
func (p seededPerson) arrival(hash string) store.Import {
	m := store.NewMember{NewPerson: store.NewPerson{
		ID: account.ID(p.id), Practice: account.PracticeID(p.Practice), Role: p.Role,
		Username: p.Username, Email: p.Email, EmailVerified: true,
		Name: p.given + " " + p.middle + " " + p.family, Locale: p.locale, Claims: p.claims(), Hash: hash,
	}}
	in := store.Import{Actor: "demo"}
	if p.Practice != "" {
		riverside := store.NewPractice{ID: demoPractice, Name: "Riverside Family Practice", MayExist: true}
		for _, name := range demoLocations {
			riverside.Locations = append(riverside.Locations, store.NewLocation{Name: name})
		}
		in.Practices, m.Locations = []store.NewPractice{riverside}, demoLocations
	}
	in.People = []store.NewMember{m}
	return in
}

func addSeeded(ctx context.Context, st *store.Store, ring []byte, p seededPerson) error {
	people := store.People{Store: st}
	if _, err := people.Lookup(ctx, directory.ByID, p.id); err == nil {
		return nil // hashing is slow; a restart is quick
	}
	hash, err := new(account.Hasher).Hash(ctx, []byte(p.Password))
	if err != nil {
		return err
	}
	_, wrong, err := st.Import(ctx, p.arrival(hash))
	if len(wrong) > 0 {
		return nil // another demo on this store was quicker
	}
	if key := p.demoKey(ring); err == nil && key != nil {
		_, err = st.BringSecond(ctx, account.ID(p.id), account.NewAuthenticator{Name: "Phone", Key: key}, "demo")
	}
	return err
}
