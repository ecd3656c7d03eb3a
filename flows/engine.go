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
	Now    func() time.Time
	// Idle and Absolute bound sessions.
	Idle, Absolute time.Duration
}

// Visit is what the host knows of the request that a flow goes on in.
type Visit struct {
	Source  account.Source
	Exempt  bool // from limits by source
	Known   func(account.ID) bool
	Session NewSession // what a session would be made of
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
	Link    account.Reason // of a reset: Valid, or why the link was worth nothing
}

// Begin starts a flow.
func (e *Engine) Begin(ctx context.Context, f *Flow) error {
	f.Started = e.Now()
	switch f.Kind {
	case Reset:
		f.Expires = f.Started.Add(ResetFor)
	default:
		f.Expires = f.Started.Add(LoginFor)
	}
	return e.Store.Begin(ctx, f)
}

// Show returns what the flow asks now. It changes nothing.
func (e *Engine) Show(ctx context.Context, f *Flow, v Visit) (*Turn, error) {
	s, err := e.Scope(ctx, f, v)
	if err != nil {
		return nil, err
	}
	return e.ask(ctx, s, nil)
}

// Submit gives the form to the step called name, if that is due, and to those
// after it while the form answers them too. What it proves is written once, at
// the end. An answer out of turn changes nothing and shows what is due.
func (e *Engine) Submit(ctx context.Context, f *Flow, v Visit, name StepName, form Form) (*Turn, error) {
	s, err := e.Scope(ctx, f, v)
	if err != nil {
		return nil, err
	}
	var p Progress
	for proven := false; ; proven = true {
		step := e.pick(s.View, name)
		if step == nil && proven {
			step = e.answered(s.View, form)
		}
		if step == nil {
			return e.write(ctx, s, v, p, proven)
		}
		out, err := step.Submit(ctx, s, form)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", step.Name(), err)
		}
		switch o := out.(type) {
		case Again:
			t, err := e.show(ctx, s, step, &o)
			if proven && err == nil {
				t.Step = name // nothing was written: the form answers all of it again
			}
			return t, err
		case Stop:
			return &Turn{Stop: &o}, nil
		case Passed:
			if s.pass(o, &p); !s.PassedStep(step.Name()) {
				return nil, fmt.Errorf("step %s: passed without a fact of its own: it would be due for ever", step.Name())
			}
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
func (e *Engine) write(ctx context.Context, s *Scope, v Visit, p Progress, proven bool) (*Turn, error) {
	if !proven {
		return e.ask(ctx, s, nil)
	}
	if len(e.Policies[s.Kind].due(s.View)) > 0 {
		if err := e.Store.Advance(ctx, s.Flow, p); err != nil {
			return verdict(err)
		}
		return e.ask(ctx, s, nil)
	}
	if s.Kind == Reset {
		fate, err := e.Store.Redeem(ctx, s.Flow, p.Hash)
		return &Turn{Done: &Done{Account: s.Account, Link: fate}}, err
	}
	sess := v.Session
	sess.Token = account.NewSecret()
	sess.Methods = s.Methods()
	sess.ACR = ACR(sess.Methods)
	sess.Idle, sess.Absolute = e.Idle, e.Absolute
	if err := e.Store.Finish(ctx, s.Flow, p, sess); err != nil {
		return verdict(err)
	}
	return &Turn{Done: &Done{Account: s.Account, Session: &sess}}, nil
}

// verdict turns a refusal by the store into a stop.
func verdict(err error) (*Turn, error) {
	if errors.Is(err, account.ErrBusy) {
		return &Turn{Stop: &Stop{Reason: account.ErrBusy}}, nil
	}
	return nil, err
}

// ask shows the first step that is due.
func (e *Engine) ask(ctx context.Context, s *Scope, again *Again) (*Turn, error) {
	due := e.Policies[s.Kind].due(s.View)
	if len(due) == 0 {
		return nil, ErrNoFlow // over: a finished flow has nothing to show
	}
	return e.show(ctx, s, due[0], again)
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
	s := &Scope{View: View{Flow: f}, Now: e.Now(), Exempt: v.Exempt, Known: v.Known,
		guard: e.Guard, store: e.Store, directory: e.Directory, hasher: e.Hasher,
		rules: e.Rules, shadow: e.Shadow}
	if f.Account == "" {
		return s, nil
	}
	var err error
	s.Person, err = e.Directory.Lookup(ctx, directory.ByID, string(f.Account))
	return s, err
}

// pass adds what a step proved to the flow and to what will be written.
func (s *Scope) pass(o Passed, p *Progress) {
	for i := range o.Facts {
		o.Facts[i].At = s.Now
	}
	s.Facts = append(s.Facts, o.Facts...)
	if o.Typed != "" {
		s.Typed = o.Typed
	}
	if o.Person != nil {
		s.Person, s.Account, s.Practice = o.Person, o.Person.ID, o.Person.Practice
	}
	if o.Lease.Valid() {
		p.Lease = o.Lease
	}
	if o.Hash != "" {
		p.Hash = o.Hash
	}
}

// The authentication context classes we name (OIDC Core section 2, acr).
const (
	ACR1FA = "urn:medximity:acr:1fa"
	ACR2FA = "urn:medximity:acr:2fa"
)

// ACR returns the class that the methods reach.
func ACR(methods []string) string {
	for _, m := range methods {
		if m == "mfa" {
			return ACR2FA
		}
	}
	return ACR1FA
}
