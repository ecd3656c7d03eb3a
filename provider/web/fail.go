package web

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// ErrNoCookie means that the browser did not send the cookie that its flow is
// bound to: cookies are off, cleared, or of another window.
var ErrNoCookie = errors.New("web: no binding cookie")

// What Page refuses before a handler sees it.
var (
	errForeign    = errors.New("web: posted from another origin")
	errTooLarge   = errors.New("web: body too large")
	errMediaType  = errors.New("web: not a form")
	errUnreadable = errors.New("web: not properly encoded text")
)

// retryAfter is how long a browser is asked to wait for a service that does
// not answer.
const retryAfter = 5 * time.Second

// answer is how an error is told to a person.
type answer struct {
	status int
	page   templates.Page
	wait   time.Duration // for Retry-After, if not 0
	fault  bool          // ours: to be logged
}

// Fail answers an error, and logs it if it is a fault: here, and nowhere else.
// People see a sentence, and a reference by which the log entry is found.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		w.WriteHeader(http.StatusRequestTimeout) // nobody reads it: the browser is gone
		return
	}
	a := s.answer(r, err)
	a.page.Flow = r.Form.Get("flow")
	if a.fault {
		reference := rand.Text()[:8]
		// The pattern, not the URL: a query may hold a token.
		s.Logger.ErrorContext(r.Context(), "fault", "reference", reference,
			"cause", err.Error(), "route", r.Pattern, "status", a.status)
		if a.page.Name == "fault" || a.page.Name == "unavailable" {
			a.page.Data = FaultPage{Reference: reference}
		}
	}
	if a.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.wait.Seconds()))))
	}
	if err := s.Render(w, r, a.status, a.page); err != nil {
		s.Logger.ErrorContext(r.Context(), "fault", "cause", err.Error(), "route", r.Pattern, "status", a.status)
		http.Error(w, http.StatusText(a.status), a.status)
	}
}

// answer finds the page for an error.
func (s *Site) answer(r *http.Request, err error) answer {
	switch {
	case errors.Is(err, ErrNoCookie):
		return page(http.StatusBadRequest, "lost_cookie")
	case errors.Is(err, errForeign):
		return page(http.StatusForbidden, "lost_cookie")
	case errors.Is(err, flows.ErrStale):
		return answer{status: http.StatusConflict, page: templates.Page{Name: "stale", Data: StalePage{}}}
	case errors.Is(err, flows.ErrNoFlow):
		return s.noFlow(r)
	case errors.Is(err, errTooLarge):
		return page(http.StatusRequestEntityTooLarge, "too_large")
	case errors.Is(err, errMediaType):
		return page(http.StatusUnsupportedMediaType, "bad_request")
	case errors.Is(err, errUnreadable):
		return page(http.StatusBadRequest, "bad_request")
	}
	if a, ok := s.verdict(err); ok {
		return a
	}
	if away(err) {
		a := page(http.StatusServiceUnavailable, "unavailable")
		a.wait, a.fault = retryAfter, !errors.Is(err, account.ErrQueueFull)
		return a
	}
	a := page(http.StatusInternalServerError, "fault")
	a.fault = true
	return a
}

func page(status int, name string) answer {
	return answer{status: status, page: templates.Page{Name: name}}
}

// noFlow tells a flow that is over from one whose browser is not known.
func (s *Site) noFlow(r *http.Request) answer {
	if _, ok := s.BrowserIf(r); !ok {
		return page(http.StatusBadRequest, "lost_cookie")
	}
	return answer{status: http.StatusGone, page: templates.Page{Name: "stale", Data: StalePage{Expired: true}}}
}

// verdict answers a verdict on an attempt that came back as an error.
func (s *Site) verdict(err error) (answer, bool) {
	var until time.Time
	if r, ok := errors.AsType[*account.Refusal](err); ok {
		until = r.Until
	}
	left := max(until.Sub(s.Store.Now()), time.Second)
	switch {
	case errors.Is(err, account.ErrLocked):
		return answer{status: http.StatusForbidden, page: templates.Page{Name: "locked",
			Data: LockedPage{Minutes: int(math.Ceil(left.Minutes())), Until: until}}}, true
	case errors.Is(err, account.ErrHeld):
		return page(http.StatusForbidden, "held"), true
	case errors.Is(err, account.ErrDisabled):
		return page(http.StatusForbidden, "disabled"), true
	case errors.Is(err, account.ErrBusy), errors.Is(err, account.ErrLimited):
		return answer{status: http.StatusTooManyRequests, wait: left, page: templates.Page{Name: "busy",
			Data: BusyPage{Seconds: int(math.Ceil(left.Seconds()))}}}, true
	}
	return answer{}, false
}

// away reports whether the error means that something we need does not answer:
// the directory, the database, a free slot to hash in.
func away(err error) bool {
	return errors.Is(err, directory.ErrUnavailable) || errors.Is(err, account.ErrQueueFull) || store.Away(err)
}
