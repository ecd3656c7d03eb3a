package settings

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

func byName(a, b store.Location) int {
	return strings.Compare(account.Folded(a.Name)+a.ID, account.Folded(b.Name)+b.ID)
}

// ticked are the locations that a form's boxes "location-ID" say.
func ticked(form url.Values) (ids []string) {
	for name := range form {
		if id, ok := strings.CutPrefix(name, "location-"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// locations lists where the practice has its people work.
func (s *Settings) locations(w http.ResponseWriter, r *http.Request, l leader) error {
	return s.showLocations(w, r, l, web.LocationsPage{}, nil)
}

// showLocations keeps what was typed, with what is wrong with it.
func (s *Settings) showLocations(w http.ResponseWriter, r *http.Request, l leader, d web.LocationsPage, wrong []templates.Problem) (err error) {
	if d.Locations, err = s.choices(r, l, nil); err != nil {
		return err
	}
	d.Practice, d.Full = l.person.PracticeName, len(d.Locations) >= store.MaxLocations
	page, status := templates.Page{Name: "locations", Notice: s.notice(r), Data: d, Problems: wrong}, http.StatusOK
	if wrong != nil {
		status = http.StatusUnprocessableEntity
	}
	return s.render(w, r, l.person, status, page)
}

func (s *Settings) addLocation(w http.ResponseWriter, r *http.Request, l leader) error {
	typed := r.PostForm.Get("name")
	name, err := account.NormalName(typed)
	if err == nil {
		_, err = s.Store.AddLocation(r.Context(), l.Acting, name)
	}
	if key := nameProblem(err); key != "" {
		return s.showLocations(w, r, l, web.LocationsPage{Name: typed},
			[]templates.Problem{{Field: "name", Text: s.Site.Text(r, key, map[string]any{"n": account.MaxName})}})
	}
	return s.placed(w, r, "location_added", true, err)
}

func (s *Settings) renameLocation(w http.ResponseWriter, r *http.Request, l leader) error {
	id := r.PostForm.Get("id")
	typed := r.PostForm.Get("name-" + id)
	name, err := account.NormalName(typed)
	was := false
	if err == nil {
		was, err = s.Store.RenameLocation(r.Context(), l.Acting, id, name)
	}
	if key := nameProblem(err); key != "" {
		return s.showLocations(w, r, l, web.LocationsPage{Renaming: id, NewName: typed},
			[]templates.Problem{{Field: "name-" + id, Text: s.Site.Text(r, key, map[string]any{"n": account.MaxName})}})
	}
	return s.placed(w, r, "location_renamed", was, err)
}

func (s *Settings) removeLocation(w http.ResponseWriter, r *http.Request, l leader) error {
	was, err := s.Store.RemoveLocation(r.Context(), l.Acting, r.PostForm.Get("id"))
	return s.placed(w, r, "location_removed", was, err)
}

// placed leads back to the list, to tell what was done, if anything was.
func (s *Settings) placed(w http.ResponseWriter, r *http.Request, notice string, was bool, err error) error {
	if err != nil {
		return err
	}
	if !was {
		notice = ""
	}
	s.Site.SeeOther(w, r, "/account/team/locations"+query(notice))
	return nil
}

// nameProblem is the key of what is wrong with the name of a place, or "".
func nameProblem(err error) string {
	switch {
	case errors.Is(err, account.ErrNoName):
		return "err.location_empty"
	case errors.Is(err, account.ErrLongName):
		return "err.location_long"
	case errors.Is(err, account.ErrBadName):
		return "err.location_unseen"
	case errors.Is(err, store.ErrDuplicate):
		return "err.location_taken"
	}
	return ""
}
