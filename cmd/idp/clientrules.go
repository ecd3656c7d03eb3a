package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider"
)

const privateKeyJWT = "private_key_jwt"

// signs reports whether the app authenticates by a key of its own.
func (c ClientConfig) signs() bool { return slices.Contains(c.AuthMethods, privateKeyJWT) }

// readJWKS reads the file of --jwks-file.
func (c *ClientConfig) readJWKS(cmd *cobra.Command) error {
	path, err := cmd.Flags().GetString("jwks-file")
	if err != nil || path == "" {
		return err
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &c.JWKS)
	}
	if err != nil {
		return fmt.Errorf("--jwks-file: %w", err)
	}
	return nil
}

// checkAuthentication refuses an app that could authenticate in two ways, or in
// none.
func (r registration) checkAuthentication(say func(field string, err error)) {
	all := provider.AuthMethods()
	for _, m := range r.AuthMethods {
		if !r.Public && !slices.Contains(all, m) {
			say("auth_methods", fmt.Errorf("%q is none of %s", m, strings.Join(all, ", ")))
		}
	}
	keys, at := len(r.JWKS) > 0, r.JWKSURI != ""
	switch signs := slices.Contains(r.AuthMethods, privateKeyJWT); {
	case !signs && (keys || at):
		say("jwks", errors.New("is for private_key_jwt, which is not among auth_methods"))
	case !signs:
		return
	case len(r.AuthMethods) > 1:
		say("auth_methods", errors.New("private_key_jwt allows no other: a secret would be the weaker way in"))
	case keys == at:
		say("jwks", errors.New("private_key_jwt needs either jwks or jwks_uri"))
	case keys:
		say("jwks", provider.CheckJWKS(r.JWKS))
	default:
		say("jwks_uri", provider.CheckJWKSURI(r.JWKSURI))
	}
}

// needsRedirect reports whether people are sent back to the app from a sign-in.
// A resource server only asks.
func (r registration) needsRedirect() bool {
	if len(r.GrantTypes) == 0 {
		return !r.Introspect
	}
	return slices.Contains(r.GrantTypes, "authorization_code")
}

func (r registration) checkGrants() error {
	all := provider.GrantTypes()
	for _, g := range r.GrantTypes {
		if !slices.Contains(all, g) {
			return fmt.Errorf("%q is none of %s", g, strings.Join(all, ", "))
		}
	}
	if r.Public && slices.Contains(r.GrantTypes, "client_credentials") {
		return errors.New("a public app has no credentials for client_credentials")
	}
	return nil
}

// checkAudience wants what a client may name as a resource (RFC 8707 section 2).
func checkAudience(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() || strings.ContainsAny(uri, "# \"\\<>") {
		return fmt.Errorf("%q is not an absolute URI without a fragment", uri)
	}
	return nil
}
