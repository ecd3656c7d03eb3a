package metrics

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// HTTP counts the requests to a mux: by the pattern they matched, never by
// their path, which is the caller's to choose.
func (m *Metrics) HTTP(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		s := &status{ResponseWriter: w}
		start := time.Now()
		// Also when the handler panics: the mux has set r.Pattern by then.
		defer func() {
			m.requestSeconds.WithLabelValues(route(r.Pattern), known(methods(), r.Method), s.class()).
				Observe(time.Since(start).Seconds())
		}()
		mux.ServeHTTP(s, r)
	})
}

func methods() []string { return []string{"GET", "HEAD", "POST", "OPTIONS"} }

// route is a pattern's path. Nothing matched is "none".
func route(pattern string) string {
	if pattern == "" {
		return "none"
	}
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		pattern = pattern[i:]
	}
	return strings.TrimSuffix(pattern, "{$}")
}

// status remembers what a request was answered with.
type status struct {
	http.ResponseWriter
	code int
}

// Unwrap lets http.ResponseController through.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// WriteHeader notes the first final status.
func (s *status) WriteHeader(code int) {
	if s.code == 0 && code >= 200 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Write answers 200 if nothing was said before.
func (s *status) Write(b []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

func (s *status) class() string {
	if s.code == 0 {
		return "2xx" // the server writes 200 for a handler that wrote nothing
	}
	return strconv.Itoa(s.code/100) + "xx"
}
