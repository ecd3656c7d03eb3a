package provider

import (
	"fmt"
	"net/http"
	"testing"
)

// One source cannot fill the store with addresses that nobody has, nor the
// desk's mailbox; others are not touched by it.
func TestOneSourceAsksOnlySoOften(t *testing.T) {
	for _, tt := range []struct {
		path string
		most int
		form []string
	}{
		{"/forgot-password", 20, []string{"email", "nobody@river.example"}},
		{"/contact-support", 10, []string{"name", "Grace", "practice", "Riverside", "username", "grace", "email", "grace@new.example"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			h := newHouse(t, "http://127.0.0.1")
			b := h.browser()
			for i := range tt.most {
				if a := b.post(tt.path, tt.form...); a.StatusCode != http.StatusOK {
					t.Fatalf("request %d: %s", i+1, a.Status)
				}
			}
			a := b.post(tt.path, tt.form...)
			if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
				t.Errorf("one more: %s %v", a.Status, a.Header)
			}
			for name := range a.Header {
				if len(name) > 11 && name[:11] == "X-Ratelimit" {
					t.Errorf("the limit is told: %s", fmt.Sprint(name))
				}
			}
			if a := h.browser().post(tt.path, tt.form...); a.StatusCode != http.StatusOK {
				t.Errorf("somebody elsewhere: %s", a.Status)
			}
		})
	}
}
