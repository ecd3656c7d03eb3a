package flows_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/flows/steptest"
	"github.com/medximity/idp/provider/store"
)

// twoFactors is a house whose policies ask for a second factor, at a time of the
// test's choice.
type twoFactors struct {
	*house
	at  time.Time
	key []byte // of grace's phone
}

func newTwoFactors(t *testing.T) *twoFactors {
	h := &twoFactors{house: newHouse(t), key: account.NewKey()}
	h.at = h.store.Now()
	code := flows.OneOf(flows.TOTP{}, flows.BackupCode{}, flows.SetUpTOTP{})
	second := flows.When(flows.NeedsSecond, flows.Seq(code, flows.Do(flows.OfferCodes{}), flows.Do(flows.SaveCodes{})))
	h.Policies[flows.Login] = flows.Seq(flows.Do(flows.Identify{}), flows.OneOf(flows.Password{}), second,
		flows.When(flows.MustChange, flows.Do(flows.NewPassword{})))
	h.Policies[flows.StepUp] = flows.Seq(flows.OneOf(flows.Password{}), second)
	h.Policies[flows.Enroll] = flows.Seq(flows.OneOf(flows.Password{}), flows.OneOf(flows.TOTP{}, flows.BackupCode{}),
		flows.When(flows.Changes(flows.ChangePassword), flows.Do(flows.NewPassword{})),
		flows.When(flows.Changes(flows.AddAuthenticator), flows.Do(flows.SetUpTOTP{})), flows.Do(flows.SaveCodes{}))
	h.Draft = func(flow, purpose string) []byte { sum := sha256.Sum256([]byte(flow + purpose)); return sum[:] }
	h.Issuer = "Medximity"
	h.Now = func() time.Time { return h.at }
	return h
}

// equip gives grace a phone and returns ten backup codes.
func (h *twoFactors) equip() []string {
	h.t.Helper()
	f := h.begin(func(f *flows.Flow) { f.Request.Second = true })
	h.pass(f, "identify", "set-up-totp", "identifier", "grace", "password", password)
	key := h.Draft(f.ID, "totp")[:20]
	h.pass(f, "set-up-totp", "backup-codes", "otp", account.ShowCode(key, h.at), "authenticator", "Phone")
	h.pass(f, "backup-codes", "", "saved", "yes")
	h.key = key
	h.at = h.at.Add(5 * time.Minute) // of codes not shown yet
	return account.MakeBackupCodes(h.Draft(f.ID, "backup codes"))
}

// pass answers a step and wants the next one; "" is the end.
func (h *twoFactors) pass(f *flows.Flow, step, next flows.StepName, fields ...string) *flows.Turn {
	h.t.Helper()
	turn := h.submit(f, step, fields...)
	switch {
	case turn.Again != nil || turn.Stop != nil:
		h.t.Fatalf("%s: %+v %+v", step, turn.Again, turn.Stop)
	case next == "" && turn.Done == nil, next != "" && turn.Step != next:
		h.t.Fatalf("after %s comes %q, want %q", step, turn.Step, next)
	}
	return turn
}

func (h *twoFactors) code() string { return account.ShowCode(h.key, h.at) }

