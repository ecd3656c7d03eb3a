package flows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// Engine is the dispatcher: it works out from the facts what is asked next,
// gives answers to the step they are for, and ends the flow when nothing is
// left to ask.
type Engine struct {
	Policies  map[Kind]Policy
	Store     Store
	Directory directory.Directory
	Guard     account.Guard
	Hasher    *account.Hasher
	Rules     account.PasswordRules
	// Shadow is the key under which an identifier that nobody has is counted:
	// a keyed hash, so that the store does not collect what strangers typed.
	Shadow func(identifier string) string
	// Draft returns 32 secret bytes, the same for the same flow and purpose:
	// what a page shows that is not stored before it is confirmed.
	Draft func(flow, purpose string) []byte
	// Passkeys judges them; nil: there are none. Handle is what authenticators call
	// an account by: a keyed hash, for they keep it.
	Passkeys *account.RelyingParty
	Handle   func(account.ID) []byte
	// Require says whose second factor is required, beyond their practice's
	// and the app's demand.
	Require account.Requirement
	// Issuer is the name by which authenticators list their codes.
	Issuer string
	Now    func() time.Time
	// Idle and Absolute bound sessions.
	Idle, Absolute time.Duration
}

// Visit is what the host knows of the request that a flow goes on in.
type Visit struct {
	Source  account.Source
	Exempt  bool // from limits by source
	Known   func(account.ID) bool
	Devices func(account.ID) account.Device // nil: none has tries of its own
	Session NewSession                      // what a session would be made of
}

// Turn is where a flow stands after a request: exactly one of a step to show,
// a stop, or done.
type Turn struct {
	Step   StepName
	Page   Page
	Again  *Again     // why the step is shown once more
	Others []StepName // other ways to the same end
	Stop   *Stop
	Done   *Done
}

// Done is what a finished flow ended in.
type Done struct {
	Account account.ID
	Session *NewSession    // of a login
	Link    account.Reason // of a reset or an invitation: Valid, or why the link was worth nothing
}

// Begin starts a flow.
func (e *Engine) Begin(ctx context.Context, f *Flow) error {
	f.Started = e.Now()
	switch f.Kind {
	case Reset:
		f.Expires = f.Started.Add(ResetFor)
	case Invite:
		f.Expires = f.Started.Add(InviteFor)
	default:
		f.Expires = f.Started.Add(LoginFor)
	}
	return e.Store.Begin(ctx, f)
}

// Show returns what the flow asks now, in the way that is named if it is one of
// those that would do. It changes nothing, and remembers no choice: which way
// is taken is known when it was gone (CVE-2026-18963).
func (e *Engine) Show(ctx context.Context, f *Flow, v Visit, way StepName) (*Turn, error) {
	s, err := e.Scope(ctx, f, v)
	if err != nil {
		return nil, err
	}
	if step := e.pick(s.View, way); step != nil {
		return e.show(ctx, s, step, nil)
	}
	return e.ask(ctx, s)
}

// Submit gives the form to the step called name, if that is due, and to those
// after it while the form answers them too, up to a secret. What it proves is
// written once, at the end. An answer out of turn changes nothing and shows
// what is due.
func (e *Engine) Submit(ctx context.Context, f *Flow, v Visit, name StepName, form Form) (*Turn, error) {
	s, err := e.Scope(ctx, f, v)
	if err != nil {
		return nil, err
	}
	var p Progress
	var last Step
	for {
		step := e.pick(s.View, name)
		if last != nil && step == nil {
			step = e.answered(s.View, form)
		}
		// A form answers no more once a secret was judged: that is settled
		// before the next one is charged. Nor does one that answered with a
		// passkey: it is none to the step that makes one.
		if step == nil || p.Lease.Valid() || p.Passkey != nil {
			return e.write(ctx, s, v, p, last)
		}
		out, err := step.Submit(ctx, s, form)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", step.Name(), err)
		}
		switch o := out.(type) {
		case Again:
			t, err := e.show(ctx, s, step, &o)
			if last != nil && err == nil {
				t.Step = name // nothing was written: the form answers all of it again
			}
			return t, err
		case Stop:
			return &Turn{Stop: &o}, nil
		case Passed:
			if err := e.pass(ctx, s, o, &p); err != nil {
				return nil, err
			}
			if !s.PassedStep(step.Name()) {
				return nil, fmt.Errorf("step %s: passed without a fact of its own: it would be due for ever", step.Name())
			}
			last = step
		}
	}
}

