package provider

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// maxSkew is how far this machine's clock may be from the database's before
// the replica is taken out: locks and links are measured by it.
const maxSkew = 2 * time.Second

// readiness says whether this replica should get requests.
type readiness struct{ draining atomic.Bool }

// Drain makes /readyz fail, so that the balancer stops sending requests while
// those that run are finished.
func (p *Provider) Drain() { p.ready.draining.Store(true) }

// Operator serves those who run us, on a listener of its own:
//
//	GET /metrics  Prometheus
//	GET /healthz  the process is alive
//	GET /readyz   the store, the directory and the clock are well
func (p *Provider) Operator() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.Metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.readyz)
	p.clockRoutes(mux)
	return mux
}

func (p *Provider) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := p.notReady(ctx)
	p.Metrics.Ready(err == nil)
	if err != nil {
		p.Logger.WarnContext(ctx, "not ready", "cause", err.Error())
		http.Error(w, "not ready: see the log", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

// notReady returns the first reason to send no requests here, or nil.
func (p *Provider) notReady(ctx context.Context) error {
	if p.ready.draining.Load() {
		return fmt.Errorf("shutting down")
	}
	if err := p.Store.Ping(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := p.Directory.Ping(ctx); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if skew := p.Store.Skew(); skew > maxSkew || skew < -maxSkew {
		return fmt.Errorf("clock: %s from the database's", skew)
	}
	return nil
}
