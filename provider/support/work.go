package support

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// What agents tell people are texts of ours: nobody who gets into the desk sends
// anybody a link, or a question for a code, in our name.
var (
	replies  = []string{"confirm", "identity", "practice", "call", "owner"}
	refusals = []string{"unproven", "not_needed", "owner"}
)

// textMost is how many code points of a note, a reason or evidence are kept.
const textMost = 2000

// problem is one with what an agent sent: field is its control, or "".
type problem struct{ field, key string }

// Error is for programs; the page has the key's words.
func (p problem) Error() string { return "support: " + p.key }

// act does something to a case, and tells it, or why it could not be.
func (d *Desk) act(do func(r *http.Request, by store.Agent, id string) error, notice string) func(http.ResponseWriter, *http.Request, store.Agent) error {
	return func(w http.ResponseWriter, r *http.Request, by store.Agent) error {
		id := r.PostForm.Get("id")
		err := do(r, by, id)
		switch {
		case err == nil:
			d.toCase(w, r, id, notice)
			return nil
		case errors.Is(err, store.ErrNoCase), errors.Is(err, store.ErrNotAllowed):
			return d.Site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
		}
		p, ok := problemOf(err)
		if !ok {
			return err
		}
		words := d.Site.Text(r, p.key, map[string]any{"n": textMost, "most": store.ApprovalsPerDay})
		return d.show(w, r, by, id, shown{[]templates.Problem{{Field: p.field, Text: words}}, typed(r)})
	}
}

// typed is what an agent wrote: nothing of it is lost if it could not be taken.
func typed(r *http.Request) map[string]string {
	all := map[string]string{}
	for name := range r.PostForm {
		all[name] = r.PostForm.Get(name)
	}
	return all
}

func problemOf(err error) (problem, bool) {
	if p, ok := errors.AsType[problem](err); ok {
		return p, true
	}
	refusal, ok := errors.AsType[store.Refusal](err)
	return problem{key: "err.case." + string(refusal)}, ok
}

// text is what an agent has to say to what they do: control is the form's.
func text(r *http.Request, control string) (string, error) {
	said := strings.TrimSpace(r.PostForm.Get(control))
	switch {
	case said == "":
		return "", problem{control, "err.case.text"}
	case utf8.RuneCountInString(said) > textMost:
		return "", problem{control, "err.happened_long"}
	}
	return said, nil
}

func (d *Desk) take(r *http.Request, by store.Agent, id string) error {
	return d.Store.TakeCase(r.Context(), by, id)
}

// choose sets whose account it is, and what is to be done.
func (d *Desk) choose(r *http.Request, by store.Agent, id string) error {
	c := store.Choice{Person: account.ID(r.PostForm.Get("person"))}
	c.Round, _ = strconv.ParseInt(r.PostForm.Get("round"), 10, 64)
	if c.Person == "" || c.Person == "other" {
		e, err := d.find(r, r.PostForm.Get("account"))
		if errors.Is(err, directory.ErrNotFound) {
			return problem{"account", "err.case.no_person"}
		}
		if err != nil {
			return err
		}
		c.Person = e.ID
	}
	for _, name := range flows.Remedies {
		if r.PostForm.Get("remedy-"+string(name)) != "" {
			c.Remedies = append(c.Remedies, name)
		}
	}
	return d.Store.ChooseCase(r.Context(), by, id, c)
}

// check ticks one item off, with its evidence.
func (d *Desk) check(r *http.Request, by store.Agent, id string) error {
	check := flows.Check(r.PostForm.Get("check"))
	if !slices.Contains(flows.Checks, check) {
		return problem{"", "err.case.not_now"}
	}
	said, err := text(r, "evidence-"+string(check))
	if err != nil {
		return err
	}
	return d.Store.CheckCase(r.Context(), by, id, check, said)
}

func (d *Desk) note(r *http.Request, by store.Agent, id string) error {
	said, err := text(r, "note")
	if err != nil {
		return err
	}
	return d.Store.NoteCase(r.Context(), by, id, said)
}

func (d *Desk) reveal(r *http.Request, by store.Agent, id string) error {
	said, err := text(r, "reason")
	if err != nil {
		return err
	}
	return d.Store.RevealCase(r.Context(), by, id, said)
}

func (d *Desk) reply(r *http.Request, by store.Agent, id string) error {
	reply := r.PostForm.Get("reply")
	if !slices.Contains(replies, reply) {
		return problem{"reply", "err.case.choose_reply"}
	}
	return d.Store.ReplyCase(r.Context(), by, id, reply)
}

// approve approves of what the agent saw.
func (d *Desk) approve(r *http.Request, by store.Agent, id string) error {
	round, err := strconv.ParseInt(r.PostForm.Get("round"), 10, 64)
	if err != nil {
		return store.CaseMoved
	}
	return d.Store.ApproveCase(r.Context(), by, id, round)
}

func (d *Desk) reject(r *http.Request, by store.Agent, id string) error {
	why := r.PostForm.Get("why")
	if !slices.Contains(refusals, why) {
		return problem{"why", "err.case.choose_reply"}
	}
	return d.Store.RejectCase(r.Context(), by, id, why)
}

func (d *Desk) thaw(r *http.Request, by store.Agent, id string) error {
	said, err := text(r, "thaw")
	if err != nil {
		return err
	}
	return d.Store.ThawCase(r.Context(), by, id, said)
}
