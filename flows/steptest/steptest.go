// Package steptest is the conformance kit for steps: ours pass it, and so must
// those that a host brings. It judges only what every step owes the engine,
// never what the step asks.
package steptest

import (
	"context"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/medximity/idp/flows"
)

// Case is a step with what it needs to be tried.
type Case struct {
	Step flows.Step
	// Scope returns a new scope in which the step is due.
	Scope func(t *testing.T) *flows.Scope
	// Good is an answer that passes.
	Good flows.Form
}

var stable = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Run tries the step.
func Run(t *testing.T, c Case) {
	t.Run("its name fits a URL and a metric label", func(t *testing.T) {
		if n := string(c.Step.Name()); !stable.MatchString(n) {
			t.Errorf("Name() = %q, want lower-case words and hyphens", n)
		}
		if c.Step.Field() == "" {
			t.Error("Field() is empty: the engine cannot tell whether a form answers the step")
		}
	})
	t.Run("applies without changing anything", func(t *testing.T) { applies(t, c) })
	t.Run("shows the same page twice", func(t *testing.T) { shows(t, c) })
	t.Run("asks again for what is no answer", func(t *testing.T) { refuses(t, c) })
	t.Run("passes with facts of its own", func(t *testing.T) { passes(t, c) })
}

func applies(t *testing.T, c Case) {
	s := c.Scope(t)
	before := *s.Flow
	first, second := c.Step.Applies(s.View), c.Step.Applies(s.View)
	if first == flows.Skip {
		t.Fatal("the case's scope is one in which the step is not due")
	}
	if first != second {
		t.Errorf("Applies gave %v, then %v for the same view", first, second)
	}
	if !reflect.DeepEqual(before, *s.Flow) {
		t.Error("Applies changed the flow")
	}
}

func shows(t *testing.T, c Case) {
	s := c.Scope(t)
	before := *s.Flow
	first, err := c.Step.Show(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Step.Show(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("Show gave %+v, then %+v: a GET must burn nothing", first, second)
	}
	if !reflect.DeepEqual(before, *s.Flow) {
		t.Error("Show changed the flow")
	}
}

// nonsense is what people, scanners and attackers send instead of answers.
var nonsense = []string{"", " ", "\x00", "\xff\xfe", strings.Repeat("a", 1<<20), "'; DROP TABLE guards; --", "<script>alert(1)</script>"}

func refuses(t *testing.T, c Case) {
	for _, junk := range nonsense {
		form := url.Values{c.Step.Field(): {junk}}
		out, err := c.Step.Submit(context.WithoutCancel(t.Context()), c.Scope(t), form)
		if err != nil {
			t.Errorf("%.20q: a wrong answer is an Outcome, not the fault %v", junk, err)
		}
		if p, ok := out.(flows.Passed); ok && proves(p) {
			t.Errorf("%.20q passed", junk)
		}
	}
}

// proves reports whether the facts prove anything; an identifier does not.
func proves(p flows.Passed) bool {
	for _, f := range p.Facts {
		if f.Kind != flows.Identified {
			return true
		}
	}
	return p.Hash != "" || p.Person != nil
}

func passes(t *testing.T, c Case) {
	s := c.Scope(t)
	out, err := c.Step.Submit(t.Context(), s, c.Good)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := out.(flows.Passed)
	if !ok {
		t.Fatalf("the good answer gave %#v", out)
	}
	if len(p.Facts) == 0 {
		t.Error("passed without a fact: the policy would ask again for ever")
	}
	for _, f := range p.Facts {
		if f.Step != c.Step.Name() {
			t.Errorf("a fact of step %q, want %q", f.Step, c.Step.Name())
		}
	}
}
