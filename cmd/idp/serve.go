package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

func serveCommand() *cobra.Command {
	return configurable(&cobra.Command{
		Use:   "serve",
		Short: "Serve people and apps; refuses unsafe settings by name",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured(cmd)
			if err != nil {
				return err
			}
			if err := c.checkServe(); err != nil {
				return err
			}
			return serve(cmd.Context(), c)
		},
	}, "store", "issuer", "listen", "operator-listen", "log-level")
}

// serve runs the server until ctx ends, then drains.
func serve(ctx context.Context, c *Config) error {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return err
	}
	h, err := c.assemble(ctx, issuer, c.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.refuseDemo(ctx); err != nil {
		return err
	}
	if err := h.syncClients(ctx, c.Clients); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	if err := h.listen(c); err != nil {
		return err
	}
	return h.run(ctx)
}

// refuseDemo keeps the demo's people, whose passwords everybody knows, away
// from a server.
func (h *house) refuseDemo(ctx context.Context) error {
	_, err := h.store.Client(ctx, demoClients[0].ID)
	switch {
	case err == nil:
		return errors.New("store.url: holds the demo's apps and people, whose secrets everybody knows")
	case errors.Is(err, store.ErrNoClient):
		return nil
	}
	return err
}

// syncClients makes the store's apps those of the configuration, beside those
// registered by command. Nothing is written where nothing changed, so replicas
// may all do it.
func (h *house) syncClients(ctx context.Context, configured []ClientConfig) error {
	all, err := h.store.Clients(ctx)
	if err != nil {
		return err
	}
	for _, cc := range configured {
		want := cc.client().Client
		want.FromConfig = true
		i := slices.IndexFunc(all, func(c store.Client) bool { return c.ID == want.ID })
		switch {
		case i >= 0 && !all[i].FromConfig:
			return fmt.Errorf("%s was registered by command: remove it there, or take it out of the configuration", want.ID)
		case i >= 0 && sameClient(all[i], want):
			continue
		}
		if err := h.store.PutClient(ctx, want, "configuration"); err != nil {
			return err
		}
	}
	for _, c := range all {
		gone := !slices.ContainsFunc(configured, func(cc ClientConfig) bool { return cc.ID == c.ID })
		if c.FromConfig && gone {
			if err := h.store.RemoveClient(ctx, c.ID, "configuration"); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameClient compares two apps as they would be printed, and their secrets.
func sameClient(a, b store.Client) bool {
	return fmt.Sprint(document(a, ""), a.SecretHash) == fmt.Sprint(document(b, ""), b.SecretHash)
}
