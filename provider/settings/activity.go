package settings

import (
	"net/http"

	"github.com/medximity/idp/flows/account"
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
		if key := what(a); key != "" && len(lines) < shown {
			lines = append(lines, web.ActivityLine{What: key, At: a.At, Source: string(a.Source), Other: a.Actor != ""})
		}
	}
	return s.Site.Render(w, r, http.StatusOK, templates.Page{Name: "activity", Data: web.ActivityPage{Lines: lines}})
}

// what is the key of an event's words, after "activity.": its kind, and of a
// failure the factor. It is "" for what tells a person nothing.
func what(a store.Activity) string {
	switch a.Kind {
	case account.SignInFailed:
		if a.Factor == account.Password.String() || a.Factor == account.SecondFactor.String() {
			return string(a.Kind) + "." + a.Factor
		}
	case account.ResetRequested:
		return only(a, a.Reason == account.Sent)
	case account.EmailAsked:
		return only(a, a.Reason == "")
	case account.SessionEnded:
		return only(a, a.Reason != account.Replaced)
	case account.GrantRevoked: // what else ends one has a line of its own
		return only(a, a.Reason == account.ReuseSeen)
	case account.SignedIn, account.SteppedUp, account.Locked, account.LockCleared,
		account.PasswordDisabled, account.PasswordChanged, account.ResetCompleted, account.ResetCancelled,
		account.SecondAdded, account.SecondRemoved, account.SecondReset, account.SecondHeld,
		account.BackupMade, account.BackupVoided, account.BackupUsed,
		account.EmailChanged, account.EmailCancelled, account.Disavowed, account.LanguageChanged,
		account.ConsentGiven, account.ConsentWithdrawn,
		account.AccountAdded, account.AccountDisabled, account.AccountEnabled, account.SupportAsked:
		return string(a.Kind)
	}
	return ""
}

func only(a store.Activity, worth bool) string {
	if !worth {
		return ""
	}
	return string(a.Kind)
}
