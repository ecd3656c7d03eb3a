package settings

import (
	"net/http"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// How many events the page shows, and how many it looks at for that: some of
// them it has no words for.
const (
	shown  = 50
	looked = 4 * shown
)

// activity shows what happened to the account lately.
func (s *Settings) activity(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	all, err := s.Store.Activity(r.Context(), sess.Account, looked)
	if err != nil {
		return err
	}
	var lines []web.ActivityLine
	for _, a := range all {
		if line, ok := web.ActivityLineOf(a); ok && len(lines) < shown {
			lines = append(lines, line)
		}
	}
	return s.show(w, r, sess, templates.Page{Name: "activity", Data: web.ActivityPage{Lines: lines}})
}
