package flows_test

import (
	"context"
	"strings"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/directory"
)

// named is a step that only has a name and a need.
type named struct {
	name flows.StepName
	need flows.Need
}

func (n named) Name() flows.StepName          { return n.name }
func (n named) Field() string                 { return string(n.name) }
func (n named) Applies(flows.View) flows.Need { return n.need }
func (n named) Show(context.Context, *flows.Scope) (flows.Page, error) {
	return string(n.name), nil
}

func (n named) Submit(_ context.Context, _ *flows.Scope, form flows.Form) (flows.Outcome, error) {
	if form.Get(string(n.name)) != "good" {
		return flows.Again{Field: string(n.name)}, nil
	}
	return flows.Passed{Facts: []flows.Fact{{Kind: "test", Step: n.name}}}, nil
}

func TestPolicy(t *testing.T) {
	sso, passkey := named{"sso", flows.Skip}, named{"passkey", flows.Offer}
	password, change := named{"password", flows.Must}, named{"change", flows.Must}
	policy := flows.Seq(flows.OneOf(sso, passkey, password), flows.When(flows.MustChange, flows.Do(change)))
	for _, tt := range []struct {
		name       string
		passed     string
		mustChange bool
		want       string
	}{
		{"what must be asked comes before what is offered", "", false, "password passkey"},
		{"any one of the ways will do", "passkey", false, ""},
		{"a condition that holds asks for more", "password", true, "change"},
		{"and ends when that is done", "password change", true, ""},
		{"a later part alone does not stand for an earlier one", "change", true, "password passkey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := flows.View{Flow: &flows.Flow{Kind: flows.Login}, Person: &directory.Entry{MustChange: tt.mustChange}}
			for n := range strings.FieldsSeq(tt.passed) {
				v.Facts = append(v.Facts, flows.Fact{Step: flows.StepName(n)})
			}
			if got := flows.Due(policy, v); got != tt.want {
				t.Errorf("due %q, want %q", got, tt.want)
			}
		})
	}
}
