package flows

// Policy says which steps a flow needs, as a value that reads like a table:
//
//	Seq(identify, OneOf(sso, passkey, password), When(mustChange, newPassword))
type Policy interface {
	// due returns what could be asked next, best first; empty when there is
	// nothing left to ask.
	due(v View) []Step
}

// Seq needs each part, in order.
func Seq(parts ...Policy) Policy { return seq(parts) }

type seq []Policy

func (s seq) due(v View) []Step {
	for _, p := range s {
		if d := p.due(v); len(d) > 0 {
			return d
		}
	}
	return nil
}

// OneOf needs one of its steps; any of those that apply will do.
func OneOf(steps ...Step) Policy { return oneOf(steps) }

type oneOf []Step

func (o oneOf) due(v View) []Step {
	var first, more []Step
	for _, s := range o {
		if v.PassedStep(s.Name()) {
			return nil
		}
		switch s.Applies(v) {
		case Must:
			first = append(first, s)
		case Offer:
			more = append(more, s)
		case Skip:
		}
	}
	return append(first, more...)
}

// Do needs one step, where it applies.
func Do(s Step) Policy { return oneOf{s} }

// When needs a part only if the condition holds.
func When(cond func(View) bool, p Policy) Policy { return when{cond, p} }

type when struct {
	cond func(View) bool
	part Policy
}

func (w when) due(v View) []Step {
	if !w.cond(v) {
		return nil
	}
	return w.part.due(v)
}

// Unproven holds while nothing of whoever is there was proven, but by a link.
func Unproven(v View) bool {
	return !v.Has(KnowsPassword) && !v.Has(HoldsSecond) && !v.Has(VerifiedUser)
}

// OnlyHeld holds for a person who showed something that they have, such as a
// passkey whose authenticator knows nobody, and nothing of themselves.
func OnlyHeld(v View) bool {
	return v.Has(HoldsSecond) && !v.Has(KnowsPassword) && !v.Has(VerifiedUser)
}

// MustChange holds for a person whose password has to be changed first: it was
// given to them, or is too short to be the only factor, and is.
func MustChange(v View) bool {
	return v.Person != nil && (v.Person.MustChange || v.Person.ShortPassword && !v.Required)
}

// NeedsSecond holds for a person who signs in with two factors: whoever has a
// second one, and whoever must have it, by practice, role or the app.
func NeedsSecond(v View) bool {
	return v.Person != nil && (v.Second.Any() || v.Required || v.Request.Second)
}

// Changes holds in a flow that is there for the change.
func Changes(c Change) func(View) bool {
	return func(v View) bool { return v.Kind == Enroll && v.Request.Change == c }
}
