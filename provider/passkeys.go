package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/medximity/idp/flows/account"
)

// Passkeys is what passkeys are made for. Once people have some it stays: they
// work for the RP ID that they were made for, and for no other.
type Passkeys struct {
	// RPID is the issuer's host, or a parent domain of it, to share passkeys with
	// what else is there. "": the host.
	RPID string
	// Origins are further ones whose pages may use them: https, without a path.
	Origins []string
	// Offer asks whoever signed in by password and code whether they want one:
	// once in 30 days, or never again. It is of DefaultPolicy.
	Offer bool
}

// at judges them at an issuer, whatever its path; nil: there are none.
func (p Passkeys) at(issuer *url.URL) (*account.RelyingParty, error) {
	if !takesPasskeys(issuer) {
		return nil, nil
	}
	id := p.RPID
	if id == "" {
		id = strings.ToLower(issuer.Hostname())
	}
	return account.NewRelyingParty(id, "Medximity", append([]string{issuer.Scheme + "://" + issuer.Host}, p.Origins...))
}

// takesPasskeys is false for an address, which is no domain (WebAuthn Level 3
// section 5.1.2, "effective domain"), and over plain HTTP but on localhost.
func takesPasskeys(issuer *url.URL) bool {
	host := strings.ToLower(issuer.Hostname())
	_, err := netip.ParseAddr(host)
	return err != nil && (issuer.Scheme == "https" || host == "localhost")
}

// CheckRPID says what is wrong with an RP ID at an issuer, or nil. Browsers would
// refuse it, without a word to us (WebAuthn Level 3 section 5.1.3, step 8).
func CheckRPID(issuer *url.URL, id string) error {
	host := strings.ToLower(issuer.Hostname())
	suffix, _ := publicsuffix.PublicSuffix(id)
	switch {
	case id == "":
		return nil
	case !takesPasskeys(issuer):
		return errors.New("the issuer can have no passkeys: it is an address, or plain http")
	case id != host && !strings.HasSuffix(host, "."+id):
		return fmt.Errorf("%q is neither %s nor a parent domain of it", id, host)
	case id != host && id == suffix:
		return fmt.Errorf("%q is a public suffix: anybody can have a name below it", id)
	}
	return nil
}

// CheckPasskeyOrigin says what is wrong with a further origin, or nil.
func CheckPasskeyOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || origin != "https://"+u.Host || origin != strings.ToLower(origin) {
		return fmt.Errorf("%q is not an origin such as https://id.example", origin)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return fmt.Errorf("%q is an address, which can have no passkeys", origin)
	}
	return nil
}

// check is what New wants of it.
func (p Passkeys) check(issuer *url.URL) error {
	if err := CheckRPID(issuer, p.RPID); err != nil {
		return fmt.Errorf("provider: RP ID: %w", err)
	}
	for _, o := range p.Origins {
		if err := CheckPasskeyOrigin(o); err != nil {
			return fmt.Errorf("provider: passkeys: %w", err)
		}
	}
	return nil
}

// relatedPath is where browsers look for related origins: at the RP ID's host,
// whatever path the issuer has (WebAuthn Level 3 section 5.11).
const relatedPath = "/.well-known/webauthn"

// related tells browsers which origins may use our passkeys.
func (p *Provider) related(w http.ResponseWriter, _ *http.Request) error {
	b, err := json.Marshal(map[string][]string{"origins": p.Passkeys.Origins})
	if err != nil {
		return err
	}
	serveBytes(w, b, "public, max-age=3600")
	return nil
}
