package flows_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/steptest"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const password = "violet kettle on the stove"

// house is an engine on a real store, with people in it.
type house struct {
	*flows.Engine
	store *store.Store
	t     *testing.T
}

func newHouse(t *testing.T) *house {
	st := storetest.Open(t, storetest.New(t, "sqlite"))
	hasher := &account.Hasher{}
	hash, err := hasher.Hash(t.Context(), []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []store.NewPerson{
		{ID: "grace", Username: "grace", Email: "grace@riverside.example", EmailVerified: true, Hash: hash},
		{ID: "newcomer", Username: "newcomer", Email: "newcomer@riverside.example", Hash: hash, MustChange: true},
	} {
		if _, err := st.AddPerson(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
	}
	return &house{t: t, store: st, Engine: &flows.Engine{
		Policies: map[flows.Kind]flows.Policy{
			flows.Login: flows.Seq(flows.Do(flows.Identify{}), flows.OneOf(flows.Password{}),
				flows.When(flows.MustChange, flows.Do(flows.NewPassword{}))),
			flows.Reset:  flows.Do(flows.NewPassword{}),
			flows.Invite: flows.Do(flows.Join{}),
		},
		Store: st, Directory: store.People{Store: st, Hasher: hasher}, Hasher: hasher,
		Guard: account.Guard{Now: st.Now}, Now: st.Now, Idle: time.Hour, Absolute: 12 * time.Hour,
		Shadow: func(s string) string { return "?" + s },
	}}
}

// begin starts a flow in a browser of its own.
func (h *house) begin(change func(*flows.Flow)) *flows.Flow {
	h.t.Helper()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: []byte("browser")}
	if change != nil {
		change(f)
	}
	if err := h.Begin(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
	return f
}

// submit reads the flow again, as another request would, and answers a step.
func (h *house) submit(f *flows.Flow, step flows.StepName, fields ...string) *flows.Turn {
	h.t.Helper()
	f, err := h.store.Flow(h.t.Context(), f.ID, f.Browser)
	if err != nil {
		h.t.Fatal(err)
	}
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	turn, err := h.Submit(h.t.Context(), f, flows.Visit{}, step, form)
	if err != nil {
		h.t.Fatal(err)
	}
	return turn
}

func TestOneFormAnswersTwoSteps(t *testing.T) {
	h := newHouse(t)
	turn := h.submit(h.begin(nil), "identify", "identifier", " Grace@Riverside.example", "password", password)
	if turn.Done == nil || turn.Done.Account != "grace" {
		t.Fatalf("got %+v", turn)
	}
	s, err := h.store.Session(t.Context(), turn.Done.Session.Token)
	if err != nil || s.Account != "grace" || s.ACR != flows.ACR1FA || len(s.Methods) != 1 || s.Methods[0] != "pwd" {
		t.Errorf("session %+v, %v", s, err)
	}
}

// factless is a host's step with a mistake in it.
type factless struct{ named }

func (factless) Submit(context.Context, *flows.Scope, flows.Form) (flows.Outcome, error) {
	return flows.Passed{}, nil
}

func TestAStepWithoutAFactIsAFault(t *testing.T) {
	h := newHouse(t)
	h.Policies[flows.Login] = flows.Do(factless{named{"odd", flows.Must}})
	f := h.begin(nil)
	if _, err := h.Submit(t.Context(), f, flows.Visit{}, "odd", url.Values{"odd": {"x"}}); err == nil {
		t.Error("it passed, and would be asked again for ever")
	}
}

// What a wrong password leaves behind is the form as it was: the next try is
// judged like the first.
func TestEveryTryIsJudged(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	step := flows.StepName("identify")
	for i := range int64(4) {
		turn := h.submit(f, step, "identifier", "grace", "password", "wrong")
		if turn.Again == nil || h.Hasher.Verified() != i+1 {
			t.Fatalf("try %d gave %+v, %d judged", i+1, turn, h.Hasher.Verified())
		}
		step = turn.Step
	}
}

func TestTheIdentifierMayComeAlone(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	if turn := h.submit(f, "identify", "identifier", "grace"); turn.Step != "password" {
		t.Fatalf("got %+v", turn)
	}
	if turn := h.submit(f, "password", "password", password); turn.Done == nil {
		t.Fatalf("got %+v", turn)
	}
}

func TestAnAnswerOutOfTurnDoesNothing(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	for _, step := range []flows.StepName{"password", "new-password", "nonsense"} {
		turn := h.submit(f, step, "password", password, "new_password", "a lantern over quiet water")
		if turn.Step != "identify" || turn.Again != nil {
			t.Errorf("%s: got %+v", step, turn)
		}
	}
	if n := h.Hasher.Verified(); n != 0 {
		t.Errorf("%d passwords were judged", n)
	}
}

func TestAPasswordThatMustBeChangedIsChangedFirst(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	turn := h.submit(f, "identify", "identifier", "newcomer", "password", password)
	if turn.Step != "new-password" || turn.Done != nil {
		t.Fatalf("the old password gave %+v", turn)
	}
	const next = "a lantern over quiet water"
	turn = h.submit(f, "new-password", "new_password", next, "confirm_password", next)
	if turn.Done == nil {
		t.Fatalf("the new password gave %+v", turn)
	}
	if _, err := h.store.Session(t.Context(), turn.Done.Session.Token); err != nil {
		t.Errorf("the session of the change itself: %v", err)
	}
	if turn := h.submit(h.begin(nil), "identify", "identifier", "newcomer", "password", next); turn.Done == nil {
		t.Errorf("signing in with the new one gave %+v", turn)
	}
	if turn := h.submit(h.begin(nil), "identify", "identifier", "newcomer", "password", password); turn.Again == nil {
		t.Errorf("signing in with the old one gave %+v", turn)
	}
}

// ASVS 6.4.1: what an operator handed out must not become the lasting password.
func TestAPasswordThatMustBeChangedIsNotChangedIntoItself(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	h.submit(f, "identify", "identifier", "newcomer", "password", password)
	turn := h.submit(f, "new-password", "new_password", password, "confirm_password", password)
	if turn.Again == nil || turn.Again.Field != "new_password" || turn.Again.Message.Key != "err.pw_same" {
		t.Fatalf("the same password gave %+v", turn)
	}
	st, err := h.store.Standing(t.Context(), "newcomer")
	if err != nil || st.Failed[account.Password]+st.Charged[account.Password]+st.Wrong[account.Password] != 0 {
		t.Errorf("it was counted: %+v, %v", st, err)
	}
	const next = "a lantern over quiet water"
	turn = h.submit(f, "new-password", "new_password", next, "confirm_password", next)
	if turn.Done == nil {
		t.Fatalf("another one gave %+v", turn)
	}
}

// NIST SP 800-63B-4 section 3.1.1.2: words of the context are no password; the
// page says that the practice's name is one of them.
func TestThePracticesNameIsNoPassword(t *testing.T) {
	h := newHouse(t)
	if err := h.store.AddPractice(t.Context(), "river", "Riverside Family Clinic"); err != nil {
		t.Fatal(err)
	}
	_, err := h.store.AddPerson(t.Context(), store.NewPerson{ID: "rosa", Practice: "river", Username: "rosa",
		Email: "rosa@mail.example", EmailVerified: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	f := h.begin(func(f *flows.Flow) {
		f.Kind, f.Account, f.Link = flows.Reset, "rosa", []byte("link")
		f.Facts = []flows.Fact{{Kind: flows.HoldsLink, Step: "link"}}
	})
	const name = "riverside-family-clinic1"
	turn := h.submit(f, "new-password", "new_password", name, "confirm_password", name)
	if turn.Again == nil || turn.Again.Message.Key != "err.pw_personal" {
		t.Errorf("got %+v", turn)
	}
}

func TestAFlowGivesOneSessionEver(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	h.submit(f, "identify", "identifier", "grace", "password", password)
	again, err := h.store.Flow(t.Context(), f.ID, f.Browser)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Submit(t.Context(), again, flows.Visit{}, "identify",
		url.Values{"identifier": {"grace"}, "password": {password}})
	if !errors.Is(err, flows.ErrStale) {
		t.Errorf("a second session: %v", err)
	}
}

// N19: a lock ends what stands, whatever was proven before it.
func TestALockStopsTheFlow(t *testing.T) {
	h := newHouse(t)
	f := h.begin(nil)
	for i := range 5 {
		turn := h.submit(f, "identify", "identifier", "newcomer", "password", "wrong")
		if last := i == 4; last != (turn.Stop != nil && errors.Is(turn.Stop.Reason, account.ErrLocked)) {
			t.Fatalf("wrong password %d gave %+v", i+1, turn)
		}
	}
	turn := h.submit(f, "identify", "identifier", "newcomer", "password", password)
	if turn.Stop == nil || !errors.Is(turn.Stop.Reason, account.ErrLocked) {
		t.Errorf("the right password, while locked, gave %+v", turn)
	}
	if n := h.Hasher.Verified(); n != 5 {
		t.Errorf("%d passwords were judged", n)
	}
}

// invited makes a flow one that holds an invitation to the address.
func (h *house) invited(email string) func(*flows.Flow) {
	ctx := h.t.Context()
	for _, err := range []error{
		h.store.AddPractice(ctx, "river", "River Clinic"),
		func() error {
			_, err := h.store.AddPerson(ctx, store.NewPerson{ID: "owner", Practice: "river", Role: "owner", Username: "owner", Email: "owner@river.example"}, "test")
			return err
		}(),
	} {
		if err != nil && !errors.Is(err, store.ErrDuplicate) {
			h.t.Fatal(err)
		}
	}
	link := h.mailed(func() error {
		_, err := h.store.Invite(ctx, store.Acting{Account: "owner", Practice: "river"}, store.Invite{Email: email, Role: account.FrontDesk})
		return err
	})
	return func(f *flows.Flow) {
		f.Kind, f.Practice, f.Link = flows.Invite, "river", account.HashSecret(link)
		f.Facts = []flows.Fact{{Kind: flows.HoldsLink, Step: "link"}}
	}
}

// mailed returns the token of the mail that something causes.
func (h *house) mailed(do func() error) string {
	h.t.Helper()
	if err := do(); err != nil {
		h.t.Fatal(err)
	}
	got := make(chan store.Mail, 1)
	stop, err := h.store.Work(h.t.Context(), store.Workers{SendMail: func(_ context.Context, m store.Mail) error { got <- m; return nil }})
	if err != nil {
		h.t.Fatal(err)
	}
	m := <-got
	if err := stop(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return m.Data["token"].(string)
}

// Whoever joins has an account and no session; and a second answer to the same
// page finds the link used up.
func TestJoining(t *testing.T) {
	h := newHouse(t)
	f := h.begin(h.invited("zoe@guest.example"))
	form := []string{"name", "Zoë Guest", "new_password", "a lantern over quiet water", "confirm_password", "a lantern over quiet water"}
	if turn := h.submit(f, "join", "name", "Zoë Guest"); turn.Again == nil || turn.Again.Typed != "Zoë Guest" {
		t.Errorf("without a password: %+v", turn)
	}
	if turn := h.submit(f, "join", form...); turn.Done == nil || turn.Done.Link != account.Valid || turn.Done.Session != nil {
		t.Errorf("%+v", turn)
	}
	again, err := h.store.Flow(t.Context(), f.ID, f.Browser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Submit(t.Context(), again, flows.Visit{}, "join", url.Values{}); !errors.Is(err, flows.ErrNoFlow) {
		t.Errorf("once more: %v", err)
	}
	if _, err := h.Show(t.Context(), again, flows.Visit{}, ""); !errors.Is(err, flows.ErrNoFlow) {
		t.Errorf("shown once more: %v", err)
	}
}

func TestSteps(t *testing.T) {
	h := newHouse(t)
	scope := func(change func(*flows.Flow)) func(*testing.T) *flows.Scope {
		return func(t *testing.T) *flows.Scope {
			s, err := h.Scope(context.WithoutCancel(t.Context()), h.begin(change), flows.Visit{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	n := 0
	for _, c := range []steptest.Case{
		{Step: flows.Identify{}, Scope: scope(nil), Good: url.Values{"identifier": {"grace"}}},
		{Step: flows.Password{}, Scope: scope(func(f *flows.Flow) { f.Typed = "grace" }),
			Good: url.Values{"password": {password}}},
		{Step: flows.NewPassword{}, Scope: scope(func(f *flows.Flow) {
			f.Kind, f.Account = flows.Reset, "grace"
			f.Facts = []flows.Fact{{Kind: flows.HoldsLink, Step: "link"}}
		}), Good: url.Values{"new_password": {"a lantern over quiet water"}, "confirm_password": {"a lantern over quiet water"}}},
		{Step: flows.Join{}, Scope: func(t *testing.T) *flows.Scope {
			n++
			return scope(h.invited(fmt.Sprintf("zoe%d@guest.example", n)))(t)
		},
			Good: url.Values{"name": {"Zoë Guest"}, "new_password": {"a lantern over quiet water"}, "confirm_password": {"a lantern over quiet water"}}},
	} {
		t.Run(string(c.Step.Name()), func(t *testing.T) { steptest.Run(t, c) })
	}
}
