package settings

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

// A change of address:
//
//	GET  /account/email           asks for the new one
//	POST /account/email           mails a link to both
//	GET  /confirm-email?token=    asks whether it is wanted, at either
//	POST /confirm-email           the second of them makes it
//	GET, POST /confirm-email/cancel   "this was not me", at the old one
//
// A GET changes nothing: mail scanners follow links.

// email asks for the new address.
func (s *Settings) email(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	return s.render(w, r, p, http.StatusOK, templates.Page{Name: "email", Data: web.EmailPage{Now: p.Email}})
}

// askEmail has both addresses mailed. Whether somebody else has the new one
// changes nothing that can be seen here. What is mailed is the normalised
// address, for that is what is claimed: the mailbox of another spelling proves
// nothing about it.
func (s *Settings) askEmail(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	p, err := s.person(r, sess)
	if err != nil {
		return err
	}
	typed := r.PostForm.Get("email")
	email := account.Normalise(typed)
	if key := emailProblem(email, account.Normalise(p.Email)); key != "" {
		return s.render(w, r, p, http.StatusUnprocessableEntity, templates.Page{Name: "email",
			Problems: []templates.Problem{{Field: "email", Text: s.Site.Text(r, key, nil)}},
			Data:     web.EmailPage{Now: p.Email, Email: typed}})
	}
	if err := s.Store.AskEmail(r.Context(), sess, email, s.Site.Source(r)); err != nil {
		return err
	}
	return s.render(w, r, p, http.StatusOK, templates.Page{Name: "email_sent",
		Data: web.EmailSentPage{Now: p.Email, New: email}})
}

// emailProblem names what is wrong with a new address, or nothing.
func emailProblem(email, now string) string {
	switch {
	case email == "":
		return "err.email_empty"
	case !web.LooksLikeEmail(email):
		return "err.email_shape"
	case email == now:
		return "err.email_same"
	}
	return ""
}

// withdrawEmail gives the change up that is under way.
func (s *Settings) withdrawEmail(w http.ResponseWriter, r *http.Request, sess *store.Session) error {
	was, err := s.Store.WithdrawEmail(r.Context(), sess, s.Site.Source(r))
	if err != nil {
		return err
	}
	notice := ""
	if was {
		notice = "email_withdrawn"
	}
	s.toSecurity(w, r, notice)
	return nil
}

// confirmEmail asks whether the change is wanted.
func (s *Settings) confirmEmail(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	return s.emailLink(w, r, "email_confirm")
}

// cancelEmail asks whether the change is to be cancelled.
func (s *Settings) cancelEmail(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	return s.emailLink(w, r, "email_cancel")
}

// emailLink shows a page about the change that the link's token belongs to.
func (s *Settings) emailLink(w http.ResponseWriter, r *http.Request, page string) error {
	token := r.URL.Query().Get("token")
	email, err := s.Store.EmailLink(r.Context(), account.HashSecret(token))
	if errors.Is(err, store.ErrGone) {
		return s.gone(w, r, "email_dead")
	}
	if err != nil {
		return err
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: page, Data: web.EmailLinkPage{Token: token, New: email}})
}

// gone says that a link is worth nothing.
func (s *Settings) gone(w http.ResponseWriter, r *http.Request, page string) error {
	return s.Site.Render(w, r, http.StatusGone, templates.Page{Name: page})
}

// emailConfirmed confirms the change from one of the addresses.
func (s *Settings) emailConfirmed(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	done, wait, err := s.Store.ConfirmEmail(r.Context(), account.HashSecret(r.PostForm.Get("token")), s.Site.Source(r))
	if errors.Is(err, store.ErrGone) {
		return s.gone(w, r, "email_dead")
	}
	if err != nil {
		return err
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "email_confirmed",
		Data: web.EmailConfirmedPage{Done: done, Wait: masked(wait)}})
}

// masked is an address that its owner recognises and nobody else learns: by a
// slip the new one may be a stranger's, who opens the link.
func masked(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return ""
	}
	_, first := utf8.DecodeRuneInString(email)
	return email[:first] + "•••" + email[at:]
}

// emailCancelled ends the change.
func (s *Settings) emailCancelled(w http.ResponseWriter, r *http.Request, _ *store.Session) error {
	was, err := s.Store.CancelEmail(r.Context(), account.HashSecret(r.PostForm.Get("token")), s.Site.Source(r))
	if err != nil {
		return err
	}
	if !was {
		return s.gone(w, r, "email_dead")
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "email_cancelled"})
}
