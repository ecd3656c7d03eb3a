package flows

import (
	"context"

	"github.com/medximity/idp/flows/account"
)

// Join asks whoever opened an invitation for their name and a password, on one
// page, and with that makes their account. All else about it was said by whoever
// invited them. How they prove a second factor, if they must, they set up where
// it is first asked for: at the sign-in that follows.
type Join struct{}

// JoinPage is the data of templates/page/join.html.
type JoinPage struct {
	Practice string
	Email    string // their username; it cannot be changed here, for that is what the link proves
	Role     string
	Name     string // as typed
	Min, Max int    // of the password
}

// Name is "join".
func (Join) Name() StepName { return "join" }

// Field is the name.
func (Join) Field() string { return "name" }

// Applies to whoever holds an invitation.
func (Join) Applies(v View) Need {
	if v.Has(HoldsLink) && v.Invitation != nil {
		return Must
	}
	return Skip
}

// Show tells who invites whom, as what, and the rules of the password.
func (Join) Show(_ context.Context, s *Scope) (Page, error) {
	i := s.Invitation
	return JoinPage{Practice: i.PracticeName, Email: i.Email, Role: string(i.Role),
		Min: s.minPassword(), Max: account.MaxPassword}, nil
}

// Submit takes a name and a password by the rules. The name is among the words
// that the password must not be made of. It is kept on the page if something is
// wrong; a password is not.
func (j Join) Submit(ctx context.Context, s *Scope, form Form) (Outcome, error) {
	typed := form.Get("name")
	name, err := account.NormalName(typed)
	if key := misnomers[err]; key != "" {
		return Again{Field: "name", Message: Message{Key: key, Args: map[string]any{"n": account.MaxName}}, Typed: typed}, nil
	}
	secret, again := s.choose(form, append(s.ownWords(), name)...)
	if again != nil {
		again.Typed = typed
		return *again, nil
	}
	out, err := s.keep(ctx, j.Name(), secret)
	if passed, ok := out.(Passed); ok {
		passed.Name = name
		return passed, err
	}
	return out, err
}

// misnomers are the words for why a name is refused.
var misnomers = map[error]string{
	account.ErrNoName:   "err.name_empty",
	account.ErrLongName: "err.join_name_long",
	account.ErrBadName:  "err.join_name_odd",
}
