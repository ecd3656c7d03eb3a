package main

import (
	"log/slog"
	"time"
)

// Config is the configuration manual: each field's key stands in its tag. A key
// a.b_c comes from, the later one winning, the YAML file of --config
//
//	a:
//	  b_c: value
//
// the environment variable IDP_A__B_C, or a flag where there is one. A Secret
// can also come from a file that the key with _file at its end names (Docker,
// Kubernetes): a.b_c_file or IDP_A__B_C_FILE. The zero value of a field is its
// default. A key or a variable IDP_… that is not here refuses to start.
type Config struct {
	// Issuer is the URL by which apps and people reach us: https, without
	// query and trailing slash, perhaps with a path. No default; serve needs it.
	Issuer string `koanf:"issuer"`
	// Listen is the address for people and apps. Default 127.0.0.1:8080.
	Listen string `koanf:"listen"`
	// TLSCert and TLSKey are PEM files. Default none: a proxy speaks TLS.
	TLSCert string `koanf:"tls.cert"`
	TLSKey  string `koanf:"tls.key"`
	// Proxies are the networks (CIDR or address) whose X-Forwarded-For is
	// believed. Default none: the peer's address counts.
	Proxies []string `koanf:"proxies"`

	// OperatorListen is the address of /metrics, /healthz and /readyz. Default
	// 127.0.0.1:9090.
	OperatorListen string `koanf:"operator.listen"`
	// OperatorRemote allows OperatorListen off loopback, where its own network
	// protects it. Default false.
	OperatorRemote bool `koanf:"operator.allow_remote"`

	// StoreURL is postgres://… or sqlite:PATH. It may hold a password. Default
	// sqlite:idp.db, in the working folder.
	StoreURL Secret `koanf:"store.url"`
	// StoreMaxConns bounds the connections to PostgreSQL, of one server.
	// Default 16.
	StoreMaxConns int `koanf:"store.max_conns"`

	// KeyRing is what secrets in the store are sealed with: the JSON that `idp
	// keys new-ring` prints. It is not in the store; without it the store's
	// secrets are lost. No default.
	KeyRing Secret `koanf:"keys.ring"`
	// KeysRotateEvery is how long a signing key signs. Default 2160h (90 days).
	KeysRotateEvery time.Duration `koanf:"keys.rotate_every"`
	// KeysOverlap is how long a key is published before it signs: longer than
	// apps cache keys. It stays published for a day after. Default 24h.
	KeysOverlap time.Duration `koanf:"keys.overlap"`

	// MailHost is the mail server. No default; serve needs it.
	MailHost string `koanf:"mail.host"`
	// MailPort defaults to 587, to 465 with tls, to 25 with none.
	MailPort int `koanf:"mail.port"`
	// MailSecurity is starttls, tls, or none for a server on this machine.
	// Default starttls; a server that does not offer it gets no mail.
	MailSecurity string `koanf:"mail.security"`
	// MailUsername and MailPassword authenticate us. Default none.
	MailUsername string `koanf:"mail.username"`
	MailPassword Secret `koanf:"mail.password"`
	// MailFrom is the From address, with or without a name. serve needs it.
	MailFrom string `koanf:"mail.from"`
	// MailReplyTo is where answers go. Default none.
	MailReplyTo string `koanf:"mail.reply_to"`
	// MailCAFile is a PEM file of the certificates to trust for the mail
	// server. Default the system's.
	MailCAFile string `koanf:"mail.ca_file"`
	// MailHELO is the name we greet with. Default the machine's.
	MailHELO string `koanf:"mail.helo"`
	// MailTimeout bounds one delivery. Default 15s.
	MailTimeout time.Duration `koanf:"mail.timeout"`

	// SupportEmail is where the contact form goes. serve needs it.
	SupportEmail string `koanf:"support.email"`
	// SupportTimeZone and SupportHolidays say when the desk works: weekdays but
	// these (days such as 2026-12-25), by the clocks of the zone (IANA, such as
	// America/New_York). Due times follow from them. Default UTC, and none.
	SupportTimeZone string   `koanf:"support.time_zone"`
	SupportHolidays []string `koanf:"support.holidays"`
	// SupportNetworks are those (CIDR or address) from which agents reach the desk
	// at /support; none: from anywhere. To others it is not there.
	SupportNetworks []string `koanf:"support.networks"`
	// SupportRegistry is a copy of the public registry of NPIs, as CMS offers it
	// for download (npidata_pfile_….csv), by which the desk sees whether a name
	// fits an NPI. It is read once at each start, about 5 s a gigabyte, and held
	// open. Default none: nothing is compared.
	SupportRegistry string `koanf:"support.registry"`

	// SessionIdle and SessionAbsolute end a session that is unseen for so
	// long, or is so old. Default 1h (most: 1h) and 12h (most: 24h).
	SessionIdle     time.Duration `koanf:"sessions.idle"`
	SessionAbsolute time.Duration `koanf:"sessions.absolute"`

	// PasswordMin is the least length of new passwords, in characters.
	// Default 15, and not below it: the password is the only factor.
	PasswordMin int `koanf:"passwords.min"`
	// PasswordBlocklist is a file of passwords, one a line in any case, that
	// are refused beside those built in. Default none.
	PasswordBlocklist string `koanf:"passwords.blocklist_file"`

	// SecondFactorEveryone wants two factors of everybody. Default false:
	// of those whose role, practice or app wants them, and of whoever set
	// a second one up.
	SecondFactorEveryone bool `koanf:"second_factor.everyone"`
	// SecondFactorRoles are the roles that sign in with two factors: owner,
	// admin, front_desk, billing, support. Default none.
	SecondFactorRoles []string `koanf:"second_factor.roles"`

	// PasskeysRPID is the domain that passkeys are made for: the issuer's host, or a
	// parent domain of it. With another one those that people have stop working.
	// Default the host. An issuer that is an address, or plain http but at
	// localhost, has no passkeys.
	PasskeysRPID string `koanf:"passkeys.rp_id"`
	// PasskeysOrigins are further origins (https://name) whose pages may use them;
	// browsers read them at /.well-known/webauthn of the domain above, and stop
	// after five names. Default none.
	PasskeysOrigins []string `koanf:"passkeys.origins"`

	// PasskeysOffer asks whoever signed in by password and code whether they want a
	// passkey: at most once in 30 days, and never again if they say so. Default
	// false: people find them under Account Settings.
	PasskeysOffer bool `koanf:"passkeys.offer"`

	// LimitsExempt are networks (CIDR or address) without limits by source, as
	// of one's own offices. The lock of an account has no exemption: its five
	// and its half hour are no settings. Default none.
	LimitsExempt []string `koanf:"limits.exempt"`
	// LockoutKnownDevice gives each browser in which a person completed a sign-in
	// five tries of its own: strangers who lock the account do not stop it there.
	// Whoever steals its cookie has those five in each half hour, within the
	// account's totals. Default false.
	LockoutKnownDevice bool `koanf:"lockout.known_device"`

	// OutgoingAllow are hosts, addresses and networks that apps' URIs (logout)
	// may lead the server to though they are not public, such as an app in the
	// same data centre. Default none: only public addresses are connected to.
	OutgoingAllow []string `koanf:"outgoing.allow"`

	// Clients are apps beside those of `idp client add`. One that leaves the
	// configuration is removed at the next start. Default none.
	Clients []ClientConfig `koanf:"clients"`

	// AuditKeep is how long rows of the audit trail are kept. Default 52560h, six
	// years (45 CFR 164.316(b)(2)(i)); least 8760h.
	AuditKeep time.Duration `koanf:"audit.keep"`

	// LogLevel is debug, info, warn or error. Default info.
	LogLevel string `koanf:"log.level"`
}

