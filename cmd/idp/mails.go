package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

func mailCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{Use: "mail", Short: "Look after mails that could not be delivered"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(&cobra.Command{
		Use: "retry", Short: "Try the mails again that were given up, reset links excepted: those are over",
		Args: cobra.NoArgs, RunE: mailRetry})
	return cmd
}

func mailRetry(cmd *cobra.Command, _ []string) error {
	return withRing(cmd, func(ctx context.Context, st *store.Store, _ *Config) error {
		n, err := st.RetryMails(ctx)
		if err != nil {
			return err
		}
		return say(cmd, map[string]any{"queued": n}, "%d mails are tried again", n)
	})
}
