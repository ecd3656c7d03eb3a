package settings

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// access is the access review: who has access to the practice, what they are in
// it, how they prove who they are, and when they last did.
func (s *Settings) access(w http.ResponseWriter, r *http.Request, l leader) error {
	lines, err := s.review(r, l)
	if err != nil {
		return err
	}
	return s.render(w, r, l.person, http.StatusOK, templates.Page{Name: "access", Data: web.AccessPage{
		Practice: l.person.PracticeName, At: s.Store.Now(), Members: lines, Days: int(dormantFor / (24 * time.Hour))}})
}

// review returns everybody, in the order of the list.
func (s *Settings) review(r *http.Request, l leader) ([]web.AccessLine, error) {
	team, err := s.Store.Team(r.Context(), l.Practice)
	if err != nil {
		return nil, err
	}
	places, err := s.choices(r, l, nil)
	if err != nil {
		return nil, err
	}
	by := make(map[string]store.Member, len(team))
	for _, m := range team {
		by[string(m.ID)] = m
	}
	lines := make([]web.AccessLine, 0, len(team))
	for _, line := range s.lines(r, l, team) {
		m := by[line.ID]
		a := web.AccessLine{MemberLine: line, Email: m.Email}
		for _, p := range places {
			if slices.Contains(m.Locations, p.ID) {
				a.Locations = append(a.Locations, p.Name)
			}
		}
		lines = append(lines, a)
	}
	return lines, nil
}

// accessFile is the review as CSV (RFC 4180), for whoever has to file it. It is
// in the trail: it takes everybody's address out of the house.
func (s *Settings) accessFile(w http.ResponseWriter, r *http.Request, l leader) error {
	lines, err := s.review(r, l)
	if err != nil {
		return err
	}
	if err := s.Store.AccessReviewed(r.Context(), l.Acting); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="access-review-`+s.Store.Now().UTC().Format(time.DateOnly)+`.csv"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write([]string{"name", "username", "email", "role", "locations", "status", "second_factor", "last_sign_in", "dormant"})
	for _, m := range lines {
		// What cannot be sent any more has nobody to be told to.
		_ = out.Write([]string{cell(m.Name), cell(m.Username), cell(m.Email), cell(m.Role), cell(strings.Join(m.Locations, "; ")),
			m.Status, yes(m.Second), day(m.SignedIn), yes(m.Dormant)})
	}
	out.Flush()
	return nil
}

// cell keeps a spreadsheet from running what somebody typed as a formula
// (CWE-1236), in the wide forms of East Asia, too.
func cell(s string) string {
	s = templates.Line(s)
	if s != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
