package web

import (
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// ActivityLineOf is an event as pages show it; false if they have no words for it.
// From where somebody else acted is theirs to know.
func ActivityLineOf(a store.Activity) (ActivityLine, bool) {
	key := activity(a)
	l := ActivityLine{What: key, At: a.At, Source: string(a.Source)}
	if a.Actor != "" {
		l.Source, l.Team = "", a.By == account.ByOwner
		l.Other = !l.Team
	}
	return l, key != ""
}

// activity is the key of an event's words, after "activity.": its kind, and of a
// failure the factor. It is "" for what tells a person nothing.
func activity(a store.Activity) string {
	switch a.Kind {
	case account.SignInFailed:
		if a.Factor == account.Password.String() || a.Factor == account.SecondFactor.String() {
			return string(a.Kind) + "." + a.Factor
		}
	case account.MemberChanged:
		switch a.Reason {
		case account.RoleGiven, account.LocationsGiven, account.SignedOut:
			return string(a.Kind) + "." + string(a.Reason)
		}
	case account.Locked:
		if a.Reason == account.OneDevice {
			return string(a.Kind) + "." + string(a.Reason)
		}
		return string(a.Kind)
	case account.ResetRequested:
		return only(a, a.Reason == account.Sent)
	case account.EmailAsked:
		return only(a, a.Reason == "")
	case account.SessionEnded:
		return only(a, a.Reason != account.Replaced)
	case account.GrantRevoked: // what else ends one has a line of its own
		return only(a, a.Reason == account.ReuseSeen)
	case account.SignedIn, account.SteppedUp, account.LockCleared,
		account.PasswordDisabled, account.PasswordChanged, account.ResetCompleted, account.ResetCancelled,
		account.SecondAdded, account.SecondRemoved, account.SecondReset, account.SecondHeld,
		account.BackupMade, account.BackupVoided, account.BackupUsed,
		account.PasskeyAdded, account.PasskeyRemoved, account.PasskeyCloned,
		account.EmailChanged, account.EmailCancelled, account.Disavowed, account.LanguageChanged,
		account.ConsentGiven, account.ConsentWithdrawn,
		account.AccountAdded, account.AccountDisabled, account.AccountEnabled, account.SupportAsked,
		account.AccessReviewed, account.CaseWaiting, account.CaseFrozen, account.CaseDone,
		account.OwnershipOffered, account.OwnershipAgreed, account.OwnershipKept, account.OwnershipTransferred:
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
