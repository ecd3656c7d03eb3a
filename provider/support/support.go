// Package support is the desk: where agents find out who asks for help, and have
// the product help them. It shows agents what was claimed, whether it agrees with
// what is known, and what was done; never a secret, a link or a session of anyone,
// and what the directory holds only to those who say why. What may be done is
// decided by flows.Case, under the store's locks.
package support

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Desk serves the pages below /support. It is safe for concurrent use.
type Desk struct {
	Site      *web.Site
	Store     *store.Store
	Directory directory.Directory
	// Registered compares an NPI and a name with a registry of providers: "yes" or
	// "no"; "" where there is no registry.
	Registered func(npi, name string) (fits string, err error)
}

// Route is one page. Serve gets an agent who proved both factors; Fresh, within
// the last five minutes.
type Route struct {
	Pattern string
	Fresh   bool
	Serve   func(w http.ResponseWriter, r *http.Request, by store.Agent) error
}

// Routes are all pages; read it as the table of contents.
func (d *Desk) Routes() []Route {
	return []Route{
		{"GET /support", false, d.queue},
		{"GET /support/closed", false, d.closed},
		{"GET /support/case", false, d.one},
		{"GET /support/trail", false, d.trail},
		{"POST /support/case/take", false, d.act(d.take, "case_taken")},
		{"POST /support/case/choose", false, d.act(d.choose, "case_chosen")},
		{"POST /support/case/check", false, d.act(d.check, "case_checked")},
		{"POST /support/case/note", false, d.act(d.note, "case_noted")},
		{"POST /support/case/reveal", false, d.act(d.reveal, "")},
		{"POST /support/case/reply", false, d.act(d.reply, "case_replied")},
		{"POST /support/case/approve", true, d.act(d.approve, "case_approved")},
		{"POST /support/case/reject", false, d.act(d.reject, "case_rejected")},
		{"POST /support/case/thaw", false, d.act(d.thaw, "case_thawed")},
	}
}

// notices are all that a page may be asked to tell.
var notices = []string{"case_taken", "case_chosen", "case_checked", "case_noted", "case_replied", "case_approved",
	"case_rejected", "case_thawed"}

// notice returns the words for what has just been done, or "".
func (d *Desk) notice(r *http.Request) string {
	key := r.URL.Query().Get("notice")
	if !slices.Contains(notices, key) {
		return ""
	}
	return d.Site.Text(r, "notice."+key, nil)
}

// listed is how many cases a page shows: more than a desk has at once.
const listed = 200

// queue lists the cases that are not closed: those to which an answer is owed
// first, the overdue ones before all.
func (d *Desk) queue(w http.ResponseWriter, r *http.Request, by store.Agent) error {
	q := strings.ToUpper(strings.TrimSpace(r.URL.Query().Get("q")))
	if q != "" {
		switch _, err := d.Store.DeskCase(r.Context(), q); {
		case err == nil:
			d.toCase(w, r, q, "")
			return nil
		case !errors.Is(err, store.ErrNoCase):
			return err
		}
	}
	lines, err := d.Store.Queue(r.Context(), listed)
	if err != nil {
		return err
	}
	return d.list(w, r, by, lines, web.DeskPage{Query: q})
}

// closed lists those that are over, the newest first.
func (d *Desk) closed(w http.ResponseWriter, r *http.Request, by store.Agent) error {
	lines, err := d.Store.ClosedCases(r.Context(), listed)
	if err != nil {
		return err
	}
	return d.list(w, r, by, lines, web.DeskPage{Closed: true})
}

func (d *Desk) list(w http.ResponseWriter, r *http.Request, by store.Agent, lines []store.QueueLine, page web.DeskPage) error {
	for _, l := range lines {
		page.Cases = append(page.Cases, lineOf(l, by.Account))
	}
	return d.Site.Render(w, r, http.StatusOK, templates.Page{Name: "desk", Data: page})
}

func lineOf(l store.QueueLine, reader account.ID) web.CaseLine {
	line := web.CaseLine{ID: l.ID, State: stateOf(l.State, l.Frozen), Name: l.Claims.Name, Practice: l.Claims.Practice,
		Remedies: names(l.Remedies), Opened: l.Opened, Due: l.Due, Overdue: l.Overdue, Answered: l.Answered,
		Closed: l.Closed, Yours: l.Agent == reader, Taken: l.Agent != ""}
	if l.State == flows.CaseWaiting {
		line.Until = l.Until
	}
	return line
}

// stateOf is a state as pages call it.
func stateOf(s flows.CaseState, frozen bool) string {
	if frozen && !s.Closed() {
		return "frozen"
	}
	return string(s)
}

func names[T ~string](all []T) []string {
	var text []string
	for _, one := range all {
		text = append(text, string(one))
	}
	return text
}
