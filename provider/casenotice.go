package provider

import (
	"context"
	"net/http"
	"net/url"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// What the holder of an account does about a case that is not theirs:
//
//	GET  /contact-support/stop?token=    what the desk is about to do
//	POST /contact-support/stop           "this was not me"
//	POST /contact-support/release        it was: no need to wait

// caseNotice tells it, to whoever has the link of the mail.
func (p *Provider) caseNotice(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	n, err := p.Store.NoticeByLink(r.Context(), account.HashSecret(token))
	if err != nil {
		return err
	}
	if n == nil {
		return p.site.Render(w, r, http.StatusNotFound, templates.Page{Name: "case_over"})
	}
	return p.site.Render(w, r, http.StatusOK, templates.Page{Name: "case_notice", Action: "/contact-support",
		Data: web.CaseNoticeOf(n, token)})
}

// stopCase stops it.
func (p *Provider) stopCase(w http.ResponseWriter, r *http.Request) error {
	return p.byNotice(w, r, p.Store.FreezeCase)
}

// releaseCase has it done at once.
func (p *Provider) releaseCase(w http.ResponseWriter, r *http.Request) error {
	return p.byNotice(w, r, p.Store.ReleaseCase)
}

// byNotice does something to the case of a link, and shows how it stands then.
func (p *Provider) byNotice(w http.ResponseWriter, r *http.Request,
	do func(context.Context, []byte, account.Source) (bool, error)) error {
	token := r.PostForm.Get("token")
	if _, err := do(r.Context(), account.HashSecret(token), p.site.Source(r)); err != nil {
		return err
	}
	p.site.SeeOther(w, r, "/contact-support/stop?token="+url.QueryEscape(token))
	return nil
}
