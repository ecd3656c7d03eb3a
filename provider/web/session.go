package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	"github.com/medximity/idp/provider/store"
)

// Sessions keeps the browser's half of a session: one cookie, which holds
// nothing but the session's secret. All else is the store's row, so a session
// ends everywhere at once. It is a gorilla sessions.Store.
type Sessions struct {
	site  *Site
	codec codec
}

var _ sessions.Store = (*Sessions)(nil)

// lookup remembers what the store said, for the rest of the request.
type lookup struct {
	done    bool
	session *store.Session
	token   string
}

// Current returns the live session of this browser and its token, or
// store.ErrNoSession. It asks the store once a request.
func (s *Sessions) Current(r *http.Request) (*store.Session, string, error) {
	l := &visitOf(r).session
	if !l.done {
		if err := s.look(r, l); err != nil {
			return nil, "", err
		}
	}
	if l.session == nil {
		return nil, "", store.ErrNoSession
	}
	return l.session, l.token, nil
}

func (s *Sessions) look(r *http.Request, l *lookup) error {
	g, err := s.Get(r, s.name())
	if err != nil {
		return err
	}
	*l = lookup{done: true, token: g.ID}
	if g.ID == "" {
		return nil
	}
	l.session, err = s.site.Store.Session(r.Context(), g.ID)
	if err != nil && !errors.Is(err, store.ErrNoSession) {
		*l = lookup{}
		return err
	}
	return nil
}

// Set gives the browser the session of a token. Every sign-in has a new token,
// so one that was planted before never becomes a session (ASVS 7.2.4).
func (s *Sessions) Set(w http.ResponseWriter, r *http.Request, token string) error {
	g, err := s.Get(r, s.name())
	if err != nil {
		return err
	}
	g.ID = token
	visitOf(r).session = lookup{}
	return g.Save(r, w)
}

// End takes the session's cookie from the browser. Ending the session itself is
// the store's.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) {
	visitOf(r).session = lookup{done: true}
	http.SetCookie(w, s.site.cookie("session", "", -time.Second))
}

func (s *Sessions) name() string { return s.site.cookieName("session") }

// Get returns the request's session, the same one each time.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session that the request's cookie names, or a fresh one: a
// stale or foreign cookie is nobody's mistake, and never an error.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	g := sessions.NewSession(s, name)
	g.IsNew = true
	c, err := r.Cookie(name)
	if err != nil {
		return g, nil
	}
	var token string
	if s.codec.Decode(name, c.Value, &token) == nil && isSecret(token) {
		g.ID, g.IsNew = token, false
	}
	return g, nil
}

// Save writes the session's cookie. It lasts until the browser is closed; how
// long the session does is the store's to say.
func (s *Sessions) Save(_ *http.Request, w http.ResponseWriter, g *sessions.Session) error {
	value, err := s.codec.Encode(g.Name(), g.ID)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.site.cookie("session", value, 0))
	return nil
}
