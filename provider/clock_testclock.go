//go:build testclock

package provider

import (
	"fmt"
	"net/http"
	"time"
)

// clockRoutes mounts POST /clock?by=29m59s, which moves this process's clock.
// Promises about 30 and 60 minutes are proven with it, on the real binary.
func (p *Provider) clockRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) {
		by, err := time.ParseDuration(r.FormValue("by"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.Store.Shift(by)
		_, _ = fmt.Fprintln(w, p.Store.Now().UTC().Format(time.RFC3339Nano))
	})
}
