package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider"
	"github.com/medximity/idp/provider/store"
)

func clientCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{Use: "client", Short: "Register and look after apps"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(clientAdd(),
		clientDo("list", "List apps", cobra.NoArgs, clientList),
		clientDo("show ID", "Show one app", cobra.ExactArgs(1), clientShow),
		clientDo("rotate-secret ID", "Give an app a new secret; the old one ends at once", cobra.ExactArgs(1), clientRotate),
		clientDo("remove ID", "Remove an app", cobra.ExactArgs(1), clientRemove))
	return cmd
}

// clientDo is a command that does one thing to the store's apps.
func clientDo(use, short string, args cobra.PositionalArgs,
	do func(context.Context, *cobra.Command, *store.Store, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return withStore(cmd, func(ctx context.Context, st *store.Store) error { return do(ctx, cmd, st, args) })
	}}
}

func clientAdd() *cobra.Command {
	var c ClientConfig
	cmd := clientDo("add [ID]", "Register an app; a secret is printed once", cobra.MaximumNArgs(1),
		func(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
			if c.ID = "app-" + strings.ToLower(account.NewSecret()[:10]); len(args) > 0 {
				c.ID = args[0]
			}
			if err := errors.Join(c.readJWKS(cmd), c.usePreset(cmd)); err != nil {
				return err
			}
			return clientStore(ctx, cmd, st, c)
		})
	presetFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.Name, "name", "", "what people see; default the ID")
	f.StringArrayVar(&c.AuthMethods, "auth-method", nil, "how it authenticates; repeat for more; default by a secret, client_secret_basic and client_secret_post")
	f.String("jwks-file", "", "its public keys for private_key_jwt, a JWK set in a file")
	f.StringVar(&c.JWKSURI, "jwks-uri", "", "where its public keys for private_key_jwt are")
	f.StringArrayVar(&c.RedirectURIs, "redirect-uri", nil, "where answers may go; repeat for more")
	f.StringArrayVar(&c.PostLogoutURIs, "post-logout-redirect-uri", nil, "where people may go after signing out; repeat for more")
	f.StringVar(&c.BackchannelLogoutURI, "backchannel-logout-uri", "", "where it is told that a session is over")
	f.BoolVar(&c.BackchannelLogoutSession, "backchannel-logout-session-required", false, "it needs to know which session")
	f.StringVar(&c.FrontchannelLogoutURI, "frontchannel-logout-uri", "", "what the page of whoever signed out loads, to say so")
	f.BoolVar(&c.FrontchannelLogoutSession, "frontchannel-logout-session-required", false, "it needs to know which session")
	f.BoolVar(&c.Public, "public", false, "an app in a browser or on a phone: no secret")
	f.StringArrayVar(&c.GrantTypes, "grant-type", nil, "how it may come to tokens; repeat for more; default authorization_code and refresh_token")
	f.StringArrayVar(&c.Scopes, "scope", nil, "what it may ask for; repeat for more; default the standard scopes")
	f.StringVar(&c.PKCE, "pkce", "required", "required or optional")
	f.StringVar(&c.Algorithm, "alg", "", "algorithm of its ID tokens; default RS256")
	f.StringVar(&c.SubjectType, "subject-type", "public", "public or pairwise")
	f.StringVar(&c.SectorIdentifier, "sector-identifier", "", "the host that apps of one sector share; default that of the redirect URIs")
	f.StringVar(&c.UserinfoAlgorithm, "userinfo-alg", "", "have userinfo signed, by this algorithm")
	f.StringVar(&c.AccessTokenFormat, "access-token-format", "opaque", "opaque or jwt")
	f.StringArrayVar(&c.Audiences, "audience", nil, "a resource server that its tokens may be for, the default first; repeat for more")
	f.BoolVar(&c.ClaimsInIDToken, "claims-in-id-token", false, "put claims into the ID token too, for brokers")
	f.BoolVar(&c.RequireMFA, "require-mfa", false, "its people sign in with two factors")
	f.BoolVar(&c.RequirePushedAuthorizationRequests, "require-pushed-authorization-requests", false, "its requests must be pushed (RFC 9126)")
	f.BoolVar(&c.ThirdParty, "third-party", false, "others run it: people are asked what it may see")
	f.BoolVar(&c.Introspect, "introspect", false, "a resource server: it may ask about the tokens of every app")
	return cmd
}

