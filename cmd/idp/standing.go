package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// standingDoc is how an account stands, without any secret.
type standingDoc struct {
	ID               account.ID         `json:"id"`
	Username         string             `json:"username"`
	Email            string             `json:"email"`
	EmailVerified    bool               `json:"email_verified"`
	Role             string             `json:"role"`
	Practice         account.PracticeID `json:"practice"`
	Disabled         bool               `json:"disabled"`
	HasPassword      bool               `json:"has_password"`
	MustChange       bool               `json:"must_change_password"`
	PasswordDisabled bool               `json:"password_disabled"`
	LockedUntil      *time.Time         `json:"locked_until"`
	Failures         int                `json:"consecutive_failures"`
	Wrong            int                `json:"wrong_since_last_right"`
	Authenticators   int                `json:"authenticators"`
	Passkeys         int                `json:"passkeys"`
	BackupCodes      int                `json:"backup_codes_left"`
	CodeFailures     int                `json:"consecutive_code_failures"`
	WrongCodes       int                `json:"wrong_codes_since_last_right"`
	Held             bool               `json:"second_factor_held"`
}

func standing(st *store.Store, e *directory.Entry, g store.Standing, second account.Second) standingDoc {
	d := standingDoc{
		ID: e.ID, Username: e.Username, Email: e.Email, EmailVerified: e.EmailVerified,
		Role: e.Role, Practice: e.Practice, Disabled: e.Disabled || g.Disabled,
		HasPassword: e.Handle != "", MustChange: e.MustChange,
		PasswordDisabled: g.Wrong[account.Password] >= account.MaxWrongPasswords,
		Failures:         g.Failed[account.Password], Wrong: g.Wrong[account.Password],
		Authenticators: second.Authenticators, Passkeys: second.Passkeys, BackupCodes: second.Codes,
		CodeFailures: g.Failed[account.SecondFactor], WrongCodes: g.Wrong[account.SecondFactor],
		Held: g.Wrong[account.SecondFactor] >= account.MaxWrongCodes,
	}
	if st.Now().Before(g.LockedUntil) {
		d.LockedUntil = &g.LockedUntil
	}
	return d
}

func (d standingDoc) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	line := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	line("id", d.ID)
	line("username", d.Username)
	line("email", d.Email)
	line("role", d.Role)
	line("practice", d.Practice)
	line("disabled", d.Disabled)
	line("locked until", d.lock())
	line("failures in a row", d.Failures)
	line("wrong since the last right", d.Wrong)
	line("password", d.password())
	line("second factor", d.second())
	return w.Flush()
}

func (d standingDoc) lock() string {
	if d.LockedUntil == nil {
		return "not locked"
	}
	return d.LockedUntil.Format(time.RFC3339)
}

func (d standingDoc) password() string {
	switch {
	case !d.HasPassword:
		return "none yet"
	case d.PasswordDisabled:
		return "disabled, until a reset"
	case d.MustChange:
		return "must be changed at the next sign-in"
	}
	return "set"
}

func (d standingDoc) second() string {
	has := "none"
	if d.Authenticators+d.Passkeys > 0 {
		has = fmt.Sprintf("%d authenticators, %d passkeys, %d backup codes left", d.Authenticators, d.Passkeys, d.BackupCodes)
	}
	switch {
	case d.Held:
		return has + fmt.Sprintf("; held after %d wrong codes, until disable-2fa", account.MaxWrongCodes)
	case d.WrongCodes > 0:
		return has + fmt.Sprintf("; %d wrong codes since the last right one", d.WrongCodes)
	}
	return has
}
