package provider

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
)

// challenge is what a page wants a passkey to sign.
func (a answer) challenge(t testing.TB) []byte {
	t.Helper()
	var o struct{ Challenge string }
	if err := json.Unmarshal([]byte(a.options(t)), &o); err != nil {
		t.Fatal(err)
	}
	b, err := base64.RawURLEncoding.DecodeString(o.Challenge)
	if err != nil || len(b) != 32 {
		t.Fatalf("a challenge of %d bytes: %v", len(b), err)
	}
	return b
}

// uses answers the page with the key.
func (p *person) uses(k *passkeytest.Key, page answer, lie func(*passkeytest.Says)) answer {
	p.h.t.Helper()
	return p.post("/login/passkey", "flow", page.flow(), "passkey", k.Use(page.challenge(p.h.t), lie))
}

// enrolled is somebody who has a passkey, and the browser in which it was made.
func (h *house) enrolled(name string) (*passkeytest.Key, *person) {
	h.t.Helper()
	k, b := passkeytest.New("id.example"), h.browser()
	b.signIn(b.get("/login"), name, rightPassword)
	if page := b.makes(k); !strings.Contains(page.text, "The passkey is added.") {
		h.t.Fatalf("%d:\n%s", page.StatusCode, page.text)
	}
	return k, b
}

// makes has whoever is signed in add the key.
func (p *person) makes(k *passkeytest.Key) answer {
	p.h.t.Helper()
	return p.saves(p.sets(k, p.post("/account/security/passkeys")))
}

// sets answers the page on which a passkey is made.
func (p *person) sets(k *passkeytest.Key, page answer) answer {
	p.h.t.Helper()
	var o struct{ User struct{ ID string } }
	p.h.ok(json.Unmarshal([]byte(page.options(p.h.t)), &o))
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	p.h.ok(err)
	k.Handle = handle
	return p.post("/login/set-up-passkey", "flow", page.flow(), "name", "Laptop", "passkey", k.Make(page.challenge(p.h.t), nil))
}

// saves says that the backup codes are saved, if they are shown.
func (p *person) saves(page answer) answer {
	p.h.t.Helper()
	if strings.Contains(page.text, `name="saved"`) {
		page = p.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	}
	return page
}

// counters are all that an account's guard counts, and what is proven of it.
func (h *house) counters(id string) (row string) {
	h.t.Helper()
	h.ok(h.inDBRow(`SELECT password_failed || ' ' || password_charged || ' ' || password_wrong || ' ' || code_failed || ' ' ||
		code_charged || ' ' || code_wrong || ' ' || locks || ' ' || locked_until || ' ' || epoch FROM guards WHERE subject = ?`, &row, id))
	return row
}

// lastRefusal is the newest row of the trail that tells of a passkey.
func (h *house) lastRefusal() (n int, reason, subject string) {
	h.t.Helper()
	var row string
	h.ok(h.inDBRow(`SELECT COUNT(*) || ' ' || COALESCE((SELECT reason || ' ' || subject FROM audit WHERE kind = 'passkey_refused'
		ORDER BY id DESC LIMIT 1), ' ') FROM audit WHERE kind = 'passkey_refused'`, &row))
	_, _ = fmt.Sscan(row, &n)
	parts := strings.SplitN(row, " ", 3)
	return n, parts[1], parts[2]
}

// metric is the value of one line of the metrics; 0 if there is none.
func (h *house) metric(name string) (v float64) {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.Operator().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "medximity_idp_"+name+" "); ok {
			_, err := fmt.Sscan(rest, &v)
			h.ok(err)
		}
	}
	return v
}

const (
	didNotWork = "The passkey did not work."
	tooLate    = "That took too long."
	unknownKey = "That passkey does not belong to an account here, or was removed."
)

// badKey is one way in which an answer is wrong.
type badKey struct {
	name    string
	cause   account.Reason
	words   string
	subject string // in the trail; "" for nobody, as nothing says whose it would be
	lie     func(*passkeytest.Says)
	answer  func(k *passkeytest.Key, page answer) string // instead of a lie
}

func says(name string, value any) func(*passkeytest.Says) {
	return func(s *passkeytest.Says) { s.Client[name] = value }
}

