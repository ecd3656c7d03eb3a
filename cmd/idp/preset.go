package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider"
)

// preset is what a well-known product needs to be registered with, so that it can
// send its people here. deploy/apps.md has a recipe for each.
type preset struct {
	at       string   // what --at is
	redirect []string // behind --at; ALIAS is --alias
	bye      []string // post_logout_redirect_uris, likewise
	told     string   // backchannel_logout_uri
	framed   string   // frontchannel_logout_uri
}

// presets all want the claims in the ID token, and send a code_challenge only if
// somebody turned that on.
var presets = map[string]preset{
	"keycloak": {at: "a realm, as https://keycloak.example/realms/main",
		redirect: []string{"/broker/ALIAS/endpoint"}, bye: []string{"/broker/ALIAS/endpoint/logout_response"},
		told: "/protocol/openid-connect/logout/backchannel-logout"},
	"dex":   {at: "Dex's issuer, as https://dex.example/dex", redirect: []string{"/callback"}},
	"okta":  {at: "the organization, as https://acme.okta.com", redirect: []string{"/oauth2/v1/authorize/callback"}},
	"auth0": {at: "the tenant, as https://acme.us.auth0.com", redirect: []string{"/login/callback"}},
	"cognito": {at: "the user pool's domain, as https://acme.auth.us-east-1.amazoncognito.com",
		redirect: []string{"/oauth2/idpresponse"}},
	"entra-external-id": {at: "the tenant, as https://acme.ciamlogin.com/TENANT-ID", redirect: []string{"/federation/oauth2"}},
	"google-workspace":  {at: "the redirect URI that the Admin console shows", redirect: []string{""}},
	"lemonldap":         {at: "the portal, as https://auth.example", redirect: []string{"/?openidconnectcallback=1"}, bye: []string{"/?logout=1"}},
	"mod-auth-openidc": {at: "the site, as https://intranet.example", redirect: []string{"/redirect_uri"}, bye: []string{"/"},
		told: "/redirect_uri?logout=backchannel", framed: "/redirect_uri?logout=get"},
}

func presetNames() string { return strings.Join(slices.Sorted(maps.Keys(presets)), ", ") }

// presetFlags adds the flags of a preset.
func presetFlags(cmd *cobra.Command) {
	cmd.Flags().String("preset", "", "register a well-known product: "+presetNames()+"; see deploy/apps.md")
	cmd.Flags().String("at", "", "where that product is")
	cmd.Flags().String("alias", "medximity", "the alias of this provider in Keycloak")
}

// usePreset fills in what the product needs. What other flags say stays.
func (c *ClientConfig) usePreset(cmd *cobra.Command) error {
	flag := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
	name, at := flag("preset"), flag("at")
	p, ok := presets[name]
	switch {
	case name == "" && at == "":
		return nil
	case name == "":
		return errors.New("--at goes with --preset")
	case !ok:
		return fmt.Errorf("--preset %s: it is one of %s", name, presetNames())
	case at == "":
		return fmt.Errorf("--preset %s needs --at: %s", name, p.at)
	}
	if provider.CheckRedirectURI(at) != nil || strings.Contains(at, "?") {
		return fmt.Errorf("--at %s: it is %s", at, p.at)
	}
	within := func(path string) string {
		return strings.TrimSuffix(at, "/") + strings.ReplaceAll(path, "ALIAS", url.PathEscape(flag("alias")))
	}
	for _, path := range p.redirect {
		c.RedirectURIs = append(c.RedirectURIs, within(path))
	}
	for _, path := range p.bye {
		c.PostLogoutURIs = append(c.PostLogoutURIs, within(path))
	}
	if p.told != "" {
		or(&c.BackchannelLogoutURI, within(p.told))
	}
	if p.framed != "" {
		or(&c.FrontchannelLogoutURI, within(p.framed))
	}
	if !cmd.Flags().Changed("pkce") {
		c.PKCE = "optional"
	}
	if !cmd.Flags().Changed("claims-in-id-token") {
		c.ClaimsInIDToken = true
	}
	return nil
}
