package flows_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// shelf is a Store that lets everything pass and keeps what was written: what
// is tried here is what a form does to a step.
type shelf struct {
	flows.Store
	wrong    int
	progress *flows.Progress
	done     bool
	second   account.Second
	key      []byte
	set      account.BackupSet
}

func (s *shelf) ReadGuard(context.Context, account.Attempt) (account.GuardState, error) {
	return account.GuardState{HasSecond: s.second.Authenticators > 0}, nil
}
func (s *shelf) ChargeGuard(context.Context, account.Attempt) (int64, bool, error) {
	return 1, true, nil
}
func (s *shelf) Release(context.Context, account.Lease) error { return nil }
func (s *shelf) SettleWrong(context.Context, account.Lease, account.Reason) (account.GuardState, error) {
	s.wrong++
	return account.GuardState{}, nil
}
func (s *shelf) Advance(_ context.Context, _ *flows.Flow, p flows.Progress) error {
	s.progress = &p
	return nil
}
func (s *shelf) Finish(_ context.Context, _ *flows.Flow, p flows.Progress, _ flows.NewSession) error {
	s.progress, s.done = &p, true
	return nil
}
func (s *shelf) Redeem(_ context.Context, _ *flows.Flow, p flows.Progress) (account.Reason, error) {
	s.progress, s.done = &p, true
	return account.Valid, nil
}
func (s *shelf) Accept(_ context.Context, _ *flows.Flow, p flows.Progress) (account.Reason, error) {
	s.progress, s.done = &p, true
	return account.Valid, nil
}
func (s *shelf) Invitation(context.Context, []byte) (account.Invitation, error) {
	return account.Invitation{Fate: account.Valid, Email: "zoe@guest.example", Practice: "river", PracticeName: "River Clinic", Role: account.Billing}, nil
}
func (s *shelf) Second(context.Context, account.ID) (account.Second, error) { return s.second, nil }
func (s *shelf) Authenticators(context.Context, account.ID) ([]account.Authenticator, error) {
	return []account.Authenticator{{ID: "a", Key: s.key}}, nil
}
func (s *shelf) BackupSet(context.Context, account.ID) (account.BackupSet, error) { return s.set, nil }

// register is a directory of one, whose password costs nothing to judge.
type register struct{ directory.Directory }

func (register) Capabilities() directory.Capabilities {
	return directory.Capabilities{SetPassword: true}
}
func (register) Lookup(_ context.Context, by directory.By, v string) (*directory.Entry, error) {
	if v != "grace" {
		return nil, directory.ErrNotFound
	}
	return &directory.Entry{ID: "grace", Username: "grace", Email: "grace@riverside.example", Name: "Grace Hopper"}, nil
}
func (register) VerifyPassword(_ context.Context, l account.Lease, e *directory.Entry, p []byte) (directory.Verdict, error) {
	switch {
	case !l.Valid():
		return directory.Wrong, account.ErrNoLease
	case e == nil:
		return directory.NoSuchUser, nil
	case string(p) == password:
		return directory.OK, nil
	}
	return directory.Wrong, nil
}

var fuzzNow = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

// fuzzed is a step in a flow, to which any form is given.
type fuzzed struct {
	*flows.Engine
	store *shelf
	flow  flows.Flow
	step  flows.StepName
}

