package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// What one file may hold, and how much is told of what is wrong with it.
const (
	maxImportBytes    = 64 << 20
	maxImportPeople   = 100_000
	maxImportProblems = 100
)

const importHelp = `Add practices, their locations and people from a CSV or JSON file, or from
standard input (-). All of it is added, or, if anything is wrong, nothing: then
every line that is wrong is named. Nobody who is there already is changed.

CSV has a line of column names, in any order, and a person a line:

  id              default: one is made
  username        what they sign in with; default the e-mail address
  email           must be there
  email_verified  true or false; default true. Nothing is mailed to an address
                  that is not verified
  name            their full name
  role            owner, admin, front_desk, billing or support; default none
  practice        ID of their practice; default none
  practice_name   adds the practice if it is not there
  locations       where they work, separated by ;  added if not there
  locale          language of their mails: en, ko, fr or es
  npi             their National Provider Identifier
  password_hash   what another system kept; default: no password until a reset
  must_change     true: the password, at the first sign-in; default false

JSON has the same by the same names, but practices apart:

  {"practices": [{"id": "", "name": "", "require_2fa": false,
                  "locations": [{"id": "", "name": ""}]}],
   "people":    [{"email": "", "practice": "", "locations": [""],
                  "claims": {"phone_number": ""}, …}]}

Hashes may be argon2id, argon2i, bcrypt, PBKDF2, scrypt, sha256-crypt and
sha512-crypt, {SSHA}, {SSHA256}, {SSHA512}, and those of Django and of ASP.NET
Identity; the runbook says in which form, and what they may cost.`

func accountImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add practices and people from a file, all or nothing", Args: cobra.ExactArgs(1),
		Long: importHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := o.read(cmd, args[0])
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *store.Store) error { return o.run(ctx, cmd, st, f) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "csv or json; default by the file's ending")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything, also against the directory, and change nothing")
	f.BoolVar(&o.sendLinks, "send-links", false, "mail those without a password a link to choose one")
	return cmd
}

type importOptions struct {
	format            string
	dryRun, sendLinks bool
}

// read reads the file as what it says it is.
func (o importOptions) read(cmd *cobra.Command, path string) (*importFile, error) {
	format := o.format
	or(&format, strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."))
	readers := map[string]func(*importFile, []byte){"csv": (*importFile).readCSV, "json": (*importFile).readJSON}
	read, known := readers[format]
	if !known {
		return nil, errors.New("--format: it is csv or json")
	}
	data, err := readImport(cmd, path)
	if err != nil {
		return nil, err
	}
	f := newImportFile(path)
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // Excel begins a file with a byte order mark
	if f.readable(data) {
		read(f, data)
	}
	return f, nil
}

func readImport(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxImportBytes+1))
	if err == nil && len(data) > maxImportBytes {
		err = fmt.Errorf("%s has more than %d MiB: split it", path, maxImportBytes>>20)
	}
	return data, err
}

// run imports the file, or says all that is wrong with it. What the directory
// has against the rest is found even if something is wrong already.
func (o importOptions) run(ctx context.Context, cmd *cobra.Command, st *store.Store, f *importFile) error {
	if o.sendLinks && st.Ring == nil {
		return errors.New("keys.ring is missing: the mails could not be sealed")
	}
	f.in.Actor, f.in.SendLinks = operator(), o.sendLinks
	f.in.DryRun = o.dryRun || len(f.wrong) > 0
	done, problems, err := st.Import(ctx, f.in)
	if errors.Is(err, store.ErrNoRing) {
		return errUnsealed
	}
	if err != nil {
		return err
	}
	for _, p := range problems {
		f.say(p.Mark, p.Field, p.Err)
	}
	if len(f.wrong) > 0 {
		f.tell(cmd.ErrOrStderr())
		return fmt.Errorf("nothing was imported: %s", plural(len(f.wrong), "problem"))
	}
	for _, id := range done.WithoutOwner {
		fmt.Fprintf(cmd.ErrOrStderr(), "practice %s has no owner: nobody can run its team\n", id)
	}
	return say(cmd, importDoc(o.dryRun, done), "%s %s, %s and %s (without a password: %d; mailed a link: %d)",
		map[bool]string{true: "would import", false: "imported"}[o.dryRun],
		plural(done.Practices, "practice"), plural(done.Locations, "location"), plural(done.People, "person"),
		done.WithoutPassword, done.Links)
}

func importDoc(dry bool, done store.Imported) map[string]any {
	owners := done.WithoutOwner
	if owners == nil {
		owners = []account.PracticeID{}
	}
	return map[string]any{"dry_run": dry, "practices": done.Practices, "locations": done.Locations, "people": done.People,
		"without_password": done.WithoutPassword, "links": done.Links, "practices_without_owner": owners}
}

// plural is "1 problem", "2 problems" or "3 people".
func plural(n int, what string) string {
	switch {
	case n == 1:
	case what == "person":
		what = "people"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
