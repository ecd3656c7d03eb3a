package settings

import (
	"net/http"
	"slices"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Inviting people into a practice:
//
//	GET  /account/team/invites            Pending Invites
//	POST /account/team/invites/resend     a new link, for which the older is given up
//	POST /account/team/invites/withdraw
//	GET  /account/team/invite             asks for address, role and locations
//	POST /account/team/invite             Send Invite
//
// Whoever invites never sees a link, nor whether somebody has an account: it
// is the mail alone that differs.

const pendingInvites = "/account/team/invites"

func (s *Settings) inviteRoutes() []Route {
	const form = "/account/team/invite"
	return []Route{
		{"GET /account/team/invites", SignedIn, "", s.teamed(s.invites)},
		{"POST /account/team/invites/resend", Fresh, pendingInvites, s.teamed(s.resend)},
		{"POST /account/team/invites/withdraw", Fresh, pendingInvites, s.teamed(s.withdrawInvite)},
		{"GET /account/team/invite", Fresh, "", s.teamed(s.invite)},
		{"POST /account/team/invite", Fresh, form, s.teamed(s.sendInvite)},
	}
}

// invites lists those that are pending.
func (s *Settings) invites(w http.ResponseWriter, r *http.Request, l leader) error {
	all, err := s.Store.PendingInvites(r.Context(), l.Practice)
	if err != nil {
		return err
	}
	places, err := s.Store.Locations(r.Context(), l.Practice)
	if err != nil {
		return err
	}
	name := make(map[string]string, len(places))
	for _, place := range places {
		name[place.ID] = place.Name
	}
	page := templates.Page{Name: "invites", Notice: s.notice(r), Problems: s.refusal(r)}
	var lines []web.InviteLine
	for _, i := range all {
		line := web.InviteLine{ID: i.ID, Email: i.Email, Role: string(i.Role), Sent: i.SentAt, Until: i.Expires,
			Expired: !s.Store.Now().Before(i.Expires), Theirs: l.role().MayGive(i.Role)}
		for _, id := range i.Locations {
			if name[id] != "" {
				line.Locations = append(line.Locations, name[id])
			}
		}
		slices.Sort(line.Locations)
		lines = append(lines, line)
	}
	page.Data = web.InvitesPage{Invites: lines}
	return s.render(w, r, l.person, http.StatusOK, page)
}

// invite asks whom to invite. The role that is chosen unless another is, is the
// one that may do least.
func (s *Settings) invite(w http.ResponseWriter, r *http.Request, l leader) error {
	d, err := s.inviteForm(r, l)
	if err != nil {
		return err
	}
	return s.render(w, r, l.person, http.StatusOK, templates.Page{Name: "invite", Data: d})
}

// inviteForm is the form with what was filled in. Only the practice's locations
// are looked for.
func (s *Settings) inviteForm(r *http.Request, l leader) (web.InvitePage, error) {
	d := web.InvitePage{Email: strings.TrimSpace(r.PostForm.Get("email")), Role: r.PostForm.Get("role")}
	for _, role := range account.Given {
		if l.role().MayGive(role) {
			d.Roles = append(d.Roles, string(role))
		}
	}
	var err error
	d.Locations, err = s.choices(r, l, ticked(r.PostForm))
	return d, err
}

// sendInvite sends an invitation. What is mailed, shown and claimed is the
// normalised address: the mailbox of another spelling proves nothing about it.
func (s *Settings) sendInvite(w http.ResponseWriter, r *http.Request, l leader) error {
	d, err := s.inviteForm(r, l)
	if err != nil {
		return err
	}
	page := templates.Page{Name: "invite", Data: d}
	refuse := func(status int, field, key string, args map[string]any) error {
		page.Problems = []templates.Problem{{Field: field, Text: s.Site.Text(r, key, args)}}
		return s.render(w, r, l.person, status, page)
	}
	n := store.Invite{Email: account.Normalise(d.Email), Role: account.Role(d.Role), Locale: s.Site.Lang(r)}
	if key := emailProblem(n.Email, ""); key != "" {
		return refuse(http.StatusUnprocessableEntity, "email", key, nil)
	}
	if !slices.Contains(d.Roles, d.Role) {
		return refuse(http.StatusUnprocessableEntity, "role", "err.invite_role", nil)
	}
	for _, place := range d.Locations {
		if place.Chosen {
			n.Locations = append(n.Locations, place.ID)
		}
	}
	came, err := s.Store.Invite(r.Context(), l.Acting, n)
	if err != nil {
		return err
	}
	if key := refusals[came]; key != "" {
		return refuse(http.StatusTooManyRequests, "", key, map[string]any{"n": limits[came]})
	}
	s.toInvites(w, r, "invite_sent")
	return nil
}

// refusals are the words for why nothing was sent, and limits what fills their
// gap.
var (
	refusals = map[account.Reason]string{account.RateLimited: "err.invite_limited", account.Capped: "err.invite_capped"}
	limits   = map[account.Reason]int{account.RateLimited: account.InvitesPerHour, account.Capped: account.InvitesPerDay}
)

// refusal is what the list of invitations says of one that was not sent again.
// Like a notice, it can only be asked for by name.
func (s *Settings) refusal(r *http.Request) []templates.Problem {
	why := account.Reason(r.URL.Query().Get("refused"))
	if refusals[why] == "" {
		return nil
	}
	return []templates.Problem{{Text: s.Site.Text(r, refusals[why], map[string]any{"n": limits[why]})}}
}

// resend sends a pending invitation again.
func (s *Settings) resend(w http.ResponseWriter, r *http.Request, l leader) error {
	came, err := s.Store.Resend(r.Context(), l.Acting, r.PostForm.Get("id"), s.Site.Lang(r))
	switch {
	case err != nil:
		return err
	case refusals[came] != "":
		s.Site.SeeOther(w, r, pendingInvites+"?refused="+string(came))
	case came == account.Sent:
		s.toInvites(w, r, "invite_sent")
	default:
		s.toInvites(w, r, "")
	}
	return nil
}

// withdrawInvite takes a pending invitation back.
func (s *Settings) withdrawInvite(w http.ResponseWriter, r *http.Request, l leader) error {
	was, err := s.Store.WithdrawInvite(r.Context(), l.Acting, r.PostForm.Get("id"))
	if err != nil {
		return err
	}
	notice := ""
	if was {
		notice = "invite_withdrawn"
	}
	s.toInvites(w, r, notice)
	return nil
}

func (s *Settings) toInvites(w http.ResponseWriter, r *http.Request, notice string) {
	s.Site.SeeOther(w, r, pendingInvites+query(notice))
}