// newFuzzed has an engine with the policies that the provider has, on a shelf,
// and a flow with the facts proven.
func newFuzzed(kind flows.Kind, step flows.StepName, facts ...flows.FactKind) *fuzzed {
	code := flows.OneOf(flows.TOTP{}, flows.BackupCode{}, flows.SetUpTOTP{})
	second := flows.When(flows.NeedsSecond, flows.Seq(code, flows.Do(flows.OfferCodes{}), flows.Do(flows.SaveCodes{})))
	st := &shelf{key: []byte("12345678901234567890")}
	z := &fuzzed{store: st, step: step, Engine: &flows.Engine{Store: st, Directory: register{}, Hasher: &account.Hasher{},
		Policies: map[flows.Kind]flows.Policy{
			flows.Login:  flows.Seq(flows.Do(flows.Identify{}), flows.OneOf(flows.Password{}), second),
			flows.Reset:  flows.Do(flows.NewPassword{}),
			flows.Invite: flows.Do(flows.Join{}),
			flows.Enroll: flows.Seq(flows.OneOf(flows.Password{}), flows.OneOf(flows.TOTP{}, flows.BackupCode{}),
				flows.When(flows.Changes(flows.ChangePassword), flows.Do(flows.NewPassword{})),
				flows.When(flows.Changes(flows.AddAuthenticator), flows.Do(flows.SetUpTOTP{})), flows.Do(flows.SaveCodes{})),
		},
		Rules: account.PasswordRules{Known: account.Known}, Issuer: "Medximity",
		Guard: account.Guard{Now: func() time.Time { return fuzzNow }}, Now: func() time.Time { return fuzzNow },
		Shadow: func(s string) string { return "?" + s },
		Draft:  func(flow, purpose string) []byte { sum := sha256.Sum256([]byte(flow + purpose)); return sum[:] }}}
	z.flow = flows.Flow{ID: "f", Kind: kind, Browser: []byte("b"), Started: fuzzNow, Expires: fuzzNow.Add(time.Hour)}
	for _, k := range facts {
		fact := flows.Fact{Kind: k, Step: flows.FromSession, At: fuzzNow}
		switch k {
		case flows.Identified:
			fact.Step, z.flow.Typed = "identify", "grace"
		case flows.KnowsPassword:
			fact.Step, fact.Methods, z.flow.Account, z.flow.Typed = "password", []string{"pwd"}, "grace", "grace"
		case flows.HoldsSecond:
			fact.Step, fact.Methods = "totp", []string{"otp"}
		case flows.HoldsLink:
			fact.Step, z.flow.Account = "link", "grace"
		}
		z.flow.Facts = append(z.flow.Facts, fact)
	}
	return z
}

// give answers the step with a form as a browser encodes it. A form is never a
// fault: no error but that of a flow that is over.
func (z *fuzzed) give(t *testing.T, body string) (form url.Values, turn *flows.Turn, f *flows.Flow) {
	t.Helper()
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, nil, nil
	}
	for _, all := range form { // as web.Site lets forms through
		for _, v := range all {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return nil, nil, nil
			}
		}
	}
	one := z.flow
	one.Facts = slices.Clone(z.flow.Facts)
	z.store.progress, z.store.done, z.store.wrong = nil, false, 0
	turn, err = z.Submit(t.Context(), &one, flows.Visit{}, z.step, form)
	if err != nil && !errors.Is(err, flows.ErrNoFlow) {
		t.Fatalf("%q: %v", body, err)
	}
	if err == nil && (turn.Done != nil) != z.store.done {
		t.Fatalf("%q: %+v, and written %v", body, turn, z.store.done)
	}
	if !slices.EqualFunc(z.flow.Facts, one.Facts[:len(z.flow.Facts)], func(a, b flows.Fact) bool { return a.Kind == b.Kind && a.Step == b.Step }) {
		t.Fatalf("%q: facts went away: %+v", body, one.Facts)
	}
	return form, turn, &one
}

// forms are what fields of the steps may hold.
func forms(f *testing.F, field string, values ...string) {
	for _, v := range append(values, "", " ", "\x00", "\xff", strings.Repeat("a", 2000), "'; DROP TABLE guards; --", "<script>") {
		f.Add(url.Values{field: {v}}.Encode())
		f.Add(url.Values{field: {v, "x"}, "identifier": {"grace"}, "password": {v}, "otp": {v}, "saved": {"yes"}, "new_password": {v}, "confirm_password": {v}}.Encode())
	}
	f.Add("%zz")
	f.Add(field)
	f.Add(field + ";" + field)
}

// Identifying proves nothing; only with the right password does the same form
// go on.
func FuzzIdentify(f *testing.F) {
	z := newFuzzed(flows.Login, "identify")
	forms(f, "identifier", "grace", "GRACE ", "nobody", "grace@riverside.example")
	f.Add(url.Values{"identifier": {"grace"}, "password": {password}}.Encode())
	f.Fuzz(func(t *testing.T, body string) {
		form, _, flow := z.give(t, body)
		if flow == nil {
			return
		}
		if flow.Has(flows.KnowsPassword) && (account.Normalise(form.Get("identifier")) != "grace" || form.Get("password") != password) {
			t.Errorf("%q proved a password", body)
		}
		if z.store.progress != nil && len(flow.Typed) > 320 {
			t.Errorf("%d bytes are kept", len(flow.Typed))
		}
	})
}

func FuzzPassword(f *testing.F) {
	z := newFuzzed(flows.Login, "password", flows.Identified)
	forms(f, "password", password, "violet", "e\u0301")
	f.Fuzz(func(t *testing.T, body string) {
		form, turn, flow := z.give(t, body)
		if flow == nil {
			return
		}
		name := account.Normalise(form.Get("identifier"))
		right := form.Get("password") == password && (name == "" || name == "grace" || len(form.Get("identifier")) > 320)
		if flow.Has(flows.KnowsPassword) != right || (turn != nil && turn.Done != nil) != right {
			t.Errorf("%q: proven %v, want %v", body, flow.Has(flows.KnowsPassword), right)
		}
		if z.store.wrong > 1 || form.Get("password") == "" && z.store.wrong > 0 {
			t.Errorf("%q: %d counted", body, z.store.wrong)
		}
	})
}

