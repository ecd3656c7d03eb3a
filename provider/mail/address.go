package mail

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// errAddress means that what a directory or a configuration calls an address
// is not exactly one. It does not repeat it.
var errAddress = errors.New("is not exactly one e-mail address")

// address is one address, safe to put into a header and an envelope.
type address struct{ name, addr string }

// parseNamed reads an address with or without a name, as configured.
func parseNamed(s string) (address, error) {
	if s == "" {
		return address{}, errors.New("is missing")
	}
	if strings.ContainsFunc(s, unsafe) {
		return address{}, errAddress
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return address{}, errAddress
	}
	bare, err := parseBare(a.Address)
	return address{a.Name, bare}, err
}

// CheckAddress reports why nothing could be mailed to an address that a
// directory is to have.
func CheckAddress(s string) error {
	_, err := parseBare(s)
	return err
}

// parseBare reads exactly one address without a name, as a directory has it.
// Anything by which one address could become two, or a header, is refused:
// line breaks, commas, quotes, brackets, spaces, and characters that nobody
// sees. The domain is returned in ASCII.
func parseBare(s string) (string, error) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > 254 || !utf8.ValidString(s) ||
		strings.ContainsFunc(s, unsafe) || strings.ContainsAny(s, ` ,;:"\<>()[]`) || strings.Contains(domain, "@") {
		return "", errAddress
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return "", errAddress
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", errAddress
	}
	return local + "@" + domain, nil
}

// unsafe reports whether a character must not come near a header: controls,
// line separators, and format characters such as those that turn text around.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// oneLine makes a subject fit its header. What already looks like an encoded
// word (RFC 2047 section 2) would be sent as it is and read as what it encodes,
// which may be lines: it is taken apart.
func oneLine(s string) string {
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unsafe(r) {
			return ' '
		}
		return r
	}, s))
	return strings.ReplaceAll(line, "=?", "= ?")
}

func (a address) header() *mail.Address { return &mail.Address{Name: a.name, Address: a.addr} }
