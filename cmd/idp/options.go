package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store"
)

// settings are the flags that stand for a setting, by flag.
var settings = map[string]struct{ key, usage string }{
	"store":           {"store.url", "postgres://… or sqlite:PATH (store.url)"},
	"issuer":          {"issuer", "the URL that apps and people reach us by (issuer)"},
	"listen":          {"listen", "address for people and apps (listen)"},
	"operator-listen": {"operator.listen", "address of /metrics and /readyz (operator.listen)"},
	"log-level":       {"log.level", "debug, info, warn or error (log.level)"},
}

// configurable gives a command --config and the flags of the named settings.
func configurable(cmd *cobra.Command, names ...string) *cobra.Command {
	cmd.PersistentFlags().String("config", "", "YAML file of settings (or $IDP_CONFIG)")
	for _, name := range names {
		cmd.PersistentFlags().String(name, "", settings[name].usage)
	}
	return cmd
}

// configured reads the configuration of a command and refuses what means
// nothing.
func configured(cmd *cobra.Command) (*Config, error) {
	s := sources{file: os.Getenv(prefix + "CONFIG"), environ: os.Environ(), flags: map[string]string{}}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "config" {
			s.file = f.Value.String()
		}
		if setting, ok := settings[f.Name]; ok {
			s.flags[setting.key] = f.Value.String()
		}
	})
	c, err := load(s)
	if err != nil {
		return nil, err
	}
	return c, c.check()
}

// withStore runs f on the open store.
func withStore(cmd *cobra.Command, f func(context.Context, *store.Store) error) error {
	c, err := configured(cmd)
	if err != nil {
		return err
	}
	return c.withStore(cmd, f)
}

// withRing is withStore for what reads or writes sealed rows.
func withRing(cmd *cobra.Command, f func(context.Context, *store.Store, *Config) error) error {
	c, err := configured(cmd)
	if err != nil {
		return err
	}
	if c.KeyRing == "" {
		return errors.New("keys.ring is missing: it seals keys and mails in the store")
	}
	return c.withStore(cmd, func(ctx context.Context, st *store.Store) error { return f(ctx, st, c) })
}

func (c *Config) withStore(cmd *cobra.Command, f func(context.Context, *store.Store) error) error {
	sc, err := c.store()
	if err != nil {
		return err
	}
	st, err := store.Open(cmd.Context(), sc)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	return f(cmd.Context(), st)
}

// store is the configuration's part about the store.
func (c *Config) store() (store.Config, error) {
	sc := store.Config{URL: string(c.StoreURL), MaxConns: c.StoreMaxConns, Logger: c.logger(os.Stderr)}
	if c.KeyRing == "" {
		return sc, nil
	}
	var err error
	sc.Ring, err = seal.ParseRing([]byte(c.KeyRing))
	return sc, err
}

// logger writes JSON lines. What looks like a secret is not written, whoever
// tries to.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hideSecrets}))
}

func hideSecrets(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(a.Key)
	for _, secret := range []string{"password", "secret", "token", "cookie", "authorization", "code_verifier", "email"} {
		if strings.Contains(name, secret) {
			return slog.String(a.Key, redacted)
		}
	}
	return a
}

// printJSON prints one indented document.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