// known begins a flow in which the password was right.
func (h *twoFactors) known() *flows.Flow {
	h.t.Helper()
	f := h.begin(nil)
	h.pass(f, "identify", "totp", "identifier", "grace", "password", password)
	f, err := h.store.Flow(h.t.Context(), f.ID, f.Browser)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func (h *twoFactors) session(turn *flows.Turn) *store.Session {
	h.t.Helper()
	s, err := h.store.Session(h.t.Context(), turn.Done.Session.Token)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func TestWhoMustHaveASecondFactorSetsItUpOnTheWay(t *testing.T) {
	h := newTwoFactors(t)
	f := h.begin(func(f *flows.Flow) { f.Request.Second = true })
	h.pass(f, "identify", "set-up-totp", "identifier", "grace", "password", password)
	key := h.Draft(f.ID, "totp")[:20]
	if turn := h.submit(f, "set-up-totp", "otp", account.ShowCode(key, h.at.Add(time.Hour))); turn.Again == nil || turn.Again.Field != "otp" {
		t.Fatalf("a wrong code gave %+v", turn)
	}
	h.pass(f, "set-up-totp", "backup-codes", "otp", account.ShowCode(key, h.at), "authenticator", " My  phone ")
	if turn := h.submit(f, "backup-codes"); turn.Step != "backup-codes" || turn.Done != nil {
		t.Fatalf("without saving: %+v", turn)
	}
	s := h.session(h.pass(f, "backup-codes", "", "saved", "yes"))
	if s.ACR != flows.ACR2FA || !slices.Equal(s.Methods, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("acr %s, amr %v", s.ACR, s.Methods)
	}
	all, err := h.store.Authenticators(t.Context(), "grace")
	if err != nil || len(all) != 1 || all[0].Name != "My phone" || all[0].LastStep == 0 {
		t.Errorf("%+v, %v", all, err)
	}
	second, err := h.store.Second(t.Context(), "grace")
	if err != nil || second != (account.Second{Authenticators: 1, Codes: 10}) {
		t.Errorf("%+v, %v", second, err)
	}
}

// Whoever leaves before the codes are saved is asked for a code next time, and
// shown new backup codes.
func TestWhoLeavesHalfwayGoesOnNextTime(t *testing.T) {
	h := newTwoFactors(t)
	f := h.begin(func(f *flows.Flow) { f.Request.Second = true })
	h.pass(f, "identify", "set-up-totp", "identifier", "grace", "password", password)
	h.key = h.Draft(f.ID, "totp")[:20]
	h.pass(f, "set-up-totp", "backup-codes", "otp", h.code())
	h.at = h.at.Add(time.Minute)
	f = h.known()
	h.pass(f, "totp", "backup-codes", "otp", h.code())
	h.pass(f, "backup-codes", "", "saved", "yes")
}

// RFC 6238 section 5.2, on every way in: what was accepted once is refused,
// counted, and said to be used.
func TestACodeIsGoodOnce(t *testing.T) {
	h := newTwoFactors(t)
	h.equip()
	code := h.code()
	h.pass(h.known(), "totp", "", "otp", code)
	turn := h.submit(h.known(), "totp", "otp", code)
	if turn.Again == nil || turn.Again.Message.Key != "err.code_used" || !turn.Again.Denied {
		t.Fatalf("a replay gave %+v", turn)
	}
	if turn := h.submit(h.known(), "totp", "otp", account.ShowCode(h.key, h.at.Add(-30*time.Second))); turn.Again == nil {
		t.Fatalf("an older one gave %+v", turn)
	}
	st, err := h.store.Standing(t.Context(), "grace")
	if err != nil || st.Failed[account.SecondFactor] != 2 {
		t.Errorf("%d counted, %v", st.Failed[account.SecondFactor], err)
	}
	h.pass(h.known(), "totp", "", "otp", account.ShowCode(h.key, h.at.Add(30*time.Second)))
}

func TestBackupCodes(t *testing.T) {
	h := newTwoFactors(t)
	codes := h.equip()
	f := h.known()
	turn, err := h.Show(t.Context(), f, flows.Visit{}, "backup-code")
	if err != nil || turn.Step != "backup-code" || !slices.Equal(turn.Others, []flows.StepName{"totp"}) {
		t.Fatalf("%+v, %v", turn, err)
	}
	if turn, err := h.Show(t.Context(), f, flows.Visit{}, ""); err != nil || turn.Step != "totp" {
		t.Errorf("looking at another way left a trace: %+v, %v", turn, err)
	}
	h.pass(f, "backup-code", "", "backup_code", codes[0])
	// The way that was gone last comes first.
	f = h.begin(nil)
	h.pass(f, "identify", "backup-code", "identifier", "grace", "password", password)
	turn = h.submit(f, "backup-code", "backup_code", codes[0])
	if turn.Again == nil || turn.Again.Message.Key != "err.backup_used" {
		t.Fatalf("a used one gave %+v", turn)
	}
	for _, c := range codes[1:6] {
		h.pass(f, "backup-code", "", "backup_code", c)
		f = h.begin(nil)
		h.pass(f, "identify", "backup-code", "identifier", "grace", "password", password)
	}
	for _, c := range codes[6:9] { // three are left, and fewer
		h.pass(f, "backup-code", "more-backup-codes", "backup_code", c)
		h.pass(f, "more-backup-codes", "", "more", "later")
		f = h.begin(nil)
		h.pass(f, "identify", "backup-code", "identifier", "grace", "password", password)
	}
	h.pass(f, "backup-code", "backup-codes", "backup_code", codes[9]) // the last: no choice
	h.pass(f, "backup-codes", "", "saved", "yes")
	fresh := account.MakeBackupCodes(h.Draft(f.ID, "backup codes"))
	f = h.begin(nil)
	h.pass(f, "identify", "totp", "identifier", "grace", "password", password)
	if turn := h.submit(f, "backup-code", "backup_code", codes[3]); turn.Again == nil {
		t.Errorf("a code of the old set gave %+v", turn)
	}
	h.pass(f, "backup-code", "", "backup_code", fresh[3])
}

// CVE-2025-64175: a backup code is of one account.
func TestABackupCodeIsOfOneAccount(t *testing.T) {
	h := newTwoFactors(t)
	codes := h.equip()
	if _, err := h.store.BringSecond(t.Context(), "newcomer", account.NewAuthenticator{Key: account.NewKey()}, "test"); err != nil {
		t.Fatal(err)
	}
	f := h.begin(nil)
	h.pass(f, "identify", "totp", "identifier", "newcomer", "password", password)
	// She has none of her own, so the step is not due; and if it were…
	if turn := h.submit(f, "backup-code", "backup_code", codes[0]); turn.Step != "totp" || turn.Done != nil {
		t.Errorf("got %+v", turn)
	}
	s, err := h.Scope(t.Context(), f, flows.Visit{})
	if err != nil {
		t.Fatal(err)
	}
	s.Second.Codes = 1
	out, err := flows.BackupCode{}.Submit(t.Context(), s, url.Values{"backup_code": {codes[0]}})
	if again, ok := out.(flows.Again); !ok || !again.Denied || err != nil {
		t.Errorf("another one's code gave %#v, %v", out, err)
	}
}

// Design section 4: both kinds of code share a counter, a right password does
// not reset it, and ten wrong ones since the last right one hold the factor.
func TestCodesLockAndHold(t *testing.T) {
	h := newTwoFactors(t)
	codes := h.equip()
	wrong := func(i int, f *flows.Flow) *flows.Turn {
		if i%2 == 0 {
			return h.submit(f, "totp", "otp", "000000")
		}
		return h.submit(f, "backup-code", "backup_code", "0000-0000-00000")
	}
	for i := range 5 {
		turn := wrong(i, h.known()) // the password again, each time
		if last := i == 4; last != (turn.Stop != nil && errors.Is(turn.Stop.Reason, account.ErrLocked)) {
			t.Fatalf("wrong code %d gave %+v", i+1, turn)
		}
		if i >= 2 && i < 4 && turn.Again.Left != 4-i {
			t.Errorf("wrong code %d: %d left", i+1, turn.Again.Left)
		}
	}
	if err := h.unlock(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		turn := wrong(i, h.known())
		if last := i == 4; last != (turn.Stop != nil && errors.Is(turn.Stop.Reason, account.ErrHeld)) {
			t.Fatalf("wrong code %d gave %+v", i+6, turn)
		}
	}
	if err := h.unlock(); err != nil {
		t.Fatal(err)
	}
	f := h.begin(nil)
	h.pass(f, "identify", "totp", "identifier", "grace", "password", password)
	for step, answer := range map[flows.StepName][2]string{"totp": {"otp", h.code()}, "backup-code": {"backup_code", codes[0]}} {
		if turn := h.submit(f, step, answer[0], answer[1]); turn.Stop == nil || !errors.Is(turn.Stop.Reason, account.ErrHeld) {
			t.Errorf("a right %s while held gave %+v", step, turn)
		}
	}
	if was, err := h.store.ResetSecond(t.Context(), "grace", account.BySupport, "test"); !was || err != nil {
		t.Fatal(was, err)
	}
	// Whoever gave the wrong codes knew the password: a new one is asked for.
	turn := h.submit(h.begin(nil), "identify", "identifier", "grace", "password", password)
	if turn.Step != "new-password" {
		t.Errorf("after the hold comes %+v", turn)
	}
}

// unlock is Support's; the counters of wrong ones stay.
func (h *twoFactors) unlock() error {
	_, err := h.store.Unlock(h.t.Context(), "grace", account.BySupport, "test")
	return err
}

// N19, Keycloak #26177: what was proven before a lock is worth nothing after it.
func TestALockEndsWhatWasProven(t *testing.T) {
	h := newTwoFactors(t)
	h.equip()
	f := h.known()
	for range 5 {
		h.submit(h.begin(nil), "identify", "identifier", "grace", "password", "wrong")
	}
	if err := h.unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Flow(t.Context(), f.ID, f.Browser); !errors.Is(err, flows.ErrNoFlow) {
		t.Errorf("the flow lives: %v", err)
	}
	// Nor if it was read just before.
	if _, err := h.Submit(t.Context(), f, flows.Visit{}, "totp", url.Values{"otp": {h.code()}}); !errors.Is(err, flows.ErrStale) {
		t.Errorf("a code in it: %v", err)
	}
}

// What a session proves is taken over only while that lives, and only what it
// proved.
func TestStepUp(t *testing.T) {
	h := newTwoFactors(t)
	one := h.session(h.submit(h.begin(nil), "identify", "identifier", "grace", "password", password))
	h.equip() // ends that session
	f := h.known()
	two := h.session(h.pass(f, "totp", "", "otp", h.code()))
	h.at = h.at.Add(time.Minute)
	raise := func(s *store.Session, facts ...flows.Fact) *flows.Flow {
		return h.begin(func(f *flows.Flow) {
			f.Kind, f.Account, f.Session, f.Facts = flows.StepUp, s.Account, s.ID, facts
		})
	}
	t.Run("all of it anew", func(t *testing.T) {
		f := raise(two)
		h.pass(f, "password", "totp", "password", password)
		next := h.session(h.pass(f, "totp", "", "otp", h.code()))
		if next.AuthTime.Before(two.AuthTime) || string(next.ID) == string(two.ID) || next.ACR != flows.ACR2FA {
			t.Errorf("%+v", next)
		}
		two = next
	})
	h.at = h.at.Add(time.Minute)
	t.Run("the code alone", func(t *testing.T) {
		proven := flows.Fact{Kind: flows.KnowsPassword, Step: flows.FromSession, Methods: []string{"pwd"}, At: two.AuthTime}
		f := raise(two, proven)
		next := h.session(h.pass(f, "totp", "", "otp", h.code()))
		if !next.AuthTime.Equal(two.AuthTime) || !slices.Equal(next.Methods, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("auth_time %v of %v, amr %v", next.AuthTime, two.AuthTime, next.Methods)
		}
		two = next
	})
	t.Run("of a session that has ended", func(t *testing.T) {
		f := raise(one)
		if _, err := h.store.Flow(t.Context(), f.ID, f.Browser); !errors.Is(err, flows.ErrNoFlow) {
			t.Errorf("the flow lives: %v", err)
		}
		if _, err := h.Submit(t.Context(), f, flows.Visit{}, "password", url.Values{"password": {password}}); !errors.Is(err, flows.ErrStale) {
			t.Errorf("its password: %v", err)
		}
	})
}

// security.md A: a password that is short because a second factor was required
// does not outlive that.
func TestAShortPasswordIsForTwoFactors(t *testing.T) {
	h := newTwoFactors(t)
	h.Require.Everyone = true
	h.equip()
	const short = "mauve yak"
	sess := h.session(h.pass(h.known(), "totp", "", "otp", h.code()))
	f := h.begin(func(f *flows.Flow) {
		f.Kind, f.Account, f.Session = flows.Enroll, sess.Account, sess.ID
		f.Request.Change = flows.ChangePassword
		f.Facts = []flows.Fact{{Kind: flows.HoldsSecond, Step: flows.FromSession, Methods: []string{"otp"}, At: sess.AuthTime}}
	})
	h.pass(f, "password", "new-password", "password", password)
	h.pass(f, "new-password", "", "new_password", short, "confirm_password", short)
	h.Require.Everyone = false
	f = h.begin(nil)
	h.at = h.at.Add(time.Minute)
	h.pass(f, "identify", "totp", "identifier", "grace", "password", short)
	if turn := h.submit(f, "totp", "otp", h.code()); turn.Step != "new-password" {
		t.Fatalf("required no more, and too short: %+v", turn)
	}
	if turn := h.submit(f, "new-password", "new_password", "mauve yak 8", "confirm_password", "mauve yak 8"); turn.Again == nil {
		t.Errorf("another short one gave %+v", turn)
	}
}

func TestSecondSteps(t *testing.T) {
	h := newTwoFactors(t)
	codes := h.equip()
	scope := func(change func(*flows.Flow)) func(*testing.T) *flows.Scope {
		return func(t *testing.T) *flows.Scope {
			f := h.begin(func(f *flows.Flow) {
				f.Account, f.Facts = "grace", []flows.Fact{{Kind: flows.KnowsPassword, Step: "password"}}
				if change != nil {
					change(f)
				}
			})
			if err := h.unlock(); err != nil {
				t.Fatal(err)
			}
			s, err := h.Scope(context.WithoutCancel(t.Context()), f, flows.Visit{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	enrol := func(c flows.Change) func(*flows.Flow) {
		return func(f *flows.Flow) {
			f.ID, f.Kind, f.Request.Change = "the same each time "+account.NewSecret(), flows.Enroll, c
		}
	}
	h.Draft = func(_, purpose string) []byte { sum := sha256.Sum256([]byte(purpose)); return sum[:] }
	draft := h.Draft("", "totp")[:20]
	few := scope(func(f *flows.Flow) {
		f.Facts = append(f.Facts, flows.Fact{Kind: flows.HoldsSecond, Step: "backup-code"})
	})
	for _, c := range []steptest.Case{
		{Step: flows.TOTP{}, Scope: scope(nil), Good: url.Values{"otp": {h.code()}}},
		{Step: flows.BackupCode{}, Scope: scope(nil), Good: url.Values{"backup_code": {codes[9]}}},
		{Step: flows.SetUpTOTP{}, Scope: scope(enrol(flows.AddAuthenticator)), Good: url.Values{"otp": {account.ShowCode(draft, h.at)}}},
		{Step: flows.SaveCodes{}, Scope: scope(enrol(flows.ReplaceBackupCodes)), Good: url.Values{"saved": {"yes"}}},
		{Step: flows.OfferCodes{}, Scope: func(t *testing.T) *flows.Scope { s := few(t); s.Second.Codes = 2; return s }, Good: url.Values{"more": {"yes"}}},
	} {
		t.Run(string(c.Step.Name()), func(t *testing.T) { steptest.Run(t, c) })
	}
}

// meanwhile is a directory in which something happens while a password is judged.
type meanwhile struct {
	directory.Directory
	do func()
}

func (m meanwhile) VerifyPassword(ctx context.Context, l account.Lease, e *directory.Entry, secret []byte) (directory.Verdict, error) {
	m.do()
	return m.Directory.VerifyPassword(ctx, l, e, secret)
}

// A right password whose account is locked by wrong codes while it is judged
// comes to nothing, but is not a failure either: five of them would lock the
// account once more when the lock is over.
func TestARightPasswordOvertakenByALockDoesNotCount(t *testing.T) {
	h := newTwoFactors(t)
	h.equip()
	other := h.known()
	real := h.Directory
	h.Directory = meanwhile{real, func() {
		for range 5 {
			h.Directory = real
			h.submit(other, "totp", "otp", "000000")
		}
	}}
	turn := h.submit(h.begin(nil), "identify", "identifier", "grace", "password", password)
	if turn.Stop == nil || !errors.Is(turn.Stop.Reason, account.ErrBusy) {
		t.Fatalf("got %+v", turn)
	}
	st, err := h.store.Standing(t.Context(), "grace")
	if err != nil || st.Charged[account.Password]+st.Failed[account.Password]+st.Wrong[account.Password] != 0 {
		t.Errorf("%+v, %v", st.GuardState, err)
	}
}
