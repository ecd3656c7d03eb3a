package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

// clientDoc is an app in JSON, in the words of RFC 7591 where it has them.
type clientDoc struct {
	ID                string          `json:"client_id"`
	Secret            string          `json:"client_secret,omitempty"`
	Name              string          `json:"client_name"`
	Public            bool            `json:"public"`
	AuthMethods       []string        `json:"auth_methods"`
	JWKS              json.RawMessage `json:"jwks,omitempty"`
	JWKSURI           string          `json:"jwks_uri,omitempty"`
	RedirectURIs      []string        `json:"redirect_uris"`
	PostLogoutURIs    []string        `json:"post_logout_redirect_uris"`
	GrantTypes        []string        `json:"grant_types,omitempty"`
	PKCE              string          `json:"pkce"`
	Algorithm         string          `json:"id_token_signed_response_alg"`
	SubjectType       string          `json:"subject_type"`
	Sector            string          `json:"sector_identifier,omitempty"`
	UserinfoAlgorithm string          `json:"userinfo_signed_response_alg,omitempty"`
	AccessTokenFormat string          `json:"access_token_format"`
	Audiences         []string        `json:"audiences,omitempty"`
	ClaimsInIDToken   bool            `json:"claims_in_id_token"`
	RequireMFA        bool            `json:"require_mfa"`
	Introspect        bool            `json:"introspect"`
	Scopes            []string        `json:"scopes,omitempty"`
	FromConfig        bool            `json:"from_config"`
	BackchannelURI    string          `json:"backchannel_logout_uri,omitempty"`
	BackchannelSID    bool            `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelURI   string          `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelSID   bool            `json:"frontchannel_logout_session_required,omitempty"`
	ThirdParty        bool            `json:"third_party"`
	PushedOnly        bool            `json:"require_pushed_authorization_requests"`
}

func document(c store.Client, secret string) clientDoc {
	d := clientDoc{
		ID: c.ID, Secret: secret, Name: c.Name, Public: c.Public, RedirectURIs: c.RedirectURIs,
		PostLogoutURIs: c.PostLogoutURIs, PKCE: "required", Algorithm: c.Algorithm,
		ClaimsInIDToken: c.ClaimsInIDToken, Scopes: c.Scopes, FromConfig: c.FromConfig,
		RequireMFA: c.RequireMFA, ThirdParty: c.ThirdParty, PushedOnly: c.PushedOnly,
		BackchannelURI: c.BackchannelLogoutURI, BackchannelSID: c.BackchannelLogoutSession,
		FrontchannelURI: c.FrontchannelLogoutURI, FrontchannelSID: c.FrontchannelLogoutSession,
		Introspect: c.Introspect, GrantTypes: c.GrantTypes,
		AuthMethods: c.AuthMethods, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		AccessTokenFormat: c.AccessTokenFormat, Audiences: c.Audiences, UserinfoAlgorithm: c.UserinfoAlgorithm,
		SubjectType: c.SubjectType, Sector: c.Sector,
	}
	or(&d.AccessTokenFormat, "opaque")
	or(&d.SubjectType, "public")
	if c.PKCEOptional {
		d.PKCE = "optional"
	}
	if d.PostLogoutURIs == nil {
		d.PostLogoutURIs = []string{}
	}
	if d.RedirectURIs == nil {
		d.RedirectURIs = []string{}
	}
	return d
}

// printClient prints an app; its secret only when it was just made.
func printClient(cmd *cobra.Command, c store.Client, secret string) error {
	d := document(c, secret)
	if wantsJSON(cmd) {
		return printJSON(cmd, d)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, value) }
	line("client_id", d.ID)
	if secret != "" {
		line("client_secret", secret+"  (shown only now)")
	}
	line("name", d.Name)
	line("kind", kind(c))
	line("auth_methods", strings.Join(d.AuthMethods, " "))
	if d.JWKSURI != "" {
		line("jwks_uri", d.JWKSURI)
	}
	line("redirect_uris", strings.Join(d.RedirectURIs, " "))
	if len(d.PostLogoutURIs) > 0 {
		line("post_logout_redirect_uris", strings.Join(d.PostLogoutURIs, " "))
	}
	if d.BackchannelURI != "" {
		line("backchannel_logout_uri", d.BackchannelURI)
	}
	if d.FrontchannelURI != "" {
		line("frontchannel_logout_uri", d.FrontchannelURI)
	}
	if len(d.GrantTypes) > 0 {
		line("grant_types", strings.Join(d.GrantTypes, " "))
	}
	line("pkce", d.PKCE)
	line("algorithm", d.Algorithm)
	line("access_token_format", d.AccessTokenFormat)
	if len(d.Audiences) > 0 {
		line("audiences", strings.Join(d.Audiences, " "))
	}
	line("claims_in_id_token", fmt.Sprint(d.ClaimsInIDToken))
	line("require_mfa", fmt.Sprint(d.RequireMFA))
	line("third_party", fmt.Sprint(d.ThirdParty))
	line("require_pushed_authorization_requests", fmt.Sprint(d.PushedOnly))
	line("introspect", fmt.Sprint(d.Introspect))
	return w.Flush()
}

func kind(c store.Client) string {
	k := "confidential"
	if c.Public {
		k = "public"
	}
	if c.FromConfig {
		k += ", from the configuration"
	}
	return k
}

func wantsJSON(cmd *cobra.Command) bool {
	yes, err := cmd.Flags().GetBool("json")
	return err == nil && yes
}
