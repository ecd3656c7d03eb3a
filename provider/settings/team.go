package settings

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// Team Members, for the Owner and the Admins of a practice:
//
//	GET  /account/team           everybody, found by name
//	GET  /account/team/member    Manage Access: one of them (manage.go)
//	GET  /account/team/confirm   asks before what is grave
//	POST /account/team/…         does it
//	GET  /account/team/access    who has access, to read, print or save (access.go)
//
// What somebody may do is decided by the store, under its locks, each time
// anew. The pages leave out what would be refused.

func (s *Settings) teamRoutes() []Route {
	const team, places = "/account/team", "/account/team/locations"
	return []Route{
		{"GET /account/team", SignedIn, "", s.teamed(s.team)},
		{"GET /account/team/member", Fresh, "", s.teamed(s.member)},
		{"GET /account/team/confirm", Fresh, "", s.teamed(s.confirmMember)},
		{"POST /account/team/link", Fresh, team, s.act(s.sendLink, "link_sent", "err.member_link")},
		{"POST /account/team/unlock", Fresh, team, s.act(s.unlock, "member_unlocked", "err.member_unlock")},
		{"POST /account/team/reset-second", Fresh, team, s.act(s.resetSecond, "member_second_reset", "err.member_second")},
		{"POST /account/team/role", Fresh, team, s.act(s.setRole, "member_role", "err.member_role")},
		{"POST /account/team/locations-of", Fresh, team, s.act(s.setLocations, "member_locations", "err.member_locations")},
		{"POST /account/team/end-sessions", Fresh, team, s.act(s.endMember, "member_signed_out", "")},
		{"POST /account/team/deactivate", Fresh, team, s.act(s.deactivate, "member_deactivated", "err.member_deactivate")},
		{"POST /account/team/reactivate", Fresh, team, s.act(s.reactivate, "member_reactivated", "err.member_reactivate")},
		{"POST /account/team/transfer", Fresh, team, s.teamed(s.offer)},
		{"GET /account/team/locations", Fresh, "", s.teamed(s.locations)},
		{"POST /account/team/locations", Fresh, places, s.teamed(s.addLocation)},
		{"POST /account/team/locations/rename", Fresh, places, s.teamed(s.renameLocation)},
		{"POST /account/team/locations/remove", Fresh, places, s.teamed(s.removeLocation)},
		{"GET /account/team/access", Fresh, "", s.teamed(s.access)},
		{"POST /account/team/access.csv", Fresh, "/account/team/access", s.teamed(s.accessFile)},
	}
}

const (
	teamPage   = 50                  // people on a page of the list
	dormantFor = 90 * 24 * time.Hour // without a sign-in
)

// leader is somebody who runs a team, and whom they are.
type leader struct {
	store.Acting
	person *directory.Entry
}

func (l leader) role() account.Role { return account.Role(l.person.Role) }

// teamed serves a page to those who run the team of their practice, and tells
// others whom to ask. A member who is not there, or not theirs to manage, is a
// page that is not there.
func (s *Settings) teamed(h func(http.ResponseWriter, *http.Request, leader) error) serve {
	return func(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
		p, err := s.person(r, sess)
		if err != nil {
			return err
		}
		if p.PracticeName == "" {
			p.PracticeName = string(p.Practice)
		}
		if !s.runsTeam(p) {
			return s.render(w, r, p, http.StatusForbidden, templates.Page{Name: "no_team"})
		}
		err = h(w, r, leader{store.Acting{Account: p.ID, Practice: p.Practice, From: s.Site.Source(r)}, p})
		switch {
		case errors.Is(err, store.ErrNoMember):
			return s.Site.Render(w, r, http.StatusNotFound, templates.Page{Name: "not_found"})
		case errors.Is(err, store.ErrNotAllowed):
			return s.render(w, r, p, http.StatusForbidden, templates.Page{Name: "no_team"})
		}
		return err
	}
}

func (s *Settings) runsTeam(p *directory.Entry) bool {
	return s.Directory.Capabilities().Team && p.Practice != "" && account.Role(p.Role).Manages()
}

// team lists the people of the practice, a page at a time.
func (s *Settings) team(w http.ResponseWriter, r *http.Request, l leader) error {
	team, err := s.Store.Team(r.Context(), l.Practice)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := web.TeamPage{Practice: l.person.PracticeName, Query: strings.TrimSpace(q.Get("q"))}
	invited, err := s.invited(r, l)
	if err != nil {
		return err
	}
	found := s.search(r, append(s.lines(r, l, team), invited...), d.Query)
	d.Found = len(found)
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page, 1), max(1, (len(found)+teamPage-1)/teamPage))
	if page > 1 {
		d.Previous = page - 1
	}
	if page*teamPage < len(found) {
		d.Next = page + 1
	}
	d.Members = found[(page-1)*teamPage : min(page*teamPage, len(found))]
	return s.render(w, r, l.person, http.StatusOK, templates.Page{Name: "team", Notice: s.notice(r), Data: d})
}

// lines are members as pages show them, in the order of the reader's alphabet.
func (s *Settings) lines(r *http.Request, l leader, team []store.Member) []web.MemberLine {
	lines := make([]web.MemberLine, len(team))
	for i, m := range team {
		lines[i] = s.line(l, m)
	}
	c := collate.New(language.Make(s.Site.Lang(r)), collate.IgnoreCase)
	var buf collate.Buffer
	keys := make(map[string][]byte, len(lines))
	for _, m := range lines {
		keys[m.ID] = c.KeyFromString(&buf, m.Name)
	}
	slices.SortFunc(lines, func(a, b web.MemberLine) int {
		if n := slices.Compare(keys[a.ID], keys[b.ID]); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return lines
}

// invited are those who may join yet, after all who are in the team.
func (s *Settings) invited(r *http.Request, l leader) (lines []web.MemberLine, err error) {
	all, err := s.Store.PendingInvites(r.Context(), l.Practice)
	for _, i := range all {
		if s.Store.Now().Before(i.Expires) {
			lines = append(lines, web.MemberLine{ID: i.ID, Name: i.Email, Role: string(i.Role), Status: "invited", Until: i.Expires})
		}
	}
	return lines, err
}

func (s *Settings) line(l leader, m store.Member) web.MemberLine {
	line := web.MemberLine{
		ID: string(m.ID), Name: m.Name, Username: m.Username, Role: string(m.Role), Status: string(m.Status),
		Until: m.Until, SignedIn: m.SignedIn, Second: m.Second, You: m.ID == l.Account,
		Manage: m.ID != l.Account && l.role().MayManage(m.Role),
	}
	if line.Name == "" {
		line.Name = m.Username
	}
	line.Dormant = dormant(m, s.Store.Now())
	return line
}

// dormant reports whether somebody who could sign in has not for long, or never
// since they were added.
func dormant(m store.Member, now time.Time) bool {
	last := m.Added
	if m.SignedIn.After(last) {
		last = m.SignedIn
	}
	return m.Status != store.Deactivated && m.Status != store.Stopped && now.Sub(last) >= dormantFor
}

// search returns those whose name, username or role, as the page calls it, holds
// all words of what was asked for, whatever their case and accents.
func (s *Settings) search(r *http.Request, lines []web.MemberLine, query string) []web.MemberLine {
	words := strings.Fields(account.Folded(query))
	return slices.DeleteFunc(lines, func(m web.MemberLine) bool {
		role := s.Site.Text(r, "role."+m.Role, nil) // for one that a directory made up it is the key
		text := account.Folded(m.Name + " " + m.Username + " " + m.Role + " " + role)
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}
