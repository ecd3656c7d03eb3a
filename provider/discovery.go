package provider

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/medximity/idp/provider/keys"
)

// metadata is the discovery document (OpenID Connect Discovery section 3, RFC
// 8414 section 2). It says only what is wired, and has no members of our own:
// strict clients complain of them.
type metadata struct {
	Issuer             string   `json:"issuer"`
	Authorization      string   `json:"authorization_endpoint"`
	Token              string   `json:"token_endpoint"`
	Userinfo           string   `json:"userinfo_endpoint"`
	JWKS               string   `json:"jwks_uri"`
	Revocation         string   `json:"revocation_endpoint"`
	EndSession         string   `json:"end_session_endpoint"`
	Pushed             string   `json:"pushed_authorization_request_endpoint"` // RFC 9126 section 5
	Scopes             []string `json:"scopes_supported"`
	ResponseTypes      []string `json:"response_types_supported"`
	ResponseModes      []string `json:"response_modes_supported"`
	GrantTypes         []string `json:"grant_types_supported"`
	ACRs               []string `json:"acr_values_supported"`
	SubjectTypes       []string `json:"subject_types_supported"`
	Algorithms         []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgorithms []string `json:"userinfo_signing_alg_values_supported"`
	AuthMethods        []string `json:"token_endpoint_auth_methods_supported"`
	Introspection      string   `json:"introspection_endpoint"`
	AskAuthMethods     []string `json:"introspection_endpoint_auth_methods_supported"`
	RevokeAuthMethods  []string `json:"revocation_endpoint_auth_methods_supported"`
	// By which clients may sign assertions (RFC 8414 section 2).
	AuthAlgorithms       []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevokeAuthAlgorithms []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	AskAuthAlgorithms    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	ClaimTypes           []string `json:"claim_types_supported"`
	Claims               []string `json:"claims_supported"`
	Locales              []string `json:"ui_locales_supported,omitempty"`
	ClaimsParameter      bool     `json:"claims_parameter_supported"`
	RequestParameter     bool     `json:"request_parameter_supported"`
	RequestURI           bool     `json:"request_uri_parameter_supported"` // its default is true
	ChallengeMethods     []string `json:"code_challenge_methods_supported"`
	IssuerInResponse     bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	Prompts              []string `json:"prompt_values_supported"`
	BackchannelLogout    bool     `json:"backchannel_logout_supported"`
	BackchannelSID       bool     `json:"backchannel_logout_session_supported"`
	FrontchannelLogout   bool     `json:"frontchannel_logout_supported"`
	FrontchannelSID      bool     `json:"frontchannel_logout_session_supported"`
}

// describe makes the document, once.
func (o *oidc) describe() ([]byte, error) {
	confidential, algorithms := AuthMethods(), keys.Algorithms()
	methods := append(slices.Clone(confidential), "none")
	claims := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	for _, scope := range knownScopes {
		claims = append(claims, scopeClaims[scope]...)
	}
	return json.Marshal(metadata{
		Issuer:        o.issuer,
		Authorization: o.issuer + "/authorize", Token: o.issuer + "/token", Userinfo: o.issuer + "/userinfo",
		JWKS: o.issuer + "/jwks.json", Revocation: o.issuer + "/revoke",
		EndSession: o.issuer + "/end-session", Pushed: o.issuer + "/par",
		Introspection: o.issuer + "/introspect", AskAuthMethods: confidential,
		Scopes: knownScopes, ResponseTypes: []string{"code"}, ResponseModes: []string{"query", "form_post"},
		GrantTypes: GrantTypes(), ACRs: acrValues,
		SubjectTypes: []string{"public", "pairwise"}, Algorithms: o.Algorithms, UserinfoAlgorithms: o.Algorithms,
		AuthMethods: methods, RevokeAuthMethods: methods,
		AuthAlgorithms: algorithms, RevokeAuthAlgorithms: algorithms, AskAuthAlgorithms: algorithms,
		ClaimTypes: []string{"normal"}, Claims: slices.Compact(claims), Locales: o.Locales,
		ClaimsParameter: true, ChallengeMethods: []string{"S256"}, IssuerInResponse: true, Prompts: promptValues,
		BackchannelLogout: true, BackchannelSID: true, FrontchannelLogout: true, FrontchannelSID: true,
	})
}

// discovery serves the document.
func (o *oidc) discovery(w http.ResponseWriter, _ *http.Request) error {
	serveBytes(w, o.metadata, "public, max-age=3600")
	return nil
}

// jwks serves our public keys. New ones are published before they sign, for
// longer than this may be cached.
func (o *oidc) jwks(w http.ResponseWriter, _ *http.Request) error {
	serveBytes(w, o.Keys.JWKS(), "public, max-age=300")
	return nil
}

func serveBytes(w http.ResponseWriter, b []byte, cache string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", cache)
	_, _ = w.Write(b) // the client is gone if this fails
}
