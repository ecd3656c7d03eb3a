package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

func migrateCommand() *cobra.Command {
	return configurable(&cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Long: `Bring the store's schema up to date. It is safe to run twice, and from several
machines at once: one works, the others wait. Servers of the version before go
on running meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured(cmd)
			if err != nil {
				return err
			}
			sc, err := c.store()
			if err != nil {
				return err
			}
			if err := store.Migrate(cmd.Context(), sc); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
			return err
		},
	}, "store")
}
