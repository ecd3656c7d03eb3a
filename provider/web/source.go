package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/realclientip/realclientip-go"

	"github.com/medximity/idp/flows/account"
)

// sourcer finds out where a request came from.
type sourcer struct {
	proxies []netip.Prefix
	exempt  []netip.Prefix
	behind  realclientip.RightmostTrustedRangeStrategy
}

func newSourcer(proxies, exempt []netip.Prefix) (sourcer, error) {
	var trusted []net.IPNet
	for _, p := range proxies {
		_, n, err := net.ParseCIDR(p.Masked().String())
		if err != nil {
			return sourcer{}, fmt.Errorf("proxy %s: %w", p, err)
		}
		trusted = append(trusted, *n)
	}
	behind, err := realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", trusted)
	return sourcer{proxies, exempt, behind}, err
}

// Address returns the address that a request came from. What a client says of
// itself is not believed: a forwarded address counts only if a configured
// proxy brought it (ASVS 15.3.4), and only the last one that no such proxy
// added. The zero Addr means that none is known.
func (s *Site) Address(r *http.Request) netip.Addr {
	peer := addressOf(r.RemoteAddr)
	if !within(peer, s.source.proxies) {
		return peer
	}
	if a, err := netip.ParseAddr(s.source.behind.ClientIP(r.Header, r.RemoteAddr)); err == nil {
		return a.Unmap().WithZone("")
	}
	return peer
}

// Source names where a request came from, as far as limits go: an IPv4 address
// or an IPv6 /64 (which one customer of a provider has to himself).
func (s *Site) Source(r *http.Request) account.Source {
	a := s.Address(r)
	switch {
	case !a.IsValid():
		return "unknown"
	case a.Is4():
		return account.Source(a.String())
	}
	net64, _ := a.Prefix(64) // fails only for IPv4
	return account.Source(net64.String())
}

// Unlimited reports whether a request came from a network without limits.
func (s *Site) Unlimited(r *http.Request) bool { return within(s.Address(r), s.source.exempt) }

func addressOf(hostport string) netip.Addr {
	if ap, err := netip.ParseAddrPort(hostport); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, _ := netip.ParseAddr(hostport)
	return a.Unmap().WithZone("")
}

func within(a netip.Addr, nets []netip.Prefix) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
