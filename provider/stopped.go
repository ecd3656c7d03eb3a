package provider

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// stopped says why the flow cannot go on now, and the ways out. It is the same
// page for an identifier that nobody has.
func (p *Provider) stopped(w http.ResponseWriter, r *http.Request, f *flows.Flow, s *flows.Stop) error {
	page := templates.Page{Flow: f.ID, App: f.Request.ClientName}
	left := s.Until.Sub(p.engine.Now())
	switch {
	case errors.Is(s.Reason, account.ErrLocked):
		page.Name = "locked"
		page.Data = web.LockedPage{Minutes: minutes(left), Until: s.Until}
		return p.site.Render(w, r, http.StatusForbidden, page)
	case errors.Is(s.Reason, account.ErrHeld):
		page.Name = "held"
		return p.site.Render(w, r, http.StatusForbidden, page)
	case errors.Is(s.Reason, account.ErrDisabled):
		page.Name = "disabled"
		return p.site.Render(w, r, http.StatusForbidden, page)
	}
	p.Metrics.Limited(limiterOf(s.Reason))
	left = max(left, time.Second)
	page.Name = "busy"
	page.Data = web.BusyPage{Seconds: int(math.Ceil(left.Seconds()))}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(left.Seconds()))))
	return p.site.Render(w, r, http.StatusTooManyRequests, page)
}

func limiterOf(reason error) string {
	if errors.Is(reason, account.ErrLimited) {
		return "source"
	}
	return "account"
}

// minutes rounds up: a promise of time left is never too short.
func minutes(d time.Duration) int { return max(1, int(math.Ceil(d.Minutes()))) }
