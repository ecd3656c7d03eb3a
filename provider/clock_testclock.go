//go:build testclock

package provider

import (
	"fmt"
	"net/http"
	"time"
)

// clockRoutes mounts /clock: GET tells this process's time, POST with to= (RFC
// 3339) sets it. Promises about 30 and 60 minutes are proven with it, on the
// real binary.
func (p *Provider) clockRoutes(mux *http.ServeMux) {
	tell := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, p.Store.Now().Format(time.RFC3339Nano))
	}
	mux.HandleFunc("GET /clock", tell)
	mux.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) {
		to, err := time.Parse(time.RFC3339Nano, r.FormValue("to"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.Store.Shift(to.Sub(p.Store.Now()))
		tell(w, r)
	})
}