func badKeys(h *house, edith *passkeytest.Key) []badKey {
	const grace = "id-grace"
	return []badKey{
		{name: "made, not used", cause: account.PasskeyType, subject: grace, lie: says("type", "webauthn.create")},
		{name: "a challenge of nobody's", cause: account.PasskeyChallenge, lie: says("challenge", strings.Repeat("A", 43))},
		{name: "no challenge", cause: account.PasskeyChallenge, lie: says("challenge", "")},
		{name: "a challenge cut", cause: account.PasskeyChallenge, answer: func(k *passkeytest.Key, page answer) string {
			return k.Use(page.challenge(h.t)[:31], nil)
		}},
		{name: "another flow's challenge", cause: account.PasskeyChallenge, answer: func(k *passkeytest.Key, _ answer) string {
			return k.Use(h.browser().get("/login").challenge(h.t), nil)
		}},
		{name: "another origin", cause: account.PasskeyOrigin, subject: grace, lie: says("origin", "https://id.example.evil.example")},
		{name: "a sub-domain", cause: account.PasskeyOrigin, subject: grace, lie: says("origin", "https://pay.id.example")},
		{name: "plain HTTP", cause: account.PasskeyOrigin, subject: grace, lie: says("origin", "http://id.example")},
		{name: "another port", cause: account.PasskeyOrigin, subject: grace, lie: says("origin", "https://id.example:8443")},
		{name: "in a frame", cause: account.PasskeyCross, subject: grace, lie: says("crossOrigin", true)},
		{name: "under another page", cause: account.PasskeyCross, subject: grace, lie: says("topOrigin", "https://evil.example")},
		{name: "for another party", cause: account.PasskeyParty, subject: grace, lie: func(s *passkeytest.Says) { s.Party = "evil.example" }},
		{name: "touched by nobody", cause: account.PasskeyPresence, subject: grace, lie: func(s *passkeytest.Says) { s.Flags = passkeytest.Verified }},
		{name: "a bit of the signature", cause: account.PasskeySignature, subject: grace, lie: func(s *passkeytest.Says) {
			s.Spoil = func(b []byte) { b[len(b)-1] ^= 1 }
		}},
		{name: "another's signature", cause: account.PasskeySignature, subject: grace, lie: func(s *passkeytest.Says) { s.Signer = edith.Signer }},
		{name: "a credential that nobody has", cause: account.PasskeyUnknown, words: unknownKey, lie: func(s *passkeytest.Says) { s.ID = bytes.Repeat([]byte{1}, 32) }},
		{name: "Edith's credential, Grace's handle", cause: account.PasskeyForeign, subject: "id-edith", words: unknownKey, lie: func(s *passkeytest.Says) { s.ID = edith.ID }},
		{name: "Edith's handle", cause: account.PasskeyForeign, subject: grace, words: unknownKey, lie: func(s *passkeytest.Says) { s.Handle = edith.Handle }},
		{name: "Edith's credential, signed by Grace's", cause: account.PasskeySignature, subject: "id-edith", lie: func(s *passkeytest.Says) { s.ID, s.Handle = edith.ID, nil }},
		{name: "it can be synced all at once", cause: account.PasskeyFlags, subject: grace, lie: func(s *passkeytest.Says) { s.Flags |= passkeytest.Eligible }},
		{name: "cut in the middle", cause: account.PasskeyMalformed, answer: func(k *passkeytest.Key, page answer) string {
			a := k.Use(page.challenge(h.t), nil)
			return a[:len(a)/2]
		}},
		{name: "no base64", cause: account.PasskeyMalformed, answer: func(k *passkeytest.Key, page answer) string {
			return strings.Replace(k.Use(page.challenge(h.t), nil), `"signature":"`, `"signature":"*`, 1)
		}},
		{name: "data too short", cause: account.PasskeyMalformed, answer: func(k *passkeytest.Key, page answer) string {
			return strings.Replace(k.Use(page.challenge(h.t), nil), `"authenticatorData":"`, `"authenticatorData":"AAAA","x":"`, 1)
		}},
	}
}

