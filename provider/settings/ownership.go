package settings

import (
	"context"
	"net/http"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// A practice changes hands:
//
//	POST /account/team/transfer     its Owner offers it to a member
//	GET  /account/ownership         how it stands, for both
//	POST /account/ownership/agree   the member agrees; it happens a day later
//	POST /account/ownership/end     either of them stops it
//	GET, POST /ownership/cancel     so does the link that both were mailed

func (s *Settings) ownershipRoutes() []Route {
	const ownership = "/account/ownership"
	return []Route{
		{"GET /account/ownership", Fresh, "", s.ownership},
		{"POST /account/ownership/agree", Fresh, ownership, s.agreeToOwn},
		{"POST /account/ownership/end", Fresh, ownership, s.endTransfer},
		{"GET /ownership/cancel", Nothing, "", s.cancelTransfer},
		{"POST /ownership/cancel", Nothing, "", s.transferCancelled},
	}
}

// offer offers the practice.
func (s *Settings) offer(w http.ResponseWriter, r *http.Request, l leader) error {
	id := r.PostForm.Get("id")
	done, err := s.Store.OfferPractice(r.Context(), l.Acting, account.ID(id))
	if err != nil {
		return err
	}
	if !done {
		return s.showMember(w, r, l, id, "err.transfer_open")
	}
	s.Site.SeeOther(w, r, "/account/ownership?notice=transfer_offered")
	return nil
}

// ownership tells either of the two how it stands, and others that there is nothing.
func (s *Settings) ownership(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	d := web.OwnershipPage{State: "none"}
	if s.Directory.Capabilities().Team && p.Practice != "" {
		t, err := s.Store.Transfer(r.Context(), p.Practice)
		if err != nil {
			return err
		}
		if t != nil {
			d = ownershipOf(*t, p.ID)
		}
	}
	d.Practice = p.PracticeName
	return s.render(w, r, p, http.StatusOK, templates.Page{Name: "ownership", Notice: s.notice(r), Data: d})
}

func ownershipOf(t store.Transfer, reader account.ID) web.OwnershipPage {
	d := web.OwnershipPage{State: "none", Owner: t.OwnerName, Heir: t.HeirName, Expires: t.Expires, Due: t.Due}
	switch {
	case reader != t.Owner && reader != t.Heir:
		return web.OwnershipPage{State: "none"}
	case !t.Due.IsZero():
		d.State = "agreed"
	case reader == t.Heir:
		d.State = "asked"
	default:
		d.State = "offered"
	}
	return d
}

// agreeToOwn is the heir's consent.
func (s *Settings) agreeToOwn(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	return s.changeHands(w, r, sess, s.Store.AgreeToOwn, "transfer_agreed")
}

// endTransfer is either side's change of mind.
func (s *Settings) endTransfer(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	return s.changeHands(w, r, sess, s.Store.EndTransfer, "transfer_ended")
}

// changeHands does a step of it, and shows how it stands then.
func (s *Settings) changeHands(w http.ResponseWriter, r *http.Request, sess *store.Session,
	step func(context.Context, store.Acting) (bool, error), notice string) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	was := false
	if p.Practice != "" {
		was, err = step(r.Context(), store.Acting{Account: p.ID, Practice: p.Practice, From: s.Site.Source(r)})
	}
	if err != nil {
		return err
	}
	if !was {
		notice = ""
	}
	s.Site.SeeOther(w, r, "/account/ownership"+query(notice))
	return nil
}

// cancelTransfer asks, at the link in a mail, whether the practice is to keep
// its Owner.
func (s *Settings) cancelTransfer(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	token := r.URL.Query().Get("token")
	live, err := s.Store.TransferCancellable(r.Context(), account.HashSecret(token))
	if err != nil {
		return err
	}
	if !live {
		return s.gone(w, r, "ownership_dead")
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "ownership_cancel", Data: web.NotMePage{Token: token}})
}

// transferCancelled stops it.
func (s *Settings) transferCancelled(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	was, err := s.Store.CancelTransfer(r.Context(), account.HashSecret(r.PostForm.Get("token")), s.Site.Source(r))
	if err != nil {
		return err
	}
	if !was {
		return s.gone(w, r, "ownership_dead")
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "ownership_cancelled"})
}
