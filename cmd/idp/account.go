package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func accountCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{
		Use: "account", Short: "Break glass for one account; everything is audited"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(accountAdd(), accountImport(),
		accountDo("find NAME", "Tell how an account stands", accountFind),
		accountDo("unlock NAME", "End a lock now", accountUnlock),
		accountDo("reset-link NAME", "Mail a reset link to the stored address; it is never shown here", accountResetLink),
		accountDo("disable-2fa NAME", "Take the second factor away, passkeys as well, and its hold; they set up a new one where one is required", accountDisable2FA),
		accountDo("new-backup-codes NAME", "End the backup codes; the next sign-in makes new ones, which only their owner sees", accountNewCodes),
		accountRole(),
		accountDo("disable NAME", "End the account's access at once", accountSet(true)),
		accountDo("enable NAME", "Give it back", accountSet(false)))
	return cmd
}

var errUnsealed = errors.New("keys.ring is missing: the NPI could not be sealed")

// accountDo is a command that does one thing to one person.
func accountDo(use, short string,
	do func(context.Context, *cobra.Command, *store.Store, *directory.Entry) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		Long: short + ".\n\nNAME is a username, an e-mail address or an account ID.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *store.Store) error {
				e, err := findPerson(ctx, st, args[0])
				if err != nil {
					return err
				}
				return do(ctx, cmd, st, e)
			})
		},
	}
}

// findPerson finds somebody by whatever the operator has of them.
func findPerson(ctx context.Context, st *store.Store, name string) (*directory.Entry, error) {
	people := store.People{Store: st}
	e, err := people.Lookup(ctx, directory.ByIdentifier, account.Normalise(name))
	if errors.Is(err, directory.ErrNotFound) {
		e, err = people.Lookup(ctx, directory.ByID, name)
	}
	if errors.Is(err, directory.ErrNotFound) {
		return nil, errors.New("nobody has that username, address or ID")
	}
	return e, err
}

