package provider

import (
	"net/netip"
	"net/url"

	"github.com/medximity/idp/flows/account"
)

// passkeysOf are those of an issuer: of its host, whatever its path. There are none
// for an address, which is no domain (WebAuthn Level 3 section 5.1.2, "effective
// domain"), nor over plain HTTP but on localhost.
func passkeysOf(issuer *url.URL) (*account.RelyingParty, error) {
	host := issuer.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || issuer.Scheme != "https" && host != "localhost" {
		return nil, nil
	}
	return account.NewRelyingParty(host, "Medximity", []string{issuer.Scheme + "://" + issuer.Host})
}
