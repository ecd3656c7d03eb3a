package provider

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Asking Support, for whoever cannot get in by themselves:
//
//	GET, POST /contact-support          the form, which opens a case
//	GET  /contact-support/case?token=   how it stands, by the link in the mail
//	POST /contact-support/case/confirm  the new address is theirs
//	POST /contact-support/case/withdraw it is not needed any more
//
// A GET changes nothing: mail scanners follow links.

// happenedMost is how many code points of what happened are taken.
const happenedMost = 2000

// contact says what Support needs in order to help, and asks for it.
func (p *Provider) contact(w http.ResponseWriter, r *http.Request) error {
	return p.site.Render(w, r, http.StatusOK,
		templates.Page{Name: "support", Flow: r.FormValue("flow"), Data: web.SupportPage{}})
}

// contacted opens a case. It promises nothing about any account, and needs no
// phone.
func (p *Provider) contacted(w http.ResponseWriter, r *http.Request) error {
	d := web.SupportPage{
		Name:     strings.TrimSpace(r.PostForm.Get("name")),
		Practice: strings.TrimSpace(r.PostForm.Get("practice")),
		NPI:      account.NormalNPI(r.PostForm.Get("npi")),
		Username: strings.TrimSpace(r.PostForm.Get("username")),
		Email:    strings.TrimSpace(r.PostForm.Get("email")),
		Happened: strings.TrimSpace(r.PostForm.Get("happened")),
	}
	if problems := p.supportProblems(r, d); len(problems) > 0 {
		return p.site.Render(w, r, http.StatusUnprocessableEntity,
			templates.Page{Name: "support", Flow: r.FormValue("flow"), Problems: problems, Data: d})
	}
	due := p.Desk.Due(p.engine.Now())
	id, err := p.Store.OpenCase(r.Context(), store.Claims{Name: d.Name, Practice: d.Practice, NPI: d.NPI,
		Username: d.Username, Email: account.Normalise(d.Email), Happened: d.Happened}, due, p.site.Lang(r), p.site.Source(r))
	if err != nil {
		return err
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "support_sent",
		Data: web.SupportSentPage{Reference: id, Due: due}})
}

// supportProblems names each field that has to be mended.
func (p *Provider) supportProblems(r *http.Request, d web.SupportPage) []templates.Problem {
	var out []templates.Problem
	say := func(bad bool, field, key string) {
		if bad {
			out = append(out, templates.Problem{Field: field, Text: p.site.Text(r, key, map[string]any{"n": happenedMost})})
		}
	}
	say(d.Name == "", "name", "err.name_empty")
	say(d.Practice == "", "practice", "err.practice_empty")
	say(d.NPI != "" && !account.ValidNPI(d.NPI), "npi", "err.npi")
	say(d.NPI == "" && d.Username == "", "npi", "err.npi_or_username")
	say(!web.LooksLikeEmail(account.Normalise(d.Email)), "email", "err.email_shape")
	for _, long := range []struct{ field, value string }{{"name", d.Name}, {"practice", d.Practice},
		{"username", d.Username}, {"email", d.Email}} {
		say(len(long.value) > 320, long.field, "err.field_long")
	}
	say(utf8.RuneCountInString(d.Happened) > happenedMost, "happened", "err.happened_long")
	return out
}

// caseStatus tells whoever has the link how their case stands.
func (p *Provider) caseStatus(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	c, err := p.Store.CaseByLink(r.Context(), account.HashSecret(token))
	if err != nil {
		return err
	}
	if c == nil {
		return p.site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
	}
	now := p.engine.Now()
	d := web.CasePage{Token: token, Reference: c.ID, State: string(c.State), Opened: c.Opened, Due: c.Due,
		Confirmed: !c.Confirmed.IsZero(), Closed: c.State.Closed(), Until: c.Until, Reply: c.Reply, Answered: !c.Answered.IsZero()}
	d.Overdue = !d.Closed && !d.Answered && !now.Before(c.Due)
	if c.Frozen && !c.State.Closed() {
		d.State = "frozen"
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "case_status", Data: d})
}

// confirmCase notes that the new address is read by whoever opened the case.
func (p *Provider) confirmCase(w http.ResponseWriter, r *http.Request) error {
	return p.toCase(w, r, p.Store.ConfirmCase)
}

// withdrawCase ends it.
func (p *Provider) withdrawCase(w http.ResponseWriter, r *http.Request) error {
	return p.toCase(w, r, p.Store.WithdrawCase)
}

// toCase does something to the case of a link, and leads back to how it stands.
func (p *Provider) toCase(w http.ResponseWriter, r *http.Request,
	do func(context.Context, []byte, account.Source) (bool, error)) error {
	hash := account.HashSecret(r.PostForm.Get("token"))
	if _, err := do(r.Context(), hash, p.site.Source(r)); err != nil {
		return err
	}
	c, err := p.Store.CaseByLink(r.Context(), hash)
	if err != nil {
		return err
	}
	if c == nil {
		return p.site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
	}
	p.site.SeeOther(w, r, "/contact-support/case?token="+url.QueryEscape(r.PostForm.Get("token")))
	return nil
}
