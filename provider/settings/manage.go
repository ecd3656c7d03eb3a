package settings

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// member is Manage Access for one person: what can be done for them.
func (s *Settings) member(w http.ResponseWriter, r *http.Request, l leader) error {
	return s.showMember(w, r, l, r.URL.Query().Get("id"), "")
}

// showMember shows it, with a problem if there is one.
func (s *Settings) showMember(w http.ResponseWriter, r *http.Request, l leader, id, problem string) error {
	m, err := s.managed(r, l, id)
	if err != nil {
		return err
	}
	d := web.MemberPage{MemberLine: s.line(l, *m), Email: m.Email, NoPassword: m.NoPassword,
		Heir: s.mayInherit(l, *m)}
	for _, role := range account.Given {
		if l.role().MayGive(role) {
			d.Roles = append(d.Roles, string(role))
		}
	}
	if d.Roles != nil && !slices.Contains(d.Roles, d.Role) {
		d.Roles = append(d.Roles, d.Role)
	}
	if d.Locations, err = s.choices(r, l, m.Locations); err != nil {
		return err
	}
	page, status := templates.Page{Name: "member", Notice: s.notice(r), Data: d}, http.StatusOK
	if problem != "" {
		page.Problems = []templates.Problem{{Text: s.Site.Text(r, problem, map[string]any{"n": account.LinksPerHour})}}
		status = http.StatusConflict
	}
	return s.render(w, r, l.person, status, page)
}

// managed returns a member whom the reader may manage.
func (s *Settings) managed(r *http.Request, l leader, id string) (*store.Member, error) {
	m, err := s.Store.Member(r.Context(), l.Practice, account.ID(id))
	if err != nil {
		return nil, err
	}
	if m.ID == l.Account || !l.role().MayManage(m.Role) {
		return nil, store.ErrNoMember
	}
	return m, nil
}

// mayInherit reports whether the reader may offer the practice to a member.
func (s *Settings) mayInherit(l leader, m store.Member) bool {
	return l.role() == account.Owner && m.Role != account.Owner && m.Status != store.Deactivated && m.Status != store.Stopped
}

// choices are the practice's locations, and which of them are chosen.
func (s *Settings) choices(r *http.Request, l leader, chosen []string) ([]web.LocationChoice, error) {
	all, err := s.Store.Locations(r.Context(), l.Practice)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, byName)
	out := make([]web.LocationChoice, len(all))
	for i, one := range all {
		out[i] = web.LocationChoice{ID: one.ID, Name: one.Name, Chosen: slices.Contains(chosen, one.ID)}
	}
	return out, nil
}

// done leads back to the member, to tell what was done.
func (s *Settings) done(w http.ResponseWriter, r *http.Request, notice string) error {
	id := url.QueryEscape(r.PostForm.Get("id"))
	s.Site.SeeOther(w, r, "/account/team/member?id="+id+"&notice="+notice)
	return nil
}

// doMember is what a POST does to a member: was says whether it changed anything.
type doMember = func(r *http.Request, l leader, id account.ID) (was bool, err error)

// act does something to a member, and tells it, or why there was nothing to do.
func (s *Settings) act(do doMember, notice, otherwise string) serve {
	return s.teamed(func(w http.ResponseWriter, r *http.Request, l leader) error {
		id := r.PostForm.Get("id")
		was, err := do(r, l, account.ID(id))
		if err != nil {
			return err
		}
		if !was {
			return s.showMember(w, r, l, id, otherwise)
		}
		return s.done(w, r, notice)
	})
}

func (s *Settings) sendLink(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.SendMemberLink(r.Context(), l.Acting, id)
}

func (s *Settings) unlock(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.UnlockMember(r.Context(), l.Acting, id)
}

func (s *Settings) resetSecond(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.ResetMemberSecond(r.Context(), l.Acting, id)
}

func (s *Settings) setRole(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.SetMemberRole(r.Context(), l.Acting, id, account.Role(r.PostForm.Get("role")))
}

func (s *Settings) setLocations(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.SetMemberLocations(r.Context(), l.Acting, id, ticked(r.PostForm))
}

func (s *Settings) endMember(r *http.Request, l leader, id account.ID) (bool, error) {
	return true, s.Store.EndMemberSessions(r.Context(), l.Acting, id)
}

func (s *Settings) deactivate(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.Deactivate(r.Context(), l.Acting, id)
}

func (s *Settings) reactivate(r *http.Request, l leader, id account.ID) (bool, error) {
	return s.Store.Reactivate(r.Context(), l.Acting, id)
}

// grave are the acts that are asked about first.
var grave = []string{"reset-second", "deactivate", "transfer"}

// confirmMember asks whether it is meant.
func (s *Settings) confirmMember(w http.ResponseWriter, r *http.Request, l leader) error {
	q := r.URL.Query()
	m, err := s.managed(r, l, q.Get("id"))
	if err != nil {
		return err
	}
	act := q.Get("act")
	if !slices.Contains(grave, act) || act == "transfer" && !s.mayInherit(l, *m) {
		return store.ErrNoMember
	}
	return s.render(w, r, l.person, http.StatusOK, templates.Page{Name: "member_confirm",
		Data: web.MemberConfirmPage{MemberLine: s.line(l, *m), Act: act}})
}
