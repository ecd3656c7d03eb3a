package provider

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// freshFor is how long after a sign-in a person may change what their account
// is proven by without proving again who they are.
const freshFor = 5 * time.Minute

// fresh reports whether the session's proofs are new enough for that.
func (p *Provider) fresh(s *store.Session) bool {
	return p.engine.Now().Sub(s.AuthTime) < freshFor
}

// stepUpFor asks whoever is signed in for what an app's request lacks, and for
// that only: all of it anew, or one factor more. Who has no second factor yet
// sets one up on the way; a session that somebody left open must not do for
// that (CVE-2026-123530).
func (p *Provider) stepUpFor(w http.ResponseWriter, r *http.Request, s *store.Session, req flows.Request, anew bool) error {
	f := &flows.Flow{Kind: flows.StepUp, Request: req}
	if !anew {
		second, err := p.Store.Second(r.Context(), s.Account)
		if err != nil {
			return err
		}
		if second.Any() || p.fresh(s) {
			f.Facts = proven(s)
		}
	}
	return p.raise(w, r, s, f)
}

// enrol begins a change of how the account is proven. The password is asked for
// once more where that is what changes (ASVS 6.2.3).
func (p *Provider) enrol(w http.ResponseWriter, r *http.Request, s *store.Session, c flows.Change, back string) error {
	f := &flows.Flow{Kind: flows.Enroll,
		Request: flows.Request{Arrived: p.engine.Now(), Change: c, Return: back}}
	if p.fresh(s) {
		for _, fact := range proven(s) {
			if fact.Kind != flows.KnowsPassword || c != flows.ChangePassword {
				f.Facts = append(f.Facts, fact)
			}
		}
	}
	return p.raise(w, r, s, f)
}

// again asks whoever is signed in to prove who they are, for a page of ours.
func (p *Provider) again(w http.ResponseWriter, r *http.Request, s *store.Session, back string) error {
	return p.raise(w, r, s, &flows.Flow{Kind: flows.StepUp,
		Request: flows.Request{Arrived: p.engine.Now(), Return: back}})
}

// raise starts a flow that raises the session of this browser.
func (p *Provider) raise(w http.ResponseWriter, r *http.Request, s *store.Session, f *flows.Flow) error {
	f.ID, f.Browser = account.NewSecret(), p.site.Browser(w, r)
	f.Account, f.Practice, f.Session = s.Account, s.Practice, s.ID
	if p.KnownDevices {
		if d := p.site.Devices(r)(s.Account); d.Epoch == s.Epoch {
			f.Device = d.Guard
		}
	}
	p.Metrics.FlowStarted(string(f.Kind))
	if err := p.engine.Begin(r.Context(), f); err != nil {
		return err
	}
	if len(f.Facts) > 0 || f.Device != "" {
		// They are worth nothing if the session ended since it was read: the
		// flow has the epoch of now.
		if f.Epoch != s.Epoch {
			return flows.ErrNoFlow
		}
	}
	p.site.SeeOther(w, r, "/login?flow="+url.QueryEscape(f.ID))
	return nil
}

// proven is what a live session proves, as facts.
func proven(s *store.Session) []flows.Fact {
	var facts []flows.Fact
	for _, m := range s.Methods {
		switch m {
		case "pwd":
			facts = append(facts, flows.Fact{Kind: flows.KnowsPassword, Step: flows.FromSession, Methods: []string{m}, At: s.AuthTime})
		case "otp":
			facts = append(facts, flows.Fact{Kind: flows.HoldsSecond, Step: flows.FromSession, Methods: []string{m}, At: s.AuthTime})
		case "hwk", "swk": // never without somebody who touched it
			facts = append(facts, flows.Fact{Kind: flows.HoldsSecond, Step: flows.FromSession, Methods: []string{m, "user"}, At: s.AuthTime})
		}
	}
	if s.ACR == flows.ACRPhr {
		facts = append(facts, flows.Fact{Kind: flows.VerifiedUser, Step: flows.FromSession, At: s.AuthTime})
	}
	return facts
}

// other begins a sign-in for the request of a step-up, by whoever it may be: a
// workstation has more than one user.
func (p *Provider) other(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, signingIn...)
	if err != nil {
		return err
	}
	req := f.Request
	if req.Change != "" {
		req.Change, req.Return = "", "/account/security" // without the words that something has changed
	}
	return p.beginFor(w, r, req)
}

// codesFile gives the backup codes that the page shows as a text file. Like the
// page it can be asked for again, until the codes are said to be saved.
func (p *Provider) codesFile(w http.ResponseWriter, r *http.Request) error {
	f, err := p.flow(r, signingIn...)
	if err != nil {
		return err
	}
	t, err := p.engine.Show(r.Context(), f, p.visit(r), flows.SaveCodes{}.Name())
	if err != nil {
		return err
	}
	page, ok := t.Page.(flows.CodesPage)
	if !ok {
		return flows.ErrNoFlow
	}
	person, err := p.Directory.Lookup(r.Context(), directory.ByID, string(f.Account))
	if errors.Is(err, directory.ErrNotFound) {
		return flows.ErrNoFlow
	}
	if err != nil {
		return err
	}
	heading := p.site.Text(r, "codes.file", map[string]any{"username": person.Username, "issuer": p.Issuer.Host})
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="medximity-backup-codes.txt"`)
	_, err = w.Write([]byte(heading + "\r\n\r\n" + strings.Join(page.Codes, "\r\n") + "\r\n"))
	return err
}