func accountAdd() *cobra.Command {
	var p store.NewPerson
	var practice, npi string
	var link, stdin bool
	cmd := &cobra.Command{
		Use: "add", Short: "Add a person", Args: cobra.NoArgs,
		Long: `Add a person. Without --password-stdin there is no password until they choose
one: by --send-link, which mails them a link, or by Forgot Password?.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *store.Store) error {
				p.Practice = account.PracticeID(practice)
				if npi = account.NormalNPI(npi); npi != "" {
					if !account.ValidNPI(npi) {
						return errors.New("--npi is not an NPI: ten digits, of which the last is a check digit")
					}
					p.Claims = map[string]any{"npi": npi}
				}
				if err := completePerson(ctx, cmd, &p, stdin); err != nil {
					return err
				}
				id, err := st.AddPerson(ctx, p, operator())
				switch {
				case errors.Is(err, store.ErrDuplicate):
					return errors.New("somebody has that username or address already")
				case errors.Is(err, store.ErrNoRing):
					return errUnsealed
				}
				if err == nil && link {
					err = sendLink(ctx, st, id)
				}
				if err != nil {
					return err
				}
				return say(cmd, map[string]any{"id": id}, "added %s", id)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Username, "username", "", "what they sign in with; default the e-mail address")
	f.StringVar(&p.Email, "email", "", "their address, as proven outside")
	f.StringVar(&p.Name, "name", "", "their full name")
	f.StringVar(&p.Role, "role", "", "owner, admin, front_desk, billing or support; default none")
	f.StringVar(&practice, "practice", "", "ID of their practice; default none")
	f.StringVar(&npi, "npi", "", "their National Provider Identifier")
	f.StringVar(&p.Locale, "locale", "", "language of their mails: en, ko, fr or es")
	f.BoolVar(&link, "send-link", false, "mail them a link to choose a password")
	f.BoolVar(&stdin, "password-stdin", false, "read a first password, to be changed at the first sign-in")
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

// completePerson completes and checks what the operator typed.
func completePerson(ctx context.Context, cmd *cobra.Command, p *store.NewPerson, stdin bool) error {
	or(&p.Username, p.Email)
	p.EmailVerified = true
	if p.Role != "" && !slices.Contains(account.Roles, account.Role(p.Role)) {
		return fmt.Errorf("--role %s: it is owner, admin, front_desk, billing or support", p.Role)
	}
	if local, domain, ok := strings.Cut(p.Email, "@"); !ok || local == "" || !strings.Contains(domain, ".") {
		return errors.New("--email is not an e-mail address")
	}
	if !stdin {
		return nil
	}
	typed, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), account.MaxPasswordBytes+2))
	if err != nil {
		return err
	}
	secret, err := account.NormalPassword(strings.TrimRight(string(typed), "\r\n"))
	if err == nil {
		err = account.PasswordRules{Known: account.Known}.Judge(secret, p.Username, p.Email, p.Name)
	}
	if err != nil {
		return err
	}
	p.MustChange = true
	p.Hash, err = new(account.Hasher).Hash(ctx, secret)
	return err
}

func accountFind(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
	g, err := st.Standing(ctx, e.ID)
	if err != nil {
		return err
	}
	second, err := st.Second(ctx, e.ID)
	if err != nil {
		return err
	}
	d := standing(st, e, g, second)
	if wantsJSON(cmd) {
		return printJSON(cmd, d)
	}
	return d.print(cmd.OutOrStdout())
}

func accountUnlock(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
	was, err := st.Unlock(ctx, e.ID, account.BySupport, operator())
	if err != nil {
		return err
	}
	if !was {
		return say(cmd, map[string]any{"id": e.ID, "was_locked": false}, "%s was not locked", e.ID)
	}
	return say(cmd, map[string]any{"id": e.ID, "was_locked": true}, "unlocked %s", e.ID)
}

func accountResetLink(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
	switch {
	case e.Disabled:
		return errors.New("the account is disabled: enable it first")
	case !e.EmailVerified:
		return errors.New("its address was never proven: nothing is mailed there")
	}
	if err := sendLink(ctx, st, e.ID); err != nil {
		return err
	}
	return say(cmd, map[string]any{"id": e.ID, "mailed": true},
		"a link goes to the address of %s, unless it had %d in the last hour", e.ID, account.LinksPerHour)
}

// sendLink queues a reset mail; a running server sends it.
func sendLink(ctx context.Context, st *store.Store, id account.ID) error {
	if st.Ring == nil {
		return errors.New("keys.ring is missing: the mail could not be sealed")
	}
	return st.AskReset(ctx, flows.ResetAsk{Subject: string(id), By: account.BySupport})
}

func accountDisable2FA(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
	if st.Ring == nil {
		return errors.New("keys.ring is missing: the mail that tells them could not be sealed")
	}
	had, err := st.Second(ctx, e.ID) // to say what went
	if err != nil {
		return err
	}
	was, err := st.ResetSecond(ctx, e.ID, account.BySupport, operator())
	if err != nil {
		return err
	}
	if !was {
		return say(cmd, map[string]any{"id": e.ID, "had_second_factor": false}, "%s had no second factor", e.ID)
	}
	return say(cmd, map[string]any{"id": e.ID, "had_second_factor": true,
		"authenticators": had.Authenticators, "passkeys": had.Passkeys},
		"%s has no second factor any more (%d authenticators and %d passkeys are gone), is signed out everywhere, and is told by mail",
		e.ID, had.Authenticators, had.Passkeys)
}

func accountNewCodes(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
	was, err := st.VoidBackupCodes(ctx, e.ID, operator())
	if err != nil {
		return err
	}
	if !was {
		return say(cmd, map[string]any{"id": e.ID, "had_backup_codes": false}, "%s had no backup codes", e.ID)
	}
	return say(cmd, map[string]any{"id": e.ID, "had_backup_codes": true},
		"the backup codes of %s are void; their next sign-in with the authenticator makes new ones", e.ID)
}

func accountRole() *cobra.Command {
	return &cobra.Command{
		Use: "role NAME ROLE", Short: "Give a role, as to a new Account Owner where the old one is gone", Args: cobra.ExactArgs(2),
		Long: `Give somebody a role: owner, admin, front_desk or billing in their practice, or
support for an agent of the desk, who is in none. NAME is a username, an e-mail
address or an account ID. A practice may have several owners.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *store.Store) error {
				e, err := findPerson(ctx, st, args[0])
				if err != nil {
					return err
				}
				role := account.Role(args[1])
				switch {
				case !slices.Contains(account.Roles, role):
					return fmt.Errorf("%s is none of %q", role, account.Roles)
				case (role == account.Support) != (e.Practice == ""):
					return errors.New("support is for people without a practice, and every other role for people with one")
				}
				changed, err := st.GiveRole(ctx, e.ID, role, operator())
				if err != nil {
					return err
				}
				word := map[bool]string{true: "is", false: "was already"}[changed]
				return say(cmd, map[string]any{"id": e.ID, "role": role, "changed": changed}, "%s %s %s", e.ID, word, role)
			})
		},
	}
}

func accountSet(disabled bool) func(context.Context, *cobra.Command, *store.Store, *directory.Entry) error {
	return func(ctx context.Context, cmd *cobra.Command, st *store.Store, e *directory.Entry) error {
		if err := st.SetDisabled(ctx, e.ID, disabled, operator()); err != nil {
			return err
		}
		word := map[bool]string{true: "disabled", false: "enabled"}[disabled]
		return say(cmd, map[string]any{"id": e.ID, "disabled": disabled}, "%s %s", word, e.ID)
	}
}

// say prints what was done: as JSON if asked, else as a sentence.
func say(cmd *cobra.Command, doc map[string]any, sentence string, args ...any) error {
	if wantsJSON(cmd) {
		return printJSON(cmd, doc)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), sentence+"\n", args...)
	return err
}
