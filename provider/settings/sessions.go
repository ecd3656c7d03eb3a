package settings

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// sessions lists where the account is signed in, this browser first. What the
// page names a session by is a hash: it opens nothing.
func (s *Settings) sessions(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	all, err := s.Store.Sessions(r.Context(), sess.Account)
	if err != nil {
		return err
	}
	lines := make([]web.SessionLine, len(all))
	for i, a := range all {
		lines[i] = web.SessionLine{ID: base64.RawURLEncoding.EncodeToString(a.ID), Device: a.Device,
			Address: a.Address, Started: a.CreatedAt, Seen: a.SeenAt, Current: bytes.Equal(a.ID, sess.ID)}
	}
	slices.SortStableFunc(lines, func(a, b web.SessionLine) int {
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return 0
	})
	return s.show(w, r, sess, templates.Page{Name: "sessions", Notice: s.notice(r),
		Data: web.SessionsPage{Sessions: lines}})
}

// end ends one session. To end the one of this browser is to sign out.
func (s *Settings) end(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	id, err := base64.RawURLEncoding.DecodeString(r.PostForm.Get("id"))
	if err != nil || len(id) == 0 {
		s.Site.SeeOther(w, r, "/account/sessions")
		return nil
	}
	if bytes.Equal(id, sess.ID) {
		s.Site.SeeOther(w, r, "/logout")
		return nil
	}
	was, err := s.Store.EndSessionByID(r.Context(), sess, id, s.Site.Source(r))
	if err != nil {
		return err
	}
	notice := ""
	if was {
		notice = "session_ended"
	}
	s.Site.SeeOther(w, r, "/account/sessions"+query(notice))
	return nil
}

func (s *Settings) endOthers(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	if _, err := s.Store.EndOtherSessions(r.Context(), sess, s.Site.Source(r)); err != nil {
		return err
	}
	s.Site.SeeOther(w, r, "/account/sessions?notice=sessions_ended")
	return nil
}
