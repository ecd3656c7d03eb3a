package provider

import (
	"net/http"
	"time"

	"github.com/go-chi/httprate"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
)

// perSource bounds how often one source may do what writes or mails something
// and needs no account: without it, made-up addresses fill the store, and the
// contact form the desk's mailbox. Each process counts for itself, which is
// close enough; what must be exact is counted in the store.
func (p *Provider) perSource(most int, each time.Duration, h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	limiter := httprate.NewRateLimiter(most, each, httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	return func(w http.ResponseWriter, r *http.Request) error {
		if !p.site.Unlimited(r) && limiter.OnLimit(w, r, string(p.site.Source(r))) {
			return p.stopped(w, r, &flows.Flow{ID: r.FormValue("flow")},
				&flows.Stop{Reason: account.ErrLimited, Until: p.engine.Now().Add(each)})
		}
		return h(w, r)
	}
}