// Whatever is wrong with a passkey, nobody is signed in, the page says that it did
// not work, the trail says why, and nothing of the account moves: not a counter,
// and not what was proven before.
func TestRefusedPasskeys(t *testing.T) {
	h := newHouse(t, "https://id.example")
	grace, at := h.enrolled("grace")
	edith, _ := h.enrolled("edith")
	before := h.counters("id-grace") + h.counters("id-edith")
	for _, c := range badKeys(h, edith) {
		t.Run(c.name, func(t *testing.T) {
			counter := fmt.Sprintf(`passkeys_refused_total{cause="%s"}`, c.cause)
			rows, was := first(h.lastRefusal()), h.metric(counter)
			b := h.browser()
			page := b.get("/login")
			var got answer
			if c.answer != nil {
				got = b.post("/login/passkey", "flow", page.flow(), "passkey", c.answer(grace, page))
			} else {
				got = b.uses(grace, page, c.lie)
			}
			if words := cmp.Or(c.words, didNotWork); got.StatusCode != 422 || !strings.Contains(got.text, words) || b.cookie("session") != "" {
				t.Errorf("%d, want 422 and %q:\n%s", got.StatusCode, words, got.text)
			}
			n, reason, subject := h.lastRefusal()
			if n != rows+1 || reason != string(c.cause) || subject != c.subject {
				t.Errorf("the trail has %d rows more, the last %q of %q; want %q of %q", n-rows, reason, subject, c.cause, c.subject)
			}
			if now := h.metric(counter); now != was+1 {
				t.Errorf("%s went from %v to %v", counter, was, now)
			}
			if page := b.uses(grace, got, nil); b.cookie("session") == "" {
				t.Errorf("and then the truth: %d\n%s", page.StatusCode, page.text)
			}
		})
	}
	if after := h.counters("id-grace") + h.counters("id-edith"); after != before {
		t.Errorf("the guards went from %s to %s", before, after)
	}
	if page := at.get("/account/security"); page.StatusCode != 200 {
		t.Errorf("a session that was there: %d", page.StatusCode)
	}
}

func first(n int, _, _ string) int { return n }

// A challenge is good for five minutes to the second, and for one sign-in.
func TestAPasskeyChallengeIsGoodForFiveMinutesAndOnce(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	start := h.Store.Now().Truncate(time.Second)
	at := func(d time.Duration) { h.engine.Now = func() time.Time { return start.Add(d) } }
	for _, c := range []struct {
		after time.Duration
		good  bool
	}{{4*time.Minute + 59*time.Second + 999*time.Millisecond, true}, {5 * time.Minute, false}, {time.Hour - time.Second, false}} {
		b := h.browser()
		at(0)
		page := b.get("/login")
		at(c.after)
		answered := k.Use(page.challenge(t), nil)
		got := b.post("/login/passkey", "flow", page.flow(), "passkey", answered)
		if c.good != (b.cookie("session") != "") || !c.good && (got.StatusCode != 422 || !strings.Contains(got.text, tooLate)) {
			t.Errorf("after %s: %d\n%s", c.after, got.StatusCode, got.text)
		}
		if !c.good {
			if _, reason, _ := h.lastRefusal(); reason != string(account.PasskeyExpired) {
				t.Errorf("after %s: told as %s", c.after, reason)
			}
			if b.uses(k, got, nil); b.cookie("session") == "" {
				t.Errorf("after %s: the page that says so has no new challenge", c.after)
			}
			continue
		}
		b.post("/logout")
		again := b.post("/login/passkey", "flow", page.flow(), "passkey", answered)
		if b.cookie("session") != "" || again.StatusCode < 400 {
			t.Errorf("the same answer again: %d\n%s", again.StatusCode, again.text)
		}
		other := b.get("/login")
		again = b.post("/login/passkey", "flow", other.flow(), "passkey", answered)
		if b.cookie("session") != "" || again.StatusCode != 422 {
			t.Errorf("the same answer in another flow: %d\n%s", again.StatusCode, again.text)
		}
	}
}

// Failures count against where they come from, as wrong passwords do: after twenty
// the source is told so, and fills the trail no more. Others are not held up.
func TestASourceOfWrongPasskeysIsLimited(t *testing.T) {
	h := newHouse(t, "https://id.example")
	k, _ := h.enrolled("grace")
	b := h.browser()
	page := b.get("/login")
	for i := range account.SourceFailures {
		if got := b.uses(k, page, says("origin", "https://evil.example")); got.StatusCode != 422 {
			t.Fatalf("failure %d: %d\n%s", i+1, got.StatusCode, got.text)
		}
	}
	for range 3 {
		got := b.uses(k, page, says("origin", "https://evil.example"))
		if got.StatusCode != 429 || got.Header.Get("Retry-After") != "300" {
			t.Errorf("once more: %d\n%s", got.StatusCode, got.text)
		}
	}
	if n, _, _ := h.lastRefusal(); n != account.SourceFailures {
		t.Errorf("%d rows, want %d", n, account.SourceFailures)
	}
	if got := b.signIn(b.get("/login"), "edith", "not the right one"); got.StatusCode != 429 {
		t.Errorf("its passwords: %d", got.StatusCode)
	}
	other := h.browser()
	if other.uses(k, other.get("/login"), nil); other.cookie("session") == "" {
		t.Error("another source cannot sign in")
	}
}