// A second factor is proven by the code that is shown, and what is no code is
// no attempt.
func FuzzTOTP(f *testing.F) {
	z := newFuzzed(flows.Login, "totp", flows.Identified, flows.KnowsPassword)
	z.store.second = account.Second{Authenticators: 1, Codes: 10}
	right := account.ShowCode(z.store.key, fuzzNow)
	forms(f, "otp", right, "000000", right[:3]+" "+right[3:], "１２３４５６", account.ShowCode(z.store.key, fuzzNow.Add(time.Minute)))
	f.Fuzz(func(t *testing.T, body string) {
		form, _, flow := z.give(t, body)
		if flow == nil {
			return
		}
		code, ok := account.NormalCode(form.Get("otp"))
		_, match, _, _ := account.MatchCode(fuzzLease(t, z), []account.Authenticator{{Key: z.store.key}}, code, fuzzNow)
		if flow.Has(flows.HoldsSecond) != (ok && match) || z.store.done != (ok && match) {
			t.Errorf("%q proved it: %v", body, flow.Has(flows.HoldsSecond))
		}
		if !ok && z.store.wrong > 0 {
			t.Errorf("%q was counted", body)
		}
	})
}

func fuzzLease(t *testing.T, z *fuzzed) account.Lease {
	t.Helper()
	l, err := z.Guard.Charge(t.Context(), z.store, account.Attempt{Subject: "grace", Factor: account.SecondFactor})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each judged code costs an argon2id hash, so most of what is tried is no code.
func FuzzBackupCode(f *testing.F) {
	z := newFuzzed(flows.Login, "backup-code", flows.Identified, flows.KnowsPassword)
	codes := account.MakeBackupCodes(make([]byte, 32))[:2]
	set, err := z.Hasher.NewBackupSet(f.Context(), codes)
	if err != nil {
		f.Fatal(err)
	}
	set.Used = set.Unused[1:]
	set.Unused = set.Unused[:1]
	z.store.set, z.store.second = *set, account.Second{Authenticators: 1, Codes: 9}
	forms(f, "backup_code", codes[0], codes[1], strings.ToLower(codes[0]), "0000-0000-00000")
	good, _ := account.NormalBackupCode(codes[0])
	f.Fuzz(func(t *testing.T, body string) {
		form, _, flow := z.give(t, body)
		if flow == nil {
			return
		}
		code, ok := account.NormalBackupCode(form.Get("backup_code"))
		if flow.Has(flows.HoldsSecond) != (ok && code == good) {
			t.Errorf("%q proved it: %v", body, flow.Has(flows.HoldsSecond))
		}
		if !ok && z.store.wrong > 0 {
			t.Errorf("%q was counted", body)
		}
	})
}

// An authenticator is added by a code of its own, under a name that is one line
// of at most forty characters.
func FuzzSetUpTOTP(f *testing.F) {
	z := newFuzzed(flows.Enroll, "set-up-totp", flows.KnowsPassword)
	z.flow.Request.Change = flows.AddAuthenticator
	key := z.Draft("f", "totp")[:20]
	forms(f, "otp", account.ShowCode(key, fuzzNow), "000000")
	for _, name := range []string{"My phone", " a  b\t", strings.Repeat("é", 40), strings.Repeat("é", 41), "a\r\nb", "\u2028"} {
		f.Add(url.Values{"otp": {account.ShowCode(key, fuzzNow)}, "authenticator": {name}}.Encode())
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, _, flow := z.give(t, body)
		if flow == nil || z.store.progress == nil || z.store.progress.Authenticator == nil {
			return
		}
		a := z.store.progress.Authenticator
		code, _ := account.NormalCode(form.Get("otp"))
		if step, ok := account.ConfirmCode(key, code, fuzzNow); !ok || step != a.Step || string(a.Key) != string(key) {
			t.Errorf("%q added %+v", body, a)
		}
		if utf8.RuneCountInString(a.Name) > 40 || strings.ContainsAny(a.Name, "\r\n\t") || strings.TrimSpace(a.Name) != a.Name {
			t.Errorf("%q added %q", body, a.Name)
		}
	})
}

