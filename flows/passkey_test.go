package flows_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/passkeytest"
	"github.com/medximity/idp/flows/steptest"
)

// withPasskeys is a house in which there are passkeys.
func withPasskeys(t *testing.T) *twoFactors {
	h := newTwoFactors(t)
	rp, err := account.NewRelyingParty("id.example", "Medximity", []string{"https://id.example"})
	if err != nil {
		t.Fatal(err)
	}
	h.Passkeys = rp
	h.Handle = func(id account.ID) []byte { sum := sha256.Sum256([]byte(id)); return sum[:] }
	h.Policies[flows.Login] = flows.Seq(flows.OneOf(flows.Identify{}, flows.Passkey{}),
		flows.When(flows.Unproven, flows.OneOf(flows.Password{}, flows.Passkey{})))
	h.Policies[flows.Enroll] = flows.Do(flows.SetUpPasskey{})
	return h
}

// challenge is what the flow's page wants to be signed.
func (h *twoFactors) challenge(f *flows.Flow, way flows.StepName) []byte {
	h.t.Helper()
	turn, err := h.Show(h.t.Context(), f, flows.Visit{}, way)
	if err != nil {
		h.t.Fatal(err)
	}
	var options string
	switch page := turn.Page.(type) {
	case flows.PasskeyPage:
		options = page.Options
	case flows.SetUpPasskeyPage:
		options = page.Options
	default:
		h.t.Fatalf("%s instead of %s", turn.Step, way)
	}
	var o struct{ Challenge string }
	b, err := []byte(nil), json.Unmarshal([]byte(options), &o)
	if err == nil {
		b, err = base64.RawURLEncoding.DecodeString(o.Challenge)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// adding begins a flow in which somebody adds a passkey.
func (h *twoFactors) adding(who account.ID) *flows.Flow {
	h.t.Helper()
	turn := h.submit(h.begin(nil), "identify", "identifier", string(who), "password", password)
	s := h.session(turn)
	return h.begin(func(f *flows.Flow) {
		f.Kind, f.Request.Change, f.Account, f.Session = flows.Enroll, flows.AddPasskey, who, s.ID
		f.Facts = []flows.Fact{{Kind: flows.KnowsPassword, Step: flows.FromSession, Methods: []string{"pwd"}, At: h.at}}
	})
}

// overtaken is a store in which something happens before a flow goes on in it.
type overtaken struct {
	flows.Store
	do func()
}

func (o *overtaken) Advance(ctx context.Context, f *flows.Flow, p flows.Progress) error {
	o.once()
	return o.Store.Advance(ctx, f, p)
}

func (o *overtaken) Finish(ctx context.Context, f *flows.Flow, p flows.Progress, s flows.NewSession) error {
	o.once()
	return o.Store.Finish(ctx, f, p, s)
}

func (o *overtaken) once() {
	if do := o.do; do != nil {
		o.do = nil
		do()
	}
}

// A credential that somebody else gets in between is refused as one that is known;
// a passkey that is used elsewhere in between has to be used once more. Neither is
// a fault, and the flow goes on.
func TestPasskeysThatAreOvertaken(t *testing.T) {
	h := withPasskeys(t)
	between := &overtaken{Store: h.Store}
	h.Store = between
	k, taken := passkeytest.New("id.example"), passkeytest.New("id.example")
	mine, theirs := h.adding("grace"), h.adding("newcomer")
	between.do = func() {
		if turn := h.submit(theirs, "set-up-passkey", "passkey", taken.Make(h.challenge(theirs, "set-up-passkey"), nil)); turn.Done == nil && turn.Again != nil {
			t.Fatalf("theirs: %+v", turn.Again)
		}
	}
	turn := h.submit(mine, "set-up-passkey", "passkey", taken.Make(h.challenge(mine, "set-up-passkey"), nil))
	if turn.Again == nil || turn.Again.Message.Key != "err.passkey_known" || turn.Step != "set-up-passkey" {
		t.Fatalf("%+v", turn)
	}
	k.Handle = h.Handle("grace")
	turn = h.submit(mine, "set-up-passkey", "passkey", k.Make(h.challenge(mine, "set-up-passkey"), nil))
	if turn.Done == nil {
		t.Fatalf("another one: %+v %+v", turn, turn.Again)
	}
	one, two := h.begin(nil), h.begin(nil)
	between.do = func() {
		if turn := h.submit(two, "passkey", "passkey", k.Use(h.challenge(two, "passkey"), nil)); turn.Done == nil {
			t.Fatalf("elsewhere: %+v", turn.Again)
		}
	}
	turn = h.submit(one, "passkey", "passkey", k.Use(h.challenge(one, "passkey"), nil))
	if turn.Again == nil || turn.Again.Message.Key != "err.passkey" || turn.Step != "passkey" {
		t.Fatalf("%+v", turn)
	}
	if turn = h.submit(one, "passkey", "passkey", k.Use(h.challenge(one, "passkey"), nil)); turn.Done == nil || turn.Done.Session.ACR != flows.ACRPhr {
		t.Errorf("once more: %+v", turn)
	}
}

func TestPasskeySteps(t *testing.T) {
	h := withPasskeys(t)
	k := passkeytest.New("id.example")
	f := h.adding("grace")
	k.Handle = h.Handle("grace")
	if turn := h.submit(f, "set-up-passkey", "passkey", k.Make(h.challenge(f, "set-up-passkey"), nil)); turn.Done == nil {
		t.Fatalf("%+v", turn.Again)
	}
	h.Draft = func(_, purpose string) []byte { sum := sha256.Sum256([]byte(purpose)); return sum[:] } // any flow's
	enrol := func(f *flows.Flow) {
		f.Kind, f.Request.Change, f.Account = flows.Enroll, flows.AddPasskey, "grace"
	}
	scope := func(change func(*flows.Flow)) func(*testing.T) *flows.Scope {
		return func(t *testing.T) *flows.Scope {
			// What is no answer counts against where it came from.
			s, err := h.Scope(context.WithoutCancel(t.Context()), h.begin(change), flows.Visit{Exempt: true})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	second := passkeytest.New("id.example")
	second.Handle = k.Handle
	for _, c := range []steptest.Case{
		{Step: flows.Passkey{}, Scope: scope(nil), Good: url.Values{"passkey": {k.Use(h.challenge(h.begin(nil), "passkey"), nil)}}},
		{Step: flows.SetUpPasskey{}, Scope: scope(enrol), Good: url.Values{"name": {"Laptop"},
			"passkey": {second.Make(h.challenge(h.begin(enrol), "set-up-passkey"), nil)}}},
	} {
		t.Run(string(c.Step.Name()), func(t *testing.T) { steptest.Run(t, c) })
	}
}