// pick returns the due step called name, or nil.
func (e *Engine) pick(v View, name StepName) Step {
	for _, s := range e.Policies[v.Kind].due(v) {
		if s.Name() == name {
			return s
		}
	}
	return nil
}

// answered returns the due step that the form answers as well, or nil.
func (e *Engine) answered(v View, form Form) Step {
	for _, s := range e.Policies[v.Kind].due(v) {
		if form.Has(s.Field()) {
			return s
		}
	}
	return nil
}

// write makes what was proven durable, and ends the flow if nothing is due.
func (e *Engine) write(ctx context.Context, s *Scope, v Visit, p Progress, last Step) (*Turn, error) {
	if last == nil {
		return e.ask(ctx, s)
	}
	if len(e.Policies[s.Kind].due(s.View)) > 0 {
		if err := e.Store.Advance(ctx, s.Flow, p); err != nil {
			return e.verdict(ctx, s, p, last, err)
		}
		return e.ask(ctx, s)
	}
	switch s.Kind {
	case Reset:
		fate, err := e.Store.Redeem(ctx, s.Flow, p)
		return &Turn{Done: &Done{Account: s.Account, Link: fate}}, err
	case Invite:
		fate, err := e.Store.Accept(ctx, s.Flow, p)
		return &Turn{Done: &Done{Link: fate}}, err
	}
	sess := v.Session
	sess.Token = account.NewSecret()
	sess.Methods, sess.ACR, sess.AuthTime = s.Methods(), s.ACR(), s.authTime()
	sess.Idle, sess.Absolute = e.Idle, e.Absolute
	if err := e.Store.Finish(ctx, s.Flow, p, sess); err != nil {
		return e.verdict(ctx, s, p, last, err)
	}
	return &Turn{Done: &Done{Account: s.Account, Session: &sess}}, nil
}

// verdict turns a refusal by the store into a stop, or into the step once more:
// a code that was used up elsewhere while it was judged here was wrong.
func (e *Engine) verdict(ctx context.Context, s *Scope, p Progress, last Step, err error) (*Turn, error) {
	switch {
	case errors.Is(err, account.ErrBusy):
		// A right answer that comes to nothing, as the account was locked or
		// reset while it was judged. It is not left to lapse, and to count.
		if !p.Lease.Valid() {
			return &Turn{Stop: &Stop{Reason: account.ErrBusy}}, nil
		}
		return &Turn{Stop: &Stop{Reason: account.ErrBusy}}, s.release(ctx, p.Lease)
	case !errors.Is(err, account.ErrReplayed):
		return nil, err
	case p.NewPasskey != nil: // somebody else's, by now
		return e.again(ctx, s, last, account.PasskeyKnown)
	case p.Passkey != nil: // removed, or used elsewhere too
		return e.show(ctx, s, last, &Again{Message: Message{Key: "err.passkey"}})
	}
	out, err := s.refuse(ctx, last, p.Lease, account.ReplayedCode)
	if err != nil {
		return nil, err
	}
	if stop, ok := out.(Stop); ok {
		return &Turn{Stop: &stop}, nil
	}
	again := out.(Again)
	return e.show(ctx, s, last, &again)
}

// ask shows the first step that is due.
func (e *Engine) ask(ctx context.Context, s *Scope) (*Turn, error) {
	due := e.Policies[s.Kind].due(s.View)
	if len(due) == 0 {
		return nil, ErrNoFlow // over: a finished flow has nothing to show
	}
	return e.show(ctx, s, due[0], nil)
}

func (e *Engine) show(ctx context.Context, s *Scope, step Step, again *Again) (*Turn, error) {
	page, err := step.Show(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", step.Name(), err)
	}
	t := &Turn{Step: step.Name(), Page: page, Again: again}
	for _, o := range e.Policies[s.Kind].due(s.View) {
		if o.Name() != t.Step {
			t.Others = append(t.Others, o.Name())
		}
	}
	return t, nil
}

