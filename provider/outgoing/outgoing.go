// Package outgoing makes requests to addresses that somebody else chose: an
// app's logout endpoint, its keys. It does not let them reach what only we can
// reach (server-side request forgery, CWE-918): the address is judged once it
// is resolved, at the moment of connecting, so no name and no second answer of
// a name server leads around it. It knows nothing of what is sent.
//
// Certificates are those that the system trusts; SSL_CERT_FILE names others.
// Proxies of the environment are not used: they would resolve names instead.
package outgoing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrRefused means that an address is not a public one, nor allowed. To try
// again is of no use until somebody changes that.
var ErrRefused = errors.New("outgoing: the address is not a public one; outgoing.allow can name its host or network")

// maxHeader bounds what an answer's head may be.
const maxHeader = 16 << 10

// Client returns a client for one kind of request, which takes no longer than
// timeout, follows no redirect and bounds the answer's head; the caller bounds
// what it reads of the body. allow names hosts, addresses and networks that may
// be reached though they are not public; it fails on what is none of these.
func Client(allow []string, timeout time.Duration) (*http.Client, error) {
	g, err := parse(allow)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            g.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}, nil
}

// Check says what is wrong with a list of what is allowed, or nil.
func Check(allow []string) error {
	_, err := parse(allow)
	return err
}

// guard says where connections may go.
type guard struct {
	hosts    []string
	networks []netip.Prefix
}

func parse(allow []string) (g guard, err error) {
	for _, s := range allow {
		p, err := netip.ParsePrefix(s)
		if a, bad := netip.ParseAddr(s); err != nil && bad == nil {
			p, err = a.Unmap().Prefix(a.Unmap().BitLen())
		}
		switch {
		case err == nil:
			g.networks = append(g.networks, p.Masked())
		case isHost(s):
			g.hosts = append(g.hosts, strings.ToLower(s))
		default:
			return guard{}, fmt.Errorf("%q is neither a host, an address nor a network", s)
		}
	}
	return g, nil
}

// isHost reports whether s is a name; what looks like an address and is none
// must not be taken for one.
func isHost(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(s, letters+"0123456789.-") == "" && strings.ContainsAny(s[strings.LastIndexByte(s, '.')+1:], letters)
}

// dial connects to a host that is allowed by name, or to any if its address is.
func (g guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	if !slices.Contains(g.hosts, strings.ToLower(host)) {
		d.Control = g.control
	}
	return d.DialContext(ctx, network, addr)
}

// control judges an address just before it is connected to.
func (g guard) control(_, addr string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !g.permits(at.Addr()) {
		return ErrRefused
	}
	return nil
}

func (g guard) permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(g.networks, in) {
		return true
	}
	if a.Is6() && !global.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, in)
}

// global is all that is routed of IPv6 (RFC 4291 section 2.4). What is not in
// it is loopback, link-local, unique local, multicast, mapped or translated
// (NAT64, RFC 6052), the unspecified address, or nobody's yet.
var global = netip.MustParsePrefix("2000::/3")

// special are the networks of the special-purpose registries (RFC 6890 and
// after) that are not, or not for certain, public; in IPv6 those within global,
// of which some carry an IPv4 address inside.
var special = prefixes(
	"0.0.0.0/8",       // this network, the unspecified address
	"10.0.0.0/8",      // private (RFC 1918)
	"100.64.0.0/10",   // of carriers (RFC 6598)
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local: metadata of clouds
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}
