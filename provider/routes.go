package provider

import (
	"io/fs"
	"net/http"
	"time"

	"github.com/medximity/idp/templates"
)

// routes returns the whole public site; read it as the table of contents.
// Pages go through site.Page, which bounds, checks and renders; the protocol's
// endpoints answer programs, each in the form its RFC says.
func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, p.site.Page(h))
	}
	page("GET /{$}", p.front)
	page("GET /login", p.atDoor(p.login))
	page("GET /login/continue", p.atDoor(p.takeUp))
	page("GET /login/other", p.other)
	page("GET /login/backup-codes.txt", p.codesFile)
	page("POST /login/extend", p.extend)
	page("POST /login/{step}", p.atDoor(p.answer))
	page("GET /forgot-password", p.forgot)
	page("POST /forgot-password", p.atDoor(p.perSource(20, 5*time.Minute, p.ask)))
	page("GET /reset-password", p.atDoor(p.open))
	page("POST /reset-password", p.atDoor(p.savePassword))
	page("GET /reset-password/cancel", p.cancel)
	page("POST /reset-password/cancel", p.cancelled)
	page("GET /invite", p.atDoor(p.openInvite))
	page("POST /invite", p.atDoor(p.join))
	page("GET /contact-support", p.contact)
	page("POST /contact-support", p.atDoor(p.perSource(10, time.Hour, p.contacted)))
	page("GET /contact-support/case", p.caseStatus)
	page("POST /contact-support/case/confirm", p.confirmCase)
	page("POST /contact-support/case/withdraw", p.withdrawCase)
	page("GET /contact-support/stop", p.caseNotice)
	page("POST /contact-support/stop", p.stopCase)
	page("POST /contact-support/release", p.releaseCase)
	page("GET /logout", p.logout)
	page("POST /logout", p.loggedOut)
	page("GET /end-session", p.endSession)
	mux.Handle("POST /end-session", p.site.FromApps(p.endSessionPosted))
	page("POST /language", p.site.Language)
	page("GET /.well-known/change-password", p.changePassword)
	page("/", p.notFound)
	mux.Handle("GET /static/", p.site.Static(staticFiles()))

	for _, rt := range p.settings().Routes() {
		page(rt.Pattern, p.admit(rt))
	}

	for _, rt := range p.desk().Routes() {
		page(rt.Pattern, p.atDesk(rt))
	}

	page("GET /authorize", p.atDoor(p.authorize))
	mux.Handle("POST /authorize", p.site.FromApps(p.authorize))
	page("POST /consent", p.consented)
	o := p.oidc
	mux.Handle("/.well-known/openid-configuration", o.api("discovery", o.discovery))
	mux.Handle("/.well-known/oauth-authorization-server", o.api("discovery", o.discovery))
	mux.Handle("/jwks.json", o.api("jwks", o.jwks))
	if len(p.Passkeys.Origins) > 0 && p.base == "" {
		mux.Handle(relatedPath, o.api("discovery", p.related))
	}
	mux.Handle("/par", o.api("par", o.push))
	mux.Handle("/token", o.api("token", o.token))
	mux.Handle("/userinfo", o.api("userinfo", o.userinfo))
	mux.Handle("/introspect", o.api("introspect", o.introspect))
	mux.Handle("/revoke", o.api("revoke", o.revoke))

	return p.site.Outer(p.prefixed(p.Metrics.HTTP(mux)))
}

// prefixed serves the site under the issuer's path. RFC 8414 section 3.1 puts
// the metadata of an issuer with a path before that path; OpenID Connect
// Discovery section 4 puts it behind. Both are served.
func (p *Provider) prefixed(h http.Handler) http.Handler {
	if p.base == "" {
		return h
	}
	mux := http.NewServeMux()
	mux.Handle(p.base+"/", http.StripPrefix(p.base, h))
	mux.Handle("GET /.well-known/oauth-authorization-server"+p.base, p.oidc.api("discovery", p.oidc.discovery))
	if len(p.Passkeys.Origins) > 0 {
		mux.Handle(relatedPath, p.oidc.api("discovery", p.related))
	}
	return mux
}

func staticFiles() fs.FS { return templates.Static() }

func (p *Provider) front(w http.ResponseWriter, r *http.Request) error {
	p.site.SeeOther(w, r, "/login")
	return nil
}

// changePassword is where password managers send people (W3C "A Well-Known URL
// for Changing Passwords").
func (p *Provider) changePassword(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.session(r); err == nil {
		p.site.SeeOther(w, r, "/account/security")
		return nil
	}
	p.site.SeeOther(w, r, "/forgot-password")
	return nil
}

func (p *Provider) notFound(w http.ResponseWriter, r *http.Request) error {
	return p.site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
}