// Codes are made good by a yes, and new ones asked for by one; nothing else is.
func FuzzSaveCodes(f *testing.F) {
	z := newFuzzed(flows.Enroll, "backup-codes", flows.KnowsPassword, flows.HoldsSecond)
	z.flow.Request.Change, z.store.second = flows.ReplaceBackupCodes, account.Second{Authenticators: 1, Codes: 2}
	forms(f, "saved", "no", "YES", "yes ", "on", "1")
	f.Fuzz(func(t *testing.T, body string) {
		if form, err := url.ParseQuery(body); err == nil && form.Get("saved") == "yes" {
			return // it is: ten argon2id hashes each, tried in second_test.go
		}
		if _, _, flow := z.give(t, body); flow != nil && (z.store.progress != nil || flow.Has(flows.SavedCodes)) {
			t.Errorf("%q saved them", body)
		}
	})
}

func FuzzMoreCodes(f *testing.F) {
	z := newFuzzed(flows.Login, "more-backup-codes", flows.Identified, flows.KnowsPassword)
	z.flow.Facts = append(z.flow.Facts, flows.Fact{Kind: flows.HoldsSecond, Step: "backup-code", Methods: []string{"otp"}, At: fuzzNow})
	z.store.second = account.Second{Authenticators: 1, Codes: 2}
	forms(f, "more", "yes", "later", "no", "YES")
	f.Fuzz(func(t *testing.T, body string) {
		form, _, flow := z.give(t, body)
		if flow == nil || form.Get("saved") == "yes" { // which may answer the next step, too
			return
		}
		if flow.Has(flows.NewCodes) != (form.Get("more") == "yes") || flow.Has(flows.NoNewCodes) != (form.Get("more") == "later") || z.store.done != (form.Get("more") == "later") {
			t.Errorf("%q: %+v", body, flow.Facts)
		}
	})
}

// A password is set if both fields have it and the rules allow it; the link
// alone, whatever else the form says, sets none.
func FuzzNewPassword(f *testing.F) {
	reset := newFuzzed(flows.Reset, "new-password", flows.HoldsLink)
	change := newFuzzed(flows.Enroll, "new-password", flows.KnowsPassword)
	change.flow.Request.Change = flows.ChangePassword
	forms(f, "new_password", "short", "grace hopper 2026", "password1234567", "aaaaaaaaaaaaaaaaaaaa", password)
	f.Add(url.Values{"new_password": {"a lantern over quiet water"}, "confirm_password": {"a lantern over quiet watex"}}.Encode())
	f.Add(url.Values{"new_password": {password}, "confirm_password": {password}, "password": {password}}.Encode())
	f.Fuzz(func(t *testing.T, body string) {
		for _, z := range []*fuzzed{reset, change} {
			form, _, flow := z.give(t, body)
			if flow == nil {
				return
			}
			typed := form.Get("new_password")
			if set := z.store.progress != nil && z.store.progress.Hash != ""; set {
				secret, err := account.NormalPassword(typed)
				if err != nil || form.Get("confirm_password") != typed || z.Rules.Judge(secret) != nil || z == change && typed == password {
					t.Errorf("%q set %q", body, typed)
				}
			}
		}
	})
}

// Somebody joins with a name and a password by the rules, both as they typed
// them, and with nothing else.
func FuzzJoin(f *testing.F) {
	z := newFuzzed(flows.Invite, "join", flows.HoldsLink)
	z.flow.Account = ""
	forms(f, "name", "Zoë Guest", "Zoe\u0308  Guest", "a\u202eb", "\ue000", strings.Repeat("é", 101))
	for _, name := range []string{"Zoë Guest", "", "x\x00", "a\u202eb"} {
		f.Add(url.Values{"name": {name}, "new_password": {"a lantern over quiet water"}, "confirm_password": {"a lantern over quiet water"}}.Encode())
		f.Add(url.Values{"name": {name}, "new_password": {"zoe guest of the river clinic"}, "confirm_password": {"zoe guest of the river clinic"}, "role": {"owner"}, "email": {"eve@evil.example"}}.Encode())
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, turn, flow := z.give(t, body)
		if flow == nil {
			return
		}
		name, bad := account.NormalName(form.Get("name"))
		secret, worse := account.NormalPassword(form.Get("new_password"))
		good := bad == nil && worse == nil && form.Get("confirm_password") == form.Get("new_password") &&
			z.Rules.Judge(secret, "medximity", "digitalpatientchart", "zoe@guest.example", "River Clinic", name) == nil
		if good != z.store.done || good && (z.store.progress.Name != name || z.store.progress.Hash == "" || turn.Done.Session != nil) {
			t.Errorf("%q: good %v, and written %+v", body, good, z.store.progress)
		}
	})
}