// clientStore registers a new app and prints it with its secret.
func clientStore(ctx context.Context, cmd *cobra.Command, st *store.Store, c ClientConfig) error {
	if c.PKCE != "required" && c.PKCE != "optional" {
		return fmt.Errorf("--pkce %s: it is required or optional", c.PKCE)
	}
	if _, err := st.Client(ctx, c.ID); !errors.Is(err, store.ErrNoClient) {
		return errors.Join(err, fmt.Errorf("there is an app %s already", c.ID))
	}
	secret := ""
	if !c.Public && !c.signs() {
		secret = account.NewSecret()
	}
	c.Secret = Secret(secret)
	sc := c.client()
	for _, p := range sc.problems() {
		return fmt.Errorf("%s: %w", p.field, p.err)
	}
	if err := st.PutClient(ctx, sc.Client, operator()); err != nil {
		return err
	}
	return printClient(cmd, sc.Client, secret)
}

func clientList(ctx context.Context, cmd *cobra.Command, st *store.Store, _ []string) error {
	all, err := st.Clients(ctx)
	if err != nil {
		return err
	}
	if wantsJSON(cmd) {
		docs := make([]clientDoc, len(all))
		for i, c := range all {
			docs[i] = document(c, "")
		}
		return printJSON(cmd, docs)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT_ID\tNAME\tKIND\tREDIRECT_URIS")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kind(c), strings.Join(c.RedirectURIs, " "))
	}
	return w.Flush()
}

func clientShow(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	c, err := st.Client(ctx, args[0])
	if err != nil {
		return missing(err, args[0])
	}
	return printClient(cmd, *c, "")
}

func clientRotate(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	c, err := st.Client(ctx, args[0])
	switch {
	case err != nil:
		return missing(err, args[0])
	case c.FromConfig:
		return fmt.Errorf("%s is in the configuration: change its secret there", c.ID)
	case c.Public:
		return fmt.Errorf("%s is public: it has no secret", c.ID)
	case slices.Contains(c.AuthMethods, privateKeyJWT):
		return fmt.Errorf("%s signs assertions: it has no secret", c.ID)
	}
	secret := account.NewSecret()
	changed := *c // the store's copy is shared
	changed.SecretHash = account.HashSecret(secret)
	if err := st.PutClient(ctx, changed, operator()); err != nil {
		return err
	}
	return printClient(cmd, changed, secret)
}

func clientRemove(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	c, err := st.Client(ctx, args[0])
	switch {
	case err != nil:
		return missing(err, args[0])
	case c.FromConfig:
		return fmt.Errorf("%s is in the configuration: take it out there", c.ID)
	}
	if err := st.RemoveClient(ctx, c.ID, operator()); err != nil {
		return err
	}
	return say(cmd, map[string]any{"client_id": c.ID, "removed": true}, "removed %s", c.ID)
}

func missing(err error, id string) error {
	if errors.Is(err, store.ErrNoClient) {
		return fmt.Errorf("there is no app %s", id)
	}
	return err
}

// registration is an app to be registered.
type registration struct{ store.Client }

