// Command idp runs Medximity ID and looks after it.
//
//	idp demo                                   everything on this machine, to look at
//	idp serve                                  the server
//	idp migrate                                bring the store's schema up to date
//	idp client add|list|show|rotate-secret|remove
//	idp account add|import|find|unlock|reset-link|disable|enable
//	idp keys rotate|list|new-ring|extend-ring
//	idp mail retry                             what could not be delivered
//	idp audit verify                           names the first row that somebody tampered with
//	idp config check, idp doctor, idp version
//
// It only configures: package provider assembles the server. The settings are
// the fields of Config, in config.go.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "idp:", err)
		return 1
	}
	return 0
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "idp",
		Short:         "Medximity ID, an OpenID provider for practices",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(demoCommand(), serveCommand(), migrateCommand(), clientCommand(),
		accountCommand(), practiceCommand(), keysCommand(), mailCommand(), auditCommand(), configCommand(), doctorCommand(), versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version()) },
	}
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
		if s.Key == "vcs.modified" && s.Value == "true" {
			v += " modified"
		}
	}
	return v + " " + info.GoVersion
}

// operator is who acts, for the audit trail: whoever runs the command.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return "operator"
	}
	return "operator:" + u.Username
}
