package provider

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

// said is what an authenticator answered to a page, and what that proves: to that
// page's flow, in time, and once.
type said struct {
	key      *passkeytest.Key
	making   bool
	verified bool
	flow     string
	at       time.Time // of the page
	used     bool
}

// in reports whether it is good in the flow.
func (a *said) in(f *flowFacts, at time.Time) bool {
	return a != nil && f != nil && a.flow == f.id && at.Sub(a.at) < account.PasskeyFor && !a.used
}

type keyRow struct {
	account, credential string
	used                int64
}

func credentialOf(k *passkeytest.Key) string { return hex.EncodeToString(k.ID) }

// passkey has the person answer what a page asks for: with a new passkey where it
// wants one made, and else with one of theirs, or now and then of another.
func (w *world) passkey(r *rand.Rand, page *hit, p *soul) string {
	if page == nil {
		return w.pick(r, "passkey")
	}
	m, flow := passkeyOptions.FindStringSubmatch(page.body), hiddenFlow.FindStringSubmatch(page.body)
	if m == nil || flow == nil {
		return w.pick(r, "passkey")
	}
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	if json.Unmarshal([]byte(html.UnescapeString(m[1])), &o) != nil {
		w.fail("what the browser is asked", "%s", m[1])
	}
	challenge, _ := base64.RawURLEncoding.DecodeString(o.Challenge)
	a := &said{making: strings.Contains(page.body, `data-passkey="create"`), flow: flow[1], at: page.at, verified: r.IntN(3) > 0}
	answer := ""
	if a.making {
		a.key = passkeytest.New("id.example")
		a.key.Handle, _ = base64.RawURLEncoding.DecodeString(o.User.ID)
		answer = a.key.Make(challenge, nil)
	} else if a.key = w.keyOf(r, p); a.key != nil {
		answer = a.key.Use(challenge, func(s *passkeytest.Says) {
			if !a.verified {
				s.Flags &^= passkeytest.Verified
			}
		})
	}
	if a.key == nil {
		return w.pick(r, "passkey")
	}
	w.said[answer] = a
	w.give("passkey", answer)
	return answer
}

// keyOf is one that the person has, or had.
func (w *world) keyOf(r *rand.Rand, p *soul) *passkeytest.Key {
	all := slices.SortedFunc(maps.Values(p.keys), func(a, b *held) int { return a.nth - b.nth })
	if len(all) > 0 && r.IntN(12) > 0 {
		return all[r.IntN(len(all))].key
	}
	if len(w.former) > 0 {
		return w.former[r.IntN(len(w.former))]
	}
	return nil
}

// held is a passkey of a person's.
type held struct {
	nth int
	key *passkeytest.Key
}

// usedKey notes what a passkey proves: something held and, if it knew its person,
// as much as their password does, but to change that.
func (w *world) usedKey(q *hit, f *flowFacts) {
	a := w.said[q.form.Get("passkey")]
	if !a.in(f, q.at) || a.making {
		return
	}
	for _, p := range w.people {
		mine := slices.ContainsFunc(slices.Collect(maps.Values(p.keys)), func(h *held) bool { return h.key == a.key })
		if !mine || f.raises != nil && f.raises.who != p {
			continue
		}
		f.second[p] = append(f.second[p], q.at)
		if a.verified {
			f.pwd[p] = append(f.pwd[p], q.at)
			f.verified[p] = true
		}
	}
}

func (w *world) keysOf(q *hit, p *soul, before, now *state) {
	f := w.bound(q)
	for _, id := range slices.Sorted(maps.Keys(now.keys)) {
		is, was := now.keys[id], before.keys[id]
		switch {
		case is.account != string(p.id):
		case was.account == "":
			w.newKey(q, f, p, id, is)
		case is.used != was.used:
			a := w.said[q.value("passkey")]
			if !a.in(f, q.at) || a.making || credentialOf(a.key) != is.credential {
				w.fail("a passkey is used by its owner, and once", "%s of %s in %s", is.credential, p.name, f)
				return
			}
			a.used = true
			w.seen["passkey used"]++
		}
	}
	for id, was := range before.keys {
		if _, has := now.keys[id]; !has && was.account == string(p.id) {
			w.lostKey(q, p, id)
		}
	}
}

func (w *world) newKey(q *hit, f *flowFacts, p *soul, id string, is keyRow) {
	var a *said
	if q != nil {
		a = w.said[q.form.Get("passkey")]
	}
	if !a.in(f, q.at) || !a.making || credentialOf(a.key) != is.credential || !f.knows(p) || !f.fresh(f.pwd[p]) ||
		w.enrolled(p) && !f.fresh(f.second[p]) {
		w.fail("new passkey", "of %s, in %s", p.name, f)
		return
	}
	a.used = true
	w.passwords++
	p.keys[id] = &held{w.passwords, a.key}
	f.second[p] = append(f.second[p], q.at)
	w.give("id", id)
	w.seen["passkey added"]++
	w.void(p, f, f.raises)
}

func (w *world) lostKey(q *hit, p *soul, id string) {
	w.former = append(w.former, p.keys[id].key)
	delete(p.keys, id)
	if q == nil { // an operator
		w.void(p, nil, nil)
		return
	}
	s := w.live(q.session)
	if q.method != "POST" || q.foreign || q.path != "/account/security/passkeys/remove" || s == nil || s.who != p || !s.second || q.at.Sub(s.auth) >= freshFor {
		w.fail("a passkey is gone", "of %s", p.name)
	}
	if p.required && !w.enrolled(p) {
		w.fail("the last second factor is gone", "of %s", p.name)
	}
	w.seen["passkey removed"]++
	w.void(p, nil, s)
}
