package settings

import (
	"net/http"
	"slices"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/templates"
)

// language saves the language of the person's mails, and of this browser's
// pages.
func (s *Settings) language(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	lang := r.PostForm.Get("language")
	if !slices.Contains(templates.Languages(), lang) {
		s.toSecurity(w, r, "")
		return nil
	}
	if err := s.Store.SetLocale(r.Context(), sess, lang); err != nil {
		return err
	}
	s.Site.KeepLanguage(w, lang)
	s.toSecurity(w, r, "language_saved")
	return nil
}
