package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

func practiceCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{Use: "practice", Short: "Add practices, and say what they demand"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(practiceAdd(), practiceRequire())
	return cmd
}

func practiceAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add ID", Short: "Add a practice", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *store.Store) error {
				err := st.AddPractice(ctx, account.PracticeID(args[0]), name)
				if errors.Is(err, store.ErrDuplicate) {
					return fmt.Errorf("there is a practice %s already", args[0])
				}
				if err != nil {
					return err
				}
				return say(cmd, map[string]any{"id": args[0]}, "added %s", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

func practiceRequire() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use: "require-2fa ID", Short: "Have all its people sign in with two factors", Args: cobra.ExactArgs(1),
		Long: `Have all people of a practice sign in with two factors. Who has no second one
sets it up at their next sign-in.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *store.Store) error {
				changed, err := st.RequireSecond(ctx, account.PracticeID(args[0]), !off, operator())
				if err != nil {
					return err
				}
				word := map[bool]string{true: "changed", false: "as it was, or unknown"}[changed]
				return say(cmd, map[string]any{"id": args[0], "require_2fa": !off, "changed": changed}, "%s: %s", args[0], word)
			})
		},
	}
	cmd.Flags().BoolVar(&off, "off", false, "demand it no more")
	return cmd
}
