package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/keys"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

func keysCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{Use: "keys", Short: "Look after signing keys and the key ring"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List signing keys", Args: cobra.NoArgs, RunE: keysList},
		rotateCommand(),
		&cobra.Command{Use: "new-ring", Short: "Print a new key ring for keys.ring; it is kept nowhere",
			Args: cobra.NoArgs, RunE: newRing},
		&cobra.Command{Use: "extend-ring", Short: "Print the configured key ring with a new newest key",
			Long: `Print the configured key ring with a new newest key, which seals from then on;
the others still open what they sealed. Give it to every server at about the
same time: one that lacks the newest key cannot open what another seals.`,
			Args: cobra.NoArgs, RunE: extendRing})
	return cmd
}

func newRing(cmd *cobra.Command, _ []string) error {
	_, ring, err := seal.NewRing()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(ring))
	return err
}

func extendRing(cmd *cobra.Command, _ []string) error {
	c, err := configured(cmd)
	if err != nil {
		return err
	}
	old, err := seal.ParseRing([]byte(c.KeyRing))
	if err != nil {
		return fmt.Errorf("keys.ring: %w", err)
	}
	ring, err := old.Rotate()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(ring))
	return err
}

func rotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make new signing keys; the old ones stay published until nobody needs them",
		Long: `Make new signing keys. They are published now and sign after keys.overlap, and
the old ones stay published until nobody needs them.

With --compromised the new ones sign at once and the old ones are believed no
more: apps that verify a token of the last minutes will ask people again.`,
		Args: cobra.NoArgs, RunE: keysRotate,
	}
	cmd.Flags().Bool("compromised", false, "others may know the keys: stop using them at once")
	return cmd
}

func keysRotate(cmd *cobra.Command, _ []string) error {
	rotate := (*keys.Keys).Rotate
	if compromised, _ := cmd.Flags().GetBool("compromised"); compromised {
		rotate = (*keys.Keys).Replace
	}
	return withRing(cmd, func(ctx context.Context, st *store.Store, c *Config) error {
		k, err := keys.Open(ctx, st, c.keys())
		if err != nil {
			return err
		}
		if err := rotate(k, ctx, operator()); err != nil {
			return err
		}
		return say(cmd, map[string]any{"rotated": true}, "rotated; servers take the new keys up within a minute")
	})
}

func (c *Config) keys() keys.Config {
	return keys.Config{RotateEvery: c.KeysRotateEvery, Overlap: c.KeysOverlap}
}

// keyDoc is a signing key in JSON.
type keyDoc struct {
	ID        string     `json:"kid"`
	Algorithm string     `json:"alg"`
	State     string     `json:"state"`
	SignsAt   time.Time  `json:"signs_at"`
	RetiresAt *time.Time `json:"retires_at,omitempty"`
	RemovedAt *time.Time `json:"removed_at,omitempty"`
}

func keysList(cmd *cobra.Command, _ []string) error {
	return withRing(cmd, func(ctx context.Context, st *store.Store, _ *Config) error {
		all, err := st.SigningKeys(ctx)
		if err != nil {
			return err
		}
		docs := make([]keyDoc, len(all))
		for i, k := range all {
			docs[i] = keyDoc{k.ID, k.Algorithm, keyState(k, st.Now()), k.SignsAt, known(k.RetiresAt), known(k.RemovedAt)}
		}
		if wantsJSON(cmd) {
			return printJSON(cmd, docs)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "KID\tALG\tSTATE\tSIGNS FROM")
		for _, d := range docs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.ID, d.Algorithm, d.State, d.SignsAt.Format(time.RFC3339))
		}
		return w.Flush()
	})
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// keyState says what a key does now.
func keyState(k store.SigningKey, now time.Time) string {
	switch {
	case !k.RemovedAt.IsZero() && !now.Before(k.RemovedAt):
		return "removed"
	case !k.RetiresAt.IsZero() && !now.Before(k.RetiresAt):
		return "verifies"
	case now.Before(k.SignsAt):
		return "published"
	}
	return "signs"
}