// ClientConfig is one app of the configuration file.
type ClientConfig struct {
	// ID is its client_id. Needed.
	ID string `koanf:"id"`
	// Name is what people see. Default the ID.
	Name string `koanf:"name"`
	// Secret is its client_secret, of 32 characters or more (`openssl rand
	// -base64 32`). A confidential app needs it, or SecretFile.
	Secret     Secret `koanf:"secret"`
	SecretFile string `koanf:"secret_file"`
	// Public apps (in a browser, on a phone) have no secret. Default false.
	Public bool `koanf:"public"`
	// AuthMethods are how a confidential app authenticates: by its secret, or by
	// private_key_jwt alone, which needs JWKS or JWKSURI and no secret. Default
	// client_secret_basic and client_secret_post.
	AuthMethods []string `koanf:"auth_methods"`
	// JWKS are the public keys of private_key_jwt, as a JWK set.
	JWKS map[string]any `koanf:"jwks"`
	// JWKSURI is where they are instead: fetched, kept for an hour, and fetched
	// again where one is not known.
	JWKSURI string `koanf:"jwks_uri"`
	// RedirectURIs are where answers may go, compared byte for byte; only a
	// loopback URI without a port stands for every port. At least one.
	RedirectURIs []string `koanf:"redirect_uris"`
	// PostLogoutURIs are where people may go after signing out. Default none.
	PostLogoutURIs []string `koanf:"post_logout_redirect_uris"`
	// BackchannelLogoutURI is where the server tells it that a session is over;
	// BackchannelLogoutSession says that it wants to know which, and it is told
	// in any case. Default none, false.
	BackchannelLogoutURI     string `koanf:"backchannel_logout_uri"`
	BackchannelLogoutSession bool   `koanf:"backchannel_logout_session_required"`
	// FrontchannelLogoutURI is what the page of whoever signed out loads in a
	// frame, for apps that only the browser reaches. It is of the origin of a
	// redirect URI. Default none; session_required as above.
	FrontchannelLogoutURI     string `koanf:"frontchannel_logout_uri"`
	FrontchannelLogoutSession bool   `koanf:"frontchannel_logout_session_required"`
	// GrantTypes are how it may come to tokens: authorization_code and
	// refresh_token for people, client_credentials for itself, which no public
	// app can have. Default the first two.
	GrantTypes []string `koanf:"grant_types"`
	// PKCE is required or optional. Default required; public: always.
	PKCE string `koanf:"pkce"`
	// Algorithm signs its ID tokens. Default RS256.
	Algorithm string `koanf:"algorithm"`
	// SubjectType is public, or pairwise: it knows people by names that no app
	// of another sector knows. Change it only before anybody has signed in.
	// Default public.
	SubjectType string `koanf:"subject_type"`
	// SectorIdentifier is the host that apps of one sector share. Default the
	// one to which all redirect URIs lead.
	SectorIdentifier string `koanf:"sector_identifier"`
	// UserinfoAlgorithm has userinfo answer as a JWT, signed by it. Default none.
	UserinfoAlgorithm string `koanf:"userinfo_signed_response_alg"`
	// AccessTokenFormat is opaque, or jwt (RFC 9068) for resource servers that
	// read tokens themselves: revocation reaches those only when they expire.
	// Default opaque.
	AccessTokenFormat string `koanf:"access_token_format"`
	// Audiences are the resource servers, by absolute URI, for which it may ask
	// tokens by the resource parameter (RFC 8707). The first is the default;
	// without any it is the issuer.
	Audiences []string `koanf:"audiences"`
	// Scopes are those it may ask for. Default the standard ones.
	Scopes []string `koanf:"scopes"`
	// ClaimsInIDToken puts the claims of the scopes into the ID token too, for
	// brokers that never ask userinfo. Default false.
	ClaimsInIDToken bool `koanf:"claims_in_id_token"`
	// RequireMFA has its people sign in with two factors. Who has no second
	// one sets it up on the way. Default false.
	RequireMFA bool `koanf:"require_mfa"`
	// RequirePushedAuthorizationRequests has it push its requests (RFC 9126): a
	// browser may bring nothing but their names. Default false: it may.
	RequirePushedAuthorizationRequests bool `koanf:"require_pushed_authorization_requests"`
	// ThirdParty apps are run by others: people are asked once what they may
	// see, and can take it back. Default false.
	ThirdParty bool `koanf:"third_party"`
	// Introspect lets it ask what tokens stand for, those of other apps too: it
	// is a resource server. It then needs no redirect URI. Default false.
	Introspect bool `koanf:"introspect"`
}

// fill puts defaults where nothing was said.
func (c *Config) fill() {
	or(&c.Listen, "127.0.0.1:8080")
	or(&c.OperatorListen, "127.0.0.1:9090")
	or(&c.StoreURL, "sqlite:idp.db")
	or(&c.KeysRotateEvery, 90*24*time.Hour)
	or(&c.KeysOverlap, 24*time.Hour)
	or(&c.MailSecurity, "starttls")
	or(&c.MailTimeout, 15*time.Second)
	or(&c.SessionIdle, time.Hour)
	or(&c.SessionAbsolute, 12*time.Hour)
	or(&c.AuditKeep, 6*365*24*time.Hour)
	or(&c.PasswordMin, 15)
	or(&c.LogLevel, "info")
}

func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Secret is a setting that is never printed.
type Secret string

const redacted = "[redacted]"

// String hides the secret from formatting.
func (Secret) String() string { return redacted }

// GoString hides it from %#v.
func (Secret) GoString() string { return redacted }

// MarshalText hides it from JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides it from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
