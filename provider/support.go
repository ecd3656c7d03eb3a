package provider

import (
	"net/http"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// contact says what Support needs in order to help, and asks for it.
func (p *Provider) contact(w http.ResponseWriter, r *http.Request) error {
	return p.site.Render(w, r, http.StatusOK,
		templates.Page{Name: "support", Flow: r.FormValue("flow"), Data: web.SupportPage{}})
}

// contacted mails what was filled in to the support address. It promises
// nothing about any account, and needs no phone.
func (p *Provider) contacted(w http.ResponseWriter, r *http.Request) error {
	d := web.SupportPage{
		Name:     strings.TrimSpace(r.PostForm.Get("name")),
		Practice: strings.TrimSpace(r.PostForm.Get("practice")),
		NPI:      account.NormalNPI(r.PostForm.Get("npi")),
		Username: strings.TrimSpace(r.PostForm.Get("username")),
		Email:    strings.TrimSpace(r.PostForm.Get("email")),
	}
	if problems := p.supportProblems(r, d); len(problems) > 0 {
		return p.site.Render(w, r, http.StatusUnprocessableEntity,
			templates.Page{Name: "support", Flow: r.FormValue("flow"), Problems: problems, Data: d})
	}
	ref := strings.ToUpper(account.NewSecret()[:8])
	err := p.Store.QueueMail(r.Context(), store.Mail{Template: "support_request", Locale: p.site.Lang(r), Data: map[string]any{
		"reference": ref, "name": d.Name, "practice": d.Practice, "npi": d.NPI, "username": d.Username, "email": d.Email,
	}}, account.Event{Kind: account.SupportAsked, By: account.BySelf, Source: p.site.Source(r)})
	if err != nil {
		return err
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "support_sent",
		Data: web.SupportSentPage{Reference: ref, Due: p.Desk.Due(p.engine.Now())}})
}

// supportProblems names each field that has to be mended.
func (p *Provider) supportProblems(r *http.Request, d web.SupportPage) []templates.Problem {
	var out []templates.Problem
	say := func(bad bool, field, key string) {
		if bad {
			out = append(out, templates.Problem{Field: field, Text: p.site.Text(r, key, nil)})
		}
	}
	say(d.Name == "", "name", "err.name_empty")
	say(d.Practice == "", "practice", "err.practice_empty")
	say(d.NPI != "" && !account.ValidNPI(d.NPI), "npi", "err.npi")
	say(d.NPI == "" && d.Username == "", "npi", "err.npi_or_username")
	say(!web.LooksLikeEmail(d.Email), "email", "err.email_shape")
	for _, long := range []struct{ field, value string }{{"name", d.Name}, {"practice", d.Practice},
		{"username", d.Username}, {"email", d.Email}} {
		say(len(long.value) > 320, long.field, "err.field_long")
	}
	return out
}
