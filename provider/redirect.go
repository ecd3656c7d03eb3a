package provider

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/medximity/idp/provider/store"
)

// redirectURI reports whether an answer for the client may go to uri.
func redirectURI(c *store.Client, uri string) bool { return registered(c.RedirectURIs, uri) }

// registered reports whether uri is byte for byte one of those registered (RFC
// 9700 section 2.1), or differs from a registered loopback URI without a port in
// nothing but having one (RFC 8252 section 7.3). A loopback URI registered with
// a port means that port.
func registered(uris []string, uri string) bool {
	if uri == "" {
		return false
	}
	if slices.Contains(uris, uri) {
		return true
	}
	plain, ok := withoutPort(uri)
	return ok && slices.Contains(uris, plain)
}

// withoutPort takes the port out of a loopback URI. Nothing is parsed: what
// remains is compared byte for byte, so no two readings of a URI can differ.
func withoutPort(uri string) (string, bool) {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, origin+":")
		if !ok {
			continue
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		port, err := strconv.ParseUint(rest[:digits], 10, 16)
		tail := rest[digits:]
		if err != nil || port == 0 || rest[0] == '0' || tail != "" && tail[0] != '/' && tail[0] != '?' {
			return "", false
		}
		return origin + tail, true
	}
	return "", false
}

// CheckRedirectURI says what is wrong with a redirect URI that a client is to
// be registered with, or nil.
func CheckRedirectURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("it is not a URI")
	case strings.IndexFunc(uri, unfit) >= 0:
		return errors.New("it has characters that a URI has only percent-encoded")
	case u.Host == "" || u.Opaque != "":
		return errors.New("it must be absolute, with a host")
	case u.User != nil:
		return errors.New("it must not have a user name")
	case strings.Contains(uri, "#"):
		return errors.New("it must not have a fragment (RFC 6749 section 3.1.2)")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("it must be https, or http on the loopback interface")
}

// privateUse is a URI of a scheme that an app on a phone has claimed: a domain
// name of its maker's, the other way round, and no authority (RFC 8252 section
// 7.1).
var privateUse = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:/([A-Za-z0-9._~!$&'()*+,;=:@%?-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$`)

// CheckNativeURI is CheckRedirectURI for a public client, which may be an app on
// a phone: com.example.app:/cb is good, too. Any app there may claim the scheme,
// so a code that goes to it is worth nothing without the verifier (section 8.1).
func CheckNativeURI(uri string) error {
	if privateUse.MatchString(uri) {
		return nil
	}
	return CheckRedirectURI(uri)
}

// CheckFrontchannelURI says what is wrong with a URI that the page of whoever
// signed out is to load for a client, or nil. It belongs to who gets the codes
// (OpenID Connect Front-Channel Logout 1.0 section 2).
func CheckFrontchannelURI(uri string, redirectURIs []string) error {
	if err := CheckRedirectURI(uri); err != nil {
		return err
	}
	plain, _ := withoutPort(uri)
	same := func(r string) bool { return origin(r) == origin(uri) || plain != "" && origin(r) == origin(plain) }
	if !slices.ContainsFunc(redirectURIs, same) {
		return errors.New("it must have the scheme, host and port of a redirect URI")
	}
	return nil
}

// unfit reports characters that a URI never has as they are (RFC 3986).
func unfit(c rune) bool { return c <= 0x20 || c > 0x7e || strings.ContainsRune("\"<>\\^`{|}", c) }

func loopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}

// origin returns the scheme and authority of a redirect URI, for form-action; of
// a private-use one the scheme is all that there is.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// extend adds an answer's parameters to a redirect URI, and changes nothing
// else in it: a query it was registered with stays as it is.
func extend(uri string, answer url.Values) string {
	sep := "?"
	if strings.Contains(uri, "?") {
		sep = "&"
	}
	if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
		sep = ""
	}
	return uri + sep + answer.Encode()
}