// client is the app that the configuration describes.
func (c ClientConfig) client() registration {
	sc := store.Client{
		ID: c.ID, Name: c.Name, Public: c.Public, RedirectURIs: c.RedirectURIs, PostLogoutURIs: c.PostLogoutURIs,
		AuthMethods: c.AuthMethods, JWKSURI: c.JWKSURI, PKCEOptional: c.PKCE == "optional" && !c.Public,
		Algorithm: c.Algorithm, Scopes: c.Scopes, ClaimsInIDToken: c.ClaimsInIDToken,
		RequireMFA: c.RequireMFA, ThirdParty: c.ThirdParty, PushedOnly: c.RequirePushedAuthorizationRequests,
		BackchannelLogoutURI:     c.BackchannelLogoutURI,
		BackchannelLogoutSession: c.BackchannelLogoutSession,
		FrontchannelLogoutURI:    c.FrontchannelLogoutURI, FrontchannelLogoutSession: c.FrontchannelLogoutSession,
		Introspect: c.Introspect, GrantTypes: c.GrantTypes,
		AccessTokenFormat: c.AccessTokenFormat, Audiences: c.Audiences, UserinfoAlgorithm: c.UserinfoAlgorithm,
		SubjectType: c.SubjectType, Sector: c.SectorIdentifier,
	}
	or(&sc.Name, sc.ID)
	or(&sc.Algorithm, "RS256")
	if sc.SubjectType == "public" {
		sc.SubjectType = ""
	}
	if sc.AccessTokenFormat == "opaque" {
		sc.AccessTokenFormat = "" // the default, however it is spelt
	}
	if len(sc.AuthMethods) == 0 {
		sc.AuthMethods = []string{"client_secret_basic", "client_secret_post"}
	}
	if len(c.JWKS) > 0 {
		sc.JWKS, _ = json.Marshal(c.JWKS) // as it was decoded: cannot fail
	}
	if c.Public {
		sc.AuthMethods = []string{"none"}
	} else if c.Secret != "" {
		sc.SecretHash = account.HashSecret(string(c.Secret))
	}
	return registration{sc}
}

// problem is one thing wrong with an app, by its field.
type problem struct {
	field string
	err   error
}

var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$`)

// problems says what is wrong with a registration.
func (r registration) problems() []problem {
	var out []problem
	say := func(field string, err error) {
		if err != nil {
			out = append(out, problem{field, err})
		}
	}
	if !clientID.MatchString(r.ID) {
		say("id", errors.New("needs 1 to 100 letters, digits or ._~-"))
	}
	if r.Introspect && r.Public {
		say("introspect", errors.New("a public app cannot: whoever knows its name could ask"))
	}
	r.checkAuthentication(say)
	say("grant_types", r.checkGrants())
	if r.PushedOnly && !r.needsRedirect() {
		say("require_pushed_authorization_requests", errors.New("is for apps that people sign in to"))
	}
	if len(r.RedirectURIs) == 0 && r.needsRedirect() {
		say("redirect_uris", errors.New("needs at least one: --redirect-uri"))
	}
	check := provider.CheckRedirectURI
	if r.Public {
		check = provider.CheckNativeURI
	}
	for _, uri := range r.RedirectURIs {
		if err := check(uri); err != nil {
			say("redirect_uris", fmt.Errorf("%q: %w", uri, err))
		}
	}
	for _, uri := range r.PostLogoutURIs {
		if err := check(uri); err != nil {
			say("post_logout_redirect_uris", fmt.Errorf("%q: %w", uri, err))
		}
	}
	if uri := r.BackchannelLogoutURI; uri != "" {
		if err := provider.CheckRedirectURI(uri); err != nil {
			say("backchannel_logout_uri", fmt.Errorf("%q: %w", uri, err))
		}
	}
	if uri := r.FrontchannelLogoutURI; uri != "" {
		if err := provider.CheckFrontchannelURI(uri, r.RedirectURIs); err != nil {
			say("frontchannel_logout_uri", fmt.Errorf("%q: %w", uri, err))
		}
	}
	say("algorithm", checkAlgorithm(r.Algorithm))
	switch r.SubjectType {
	case "":
	case "pairwise":
		say("sector_identifier", provider.CheckSector(&r.Client))
	default:
		say("subject_type", fmt.Errorf("%q is neither public nor pairwise", r.SubjectType))
	}
	if r.UserinfoAlgorithm != "" {
		say("userinfo_signed_response_alg", checkAlgorithm(r.UserinfoAlgorithm))
	}
	if r.AccessTokenFormat != "" && r.AccessTokenFormat != "jwt" {
		say("access_token_format", fmt.Errorf("%q is neither opaque nor jwt", r.AccessTokenFormat))
	}
	for _, uri := range r.Audiences {
		say("audiences", checkAudience(uri))
	}
	return out
}
