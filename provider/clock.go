//go:build !testclock

package provider

import "net/http"

// clockRoutes mounts nothing: only a build with -tags testclock lets its clock
// be moved.
func (p *Provider) clockRoutes(*http.ServeMux) {}