// Scope gathers what the steps may reach in this request.
func (e *Engine) Scope(ctx context.Context, f *Flow, v Visit) (*Scope, error) {
	f.From = v.Source
	s := &Scope{View: View{Flow: f, Passkeys: e.Passkeys != nil}, Now: e.Now(), Exempt: v.Exempt, Known: v.Known, Devices: v.Devices,
		guard: e.Guard, store: e.Store, directory: e.Directory, hasher: e.Hasher,
		rules: e.Rules, shadow: e.Shadow, require: e.Require, draft: e.Draft, issuer: e.Issuer, passkeys: e.Passkeys, handle: e.Handle}
	if f.Kind == Invite {
		return s, s.invited(ctx)
	}
	if f.Account == "" {
		return s, nil
	}
	person, err := e.Directory.Lookup(ctx, directory.ByID, string(f.Account))
	if err != nil {
		return nil, err
	}
	if person.Disabled { // since the flow began
		return nil, ErrNoFlow
	}
	s.know(person)
	return s, s.equipped(ctx)
}

// Requires reports whether the person must have a second factor, whatever app
// they come from.
func (e *Engine) Requires(p *directory.Entry) bool { return p.RequireSecond || e.Require.Of(p.Role) }

// know makes the person known to the policy.
func (s *Scope) know(e *directory.Entry) {
	s.Person, s.Account, s.Practice = e, e.ID, e.Practice
	s.Required = e.RequireSecond || s.require.Of(e.Role)
}

// invited makes the invitation known to the policy. One that is worth nothing
// any more leads to nothing.
func (s *Scope) invited(ctx context.Context) error {
	i, err := s.store.Invitation(ctx, s.Link)
	if err != nil {
		return err
	}
	if i.Fate != account.Valid {
		return ErrNoFlow
	}
	s.Invitation, s.Required = &i, i.RequireSecond || s.require.Of(string(i.Role))
	return nil
}

// equipped finds out what second factor they have.
func (s *Scope) equipped(ctx context.Context) (err error) {
	s.Second, err = s.store.Second(ctx, s.Account)
	return err
}

// pass adds what a step proved to the flow and to what will be written.
func (e *Engine) pass(ctx context.Context, s *Scope, o Passed, p *Progress) error {
	for i := range o.Facts {
		o.Facts[i].At = s.Now
	}
	s.Facts = append(s.Facts, o.Facts...)
	if o.Typed != "" {
		s.Typed = o.Typed
	}
	if o.Person != nil && (s.Person == nil || s.Account != o.Person.ID) {
		s.know(o.Person)
		if o.Passkey != nil { // nothing was charged, which would have told
			s.Epoch, s.Locks = o.Holder.Epoch, o.Holder.Locks
		}
		s.Flow.Device = o.Lease.Attempt().Device.Guard
		// The charge saw whether there is a second factor: for whoever has
		// none that spares a question. The store makes sure of it again.
		if o.Lease.HasSecond() || !o.Lease.Valid() {
			if err := s.equipped(ctx); err != nil {
				return s.faulted(ctx, o.Lease, err)
			}
		}
	}
	if o.Lease.Valid() {
		p.Lease, p.Burn = o.Lease, o.Burn
	}
	if o.Passkey != nil {
		p.Passkey = o.Passkey
	}
	if o.Hash != "" {
		p.Hash, p.Short = o.Hash, o.Short
	}
	if o.Name != "" {
		p.Name = o.Name
	}
	if !o.AskPasskey.IsZero() {
		p.AskPasskey = o.AskPasskey
	}
	s.equip(o, p)
	return nil
}

// equip brings the person's second factor up to what will be written.
func (s *Scope) equip(o Passed, p *Progress) {
	if o.Burn != nil && o.Burn.Backup != nil {
		s.Second.Codes--
	}
	if o.Authenticator != nil {
		p.Authenticator = o.Authenticator
		s.Second.Authenticators++
	}
	if o.NewPasskey != nil {
		p.NewPasskey = o.NewPasskey
		s.Second.Passkeys++
	}
	if o.Codes != nil {
		p.Codes = o.Codes
		s.Second.Codes = len(o.Codes.Unused)
	}
}
