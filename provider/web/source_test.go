package web

import (
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
)

func TestSource(t *testing.T) {
	g := newRig(t)
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       account.Source
	}{
		{"direct", "203.0.113.7:4711", nil, "203.0.113.7"},
		{"direct, with a story", "203.0.113.7:4711", []string{"6.6.6.6"}, "203.0.113.7"},
		{"behind a proxy", "10.0.0.3:80", []string{"203.0.113.7"}, "203.0.113.7"},
		{"behind two", "10.0.0.3:80", []string{"203.0.113.7, 10.0.0.9"}, "203.0.113.7"},
		{"behind two, two headers", "10.0.0.3:80", []string{"203.0.113.7", "10.0.0.9"}, "203.0.113.7"},
		{"behind a proxy, with a story", "10.0.0.3:80", []string{"6.6.6.6, 203.0.113.7"}, "203.0.113.7"},
		{"a story that claims to be exempt", "10.0.0.3:80", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"behind a proxy that says nothing", "10.0.0.3:80", nil, "10.0.0.3"},
		{"behind a proxy that says nonsense", "10.0.0.3:80", []string{"unknown"}, "10.0.0.3"},
		{"a proxy on IPv6", "[fd00::1]:80", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"IPv6", "[2001:db8:1:2:aaaa::1]:80", nil, "2001:db8:1:2::/64"},
		{"IPv6 with a zone", "[fe80::1%eth0]:80", nil, "fe80::/64"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.7]:80", nil, "203.0.113.7"},
		{"exempt", "198.51.100.20:80", nil, "198.51.100.20"},
		{"exempt, behind a proxy", "10.0.0.3:80", []string{"198.51.100.20"}, "198.51.100.20"},
		{"no address", "@", nil, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get("/login")
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			if got := g.Source(r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got, want := g.Unlimited(r), strings.HasPrefix(tt.name, "exempt"); got != want {
				t.Errorf("unlimited: %v, want %v", got, want)
			}
		})
	}
}

// No header moves the source of a request that no configured proxy brought.
func TestSourceIsNotTalkedInto(t *testing.T) {
	g := newRig(t)
	for _, variant := range hostVariants() {
		r := get("/login")
		r.RemoteAddr = "203.0.113.7:4711"
		variant(r)
		if got := g.Source(r); got != "203.0.113.7" {
			t.Errorf("header %v: source %q", r.Header, got)
		}
	}
	if n := len(hostVariants()); n < 40 {
		t.Errorf("%d variants, want 40", n)
	}
}
