package support

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// one shows a case: what was claimed beside what is known, what was done, and what
// can be done next.
func (d *Desk) one(w http.ResponseWriter, r *http.Request, by store.Agent) error {
	return d.show(w, r, by, r.URL.Query().Get("id"), shown{})
}

// shown is what a page shows beside the case: what was wrong with the last answer,
// and what had been typed.
type shown struct {
	problems []templates.Problem
	typed    map[string]string // by control
}

func (d *Desk) show(w http.ResponseWriter, r *http.Request, by store.Agent, id string, s shown) error {
	c, err := d.Store.DeskCase(r.Context(), id)
	if errors.Is(err, store.ErrNoCase) {
		return d.Site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
	}
	if err != nil {
		return err
	}
	page, err := d.page(r, c, by)
	if err != nil {
		return err
	}
	page.Typed = s.typed
	status := http.StatusOK
	if len(s.problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return d.Site.Render(w, r, status, templates.Page{Name: "desk_case", Notice: d.notice(r), Problems: s.problems, Data: page})
}

// toCase leads back to a case, to tell what was done.
func (d *Desk) toCase(w http.ResponseWriter, r *http.Request, id, notice string) {
	path := "/support/case?id=" + url.QueryEscape(id)
	if notice != "" {
		path += "&notice=" + notice
	}
	d.Site.SeeOther(w, r, path)
}

// page is a case as an agent sees it.
func (d *Desk) page(r *http.Request, c *store.DeskCase, by store.Agent) (web.DeskCasePage, error) {
	now := d.Store.Now()
	p := web.DeskCasePage{
		CaseLine: web.CaseLine{ID: c.ID, State: stateOf(c.State, c.Frozen), Name: c.Claims.Name, Practice: c.Claims.Practice,
			Remedies: names(c.Remedies), Opened: c.Opened, Due: c.Due, Answered: !c.Answered.IsZero(), Closed: c.Closed,
			Overdue: c.Answered.IsZero() && !c.State.Closed() && !now.Before(c.Due), Yours: c.Agent == by.Account, Taken: c.Agent != ""},
		Email: c.Claims.Email, Happened: c.Claims.Happened, Confirmed: c.Confirmed, Strict: c.Strict, Round: c.Round, Reply: c.Reply,
		Revealed: c.Revealed(by.Account, now), Known: c.Known, Lacks: c.Lacks(), Approvers: len(c.Approvers),
		Approved: slices.Contains(c.Approvers, by.Account), Open: !c.State.Closed(), Frozen: c.Frozen,
		Begun: c.State != flows.CaseOpen, Waiting: c.State == flows.CaseWaiting,
		Replies: replies, Refusals: refusals, Alike: c.Alike, Minutes: int(store.RevealFor.Minutes()),
	}
	if p.Waiting {
		p.Until = c.Until
	}
	for _, name := range flows.Remedies {
		p.Choices = append(p.Choices, web.RemedyChoice{Name: string(name), Chosen: slices.Contains(c.Remedies, name)})
	}
	for _, name := range flows.Checks {
		p.Checks = append(p.Checks, web.CheckLine{Name: string(name), Done: slices.Contains(c.Checks, name)})
	}
	for _, e := range c.Log {
		p.Log = append(p.Log, logLine(e))
	}
	if err := d.people(r, c, &p); err != nil {
		return p, err
	}
	return p, d.facts(r, c, &p)
}

func logLine(e store.CaseEntry) web.CaseLogLine {
	l := web.CaseLogLine{At: e.At, Who: e.Name, Action: string(e.Action), Text: e.Text}
	switch e.Action {
	case flows.CaseCheck:
		l.Item = "check." + e.Item
	case flows.CaseReply, flows.CaseReject:
		l.Item = "case.reply." + e.Item
	}
	return l
}

// people are the accounts that a case may be about: the one that was chosen, and
// those of what was claimed.
func (d *Desk) people(r *http.Request, c *store.DeskCase, p *web.DeskCasePage) error {
	add := func(id account.ID, by string) {
		if !slices.ContainsFunc(p.People, func(o web.PersonChoice) bool { return o.ID == string(id) }) {
			p.People = append(p.People, web.PersonChoice{ID: string(id), By: by, Chosen: id == c.Person})
		}
	}
	if c.Known {
		add(c.Person, "chosen")
	}
	if c.State.Closed() {
		return nil
	}
	for _, by := range []struct{ name, value string }{{"username", c.Claims.Username}, {"email", c.Claims.Email}} {
		switch e, err := d.find(r, by.value); {
		case err == nil:
			add(e.ID, by.name)
		case !errors.Is(err, directory.ErrNotFound):
			return err
		}
	}
	same, err := d.Store.PeopleByNPI(r.Context(), c.Claims.NPI)
	for _, id := range same {
		add(id, "npi")
	}
	return err
}

// find looks an account up by what its person may type to sign in.
func (d *Desk) find(r *http.Request, identifier string) (*directory.Entry, error) {
	key := account.Normalise(identifier)
	if key == "" {
		return nil, directory.ErrNotFound
	}
	return d.Directory.Lookup(r.Context(), directory.ByIdentifier, key)
}

// facts set what was claimed beside what the directory holds of the person whom
// the case is about, and the registry of the NPI. What is held is shown only to
// who said why.
func (d *Desk) facts(r *http.Request, c *store.DeskCase, p *web.DeskCasePage) error {
	e := &directory.Entry{}
	if c.Known {
		found, err := d.Directory.Lookup(r.Context(), directory.ByID, string(c.Person))
		switch {
		case err == nil:
			e = found
			if err := d.standing(r, e, p); err != nil {
				return err
			}
		case !errors.Is(err, directory.ErrNotFound):
			return err
		}
	}
	npi, _ := e.Claims["npi"].(string)
	phone, _ := e.Claims["phone_number"].(string)
	p.Phone = phone != ""
	same := func(a, b string) bool { return account.Normalise(a) == account.Normalise(b) }
	p.Facts = []web.FactLine{
		fact("name", c.Claims.Name, e.Name, account.SameName),
		fact("practice", c.Claims.Practice, e.PracticeName, account.SameName),
		fact("npi", c.Claims.NPI, npi, same),
		fact("username", c.Claims.Username, e.Username, same),
		fact("email", c.Claims.Email, e.Email, same),
		fact("phone", "", phone, same),
	}
	if c.Claims.NPI != "" {
		fits, err := d.Registered(c.Claims.NPI, c.Claims.Name)
		if err != nil {
			return err
		}
		if fits != "" {
			p.Facts = append(p.Facts, web.FactLine{What: "registry", Claimed: c.Claims.Name, Fits: fits})
		}
	}
	if !p.Revealed {
		for i := range p.Facts {
			p.Facts[i].Stored = ""
		}
	}
	return nil
}

func fact(what, claimed, stored string, same func(a, b string) bool) web.FactLine {
	f := web.FactLine{What: what, Claimed: claimed, Stored: stored, Fits: "unknown"}
	switch {
	case strings.TrimSpace(claimed) == "" || stored == "":
	case same(claimed, stored):
		f.Fits = "yes"
	default:
		f.Fits = "no"
	}
	return f
}

// standing is how the account stands: what a remedy depends on.
func (d *Desk) standing(r *http.Request, e *directory.Entry, p *web.DeskCasePage) error {
	st, err := d.Store.Standing(r.Context(), e.ID)
	if err != nil {
		return err
	}
	second, err := d.Store.Second(r.Context(), e.ID)
	if err != nil {
		return err
	}
	p.Role, p.Second = e.Role, second.Any()
	p.Status = string(store.StatusOf(st, e.Disabled, d.Store.Now()))
	return nil
}

// trail shows what happened to the account of a case, to an agent who said why
// they look.
func (d *Desk) trail(w http.ResponseWriter, r *http.Request, by store.Agent) error {
	c, err := d.Store.DeskCase(r.Context(), r.URL.Query().Get("id"))
	if errors.Is(err, store.ErrNoCase) {
		return d.Site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
	}
	if err != nil {
		return err
	}
	if !c.Revealed(by.Account, d.Store.Now()) {
		d.toCase(w, r, c.ID, "")
		return nil
	}
	all, err := d.Store.Activity(r.Context(), c.Person, listed)
	if err != nil {
		return err
	}
	page := web.DeskTrailPage{ID: c.ID}
	for _, a := range all {
		if line, ok := web.ActivityLineOf(a); ok {
			page.Lines = append(page.Lines, line)
		}
	}
	return d.Site.Render(w, r, http.StatusOK, templates.Page{Name: "desk_trail", Data: page})
}
