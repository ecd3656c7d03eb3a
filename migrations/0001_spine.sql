-- The spine: who may sign in, what guards them, and what they were given.
-- One text for PostgreSQL and SQLite: text, bigint, boolean and bytea only;
-- times are microseconds since 1970 UTC, 0 for never; documents are JSON text.

-- +goose Up

-- People of the built-in directory. Another directory leaves these empty.
CREATE TABLE practices (
	id   text PRIMARY KEY,
	name text NOT NULL
);

CREATE TABLE people (
	id             text    PRIMARY KEY,
	practice       text    NOT NULL DEFAULT '',
	role           text    NOT NULL DEFAULT '',
	username       text    NOT NULL,
	email          text    NOT NULL,
	email_verified boolean NOT NULL DEFAULT true,
	name           text    NOT NULL DEFAULT '',
	locale         text    NOT NULL DEFAULT '',
	claims         text    NOT NULL DEFAULT '{}',
	password_hash  text    NOT NULL DEFAULT '',
	must_change    boolean NOT NULL DEFAULT false,
	disabled       boolean NOT NULL DEFAULT false,
	version        bigint  NOT NULL DEFAULT 1,
	created_at     bigint  NOT NULL,
	updated_at     bigint  NOT NULL
);
CREATE INDEX people_practice ON people (practice);

-- Usernames and e-mail addresses, normalised, in one namespace: nobody's
-- username can be somebody else's address.
CREATE TABLE identifiers (
	key    text    PRIMARY KEY,
	person text    NOT NULL REFERENCES people (id) ON DELETE CASCADE,
	email  boolean NOT NULL
);
CREATE INDEX identifiers_person ON identifiers (person);

-- One row a subject: an account's ID, or the shadow key of an identifier that
-- nobody has. epoch rises when everything proven before becomes void.
CREATE TABLE guards (
	subject          text    PRIMARY KEY,
	shadow           boolean NOT NULL DEFAULT false,
	epoch            bigint  NOT NULL DEFAULT 0,
	generation       bigint  NOT NULL DEFAULT 0,
	charge_until     bigint  NOT NULL DEFAULT 0,
	locked_until     bigint  NOT NULL DEFAULT 0,
	locked_at        bigint  NOT NULL DEFAULT 0, -- of the last lock; negative once a sign-in followed it, 0 after the next
	password_failed  bigint  NOT NULL DEFAULT 0,
	password_charged bigint  NOT NULL DEFAULT 0,
	password_wrong   bigint  NOT NULL DEFAULT 0,
	code_failed      bigint  NOT NULL DEFAULT 0,
	code_charged     bigint  NOT NULL DEFAULT 0,
	code_wrong       bigint  NOT NULL DEFAULT 0,
	disabled         boolean NOT NULL DEFAULT false, -- an operator stopped the account
	touched_at       bigint  NOT NULL DEFAULT 0
);
CREATE INDEX guards_shadow_touched ON guards (shadow, touched_at);
CREATE INDEX guards_locked ON guards (locked_until);

-- Failures by where they came from: an IPv4 address or an IPv6 /64.
CREATE TABLE sources (
	source       text   PRIMARY KEY,
	window_start bigint NOT NULL,
	failures     bigint NOT NULL,
	hour_start   bigint NOT NULL,
	locks        bigint NOT NULL
);

-- Sign-ins and recoveries under way. browser is the SHA-256 of a cookie.
CREATE TABLE flows (
	id         text   PRIMARY KEY,
	kind       text   NOT NULL,
	browser    bytea  NOT NULL,
	account    text   NOT NULL DEFAULT '',
	practice   text   NOT NULL DEFAULT '',
	epoch      bigint NOT NULL DEFAULT 0,
	typed      text   NOT NULL DEFAULT '',
	link       bytea,
	facts      text   NOT NULL DEFAULT '[]',
	request    text   NOT NULL DEFAULT '{}',
	revision   bigint NOT NULL DEFAULT 0,
	started_at bigint NOT NULL,
	expires_at bigint NOT NULL
);
CREATE INDEX flows_expires ON flows (expires_at);
CREATE INDEX flows_browser ON flows (browser, started_at);

-- Browser sessions. id is the SHA-256 of the cookie's secret. A flow makes one
-- session ever. A session is live while its epoch is its account's.
CREATE TABLE sessions (
	id         bytea  PRIMARY KEY,
	account    text   NOT NULL,
	practice   text   NOT NULL DEFAULT '',
	epoch      bigint NOT NULL,
	flow       text   NOT NULL UNIQUE,
	auth_time  bigint NOT NULL,
	methods    text   NOT NULL,
	acr        text   NOT NULL,
	device     text   NOT NULL DEFAULT '',
	address    text   NOT NULL DEFAULT '',
	created_at bigint NOT NULL,
	seen_at    bigint NOT NULL,
	idle       bigint NOT NULL, -- microseconds it may go unseen
	expires_at bigint NOT NULL
);
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- OpenID clients. Secrets are random; their SHA-256 suffices.
CREATE TABLE clients (
	id          text    PRIMARY KEY,
	name        text    NOT NULL,
	secret_hash bytea,
	document    text    NOT NULL, -- redirect URIs, PKCE, algorithm and so on
	from_config boolean NOT NULL DEFAULT false,
	created_at  bigint  NOT NULL,
	updated_at  bigint  NOT NULL
);

-- One row a family of tokens, made when its code is redeemed. It holds the
-- SHA-256 of the code and of the current access and refresh token.
CREATE TABLE grants (
	id             text   PRIMARY KEY,
	client         text   NOT NULL,
	account        text   NOT NULL,
	practice       text   NOT NULL DEFAULT '',
	epoch          bigint NOT NULL,
	session        bytea  NOT NULL,
	code_hash      bytea  NOT NULL UNIQUE,
	access_hash    bytea  UNIQUE,
	refresh_hash   bytea  UNIQUE,
	scopes         text   NOT NULL,
	auth_time      bigint NOT NULL,
	methods        text   NOT NULL,
	acr            text   NOT NULL,
	requested      text   NOT NULL DEFAULT '{}', -- the claims parameter
	created_at     bigint NOT NULL,
	access_until   bigint NOT NULL,
	refresh_until  bigint NOT NULL, -- rises with each rotation
	expires_at     bigint NOT NULL, -- does not
	revoked_at     bigint NOT NULL DEFAULT 0
);
CREATE INDEX grants_account ON grants (account);
CREATE INDEX grants_expires ON grants (expires_at);

-- The one live reset link of a subject, and when the last three were sent.
CREATE TABLE resets (
	subject     text    PRIMARY KEY,
	shadow      boolean NOT NULL DEFAULT false,
	token_hash  bytea   UNIQUE, -- NULL once used or cancelled
	cancel_hash bytea   UNIQUE,
	initiator   text    NOT NULL,
	sent_at     bigint  NOT NULL,
	sent_2      bigint  NOT NULL DEFAULT 0,
	sent_3      bigint  NOT NULL DEFAULT 0,
	expires_at  bigint  NOT NULL
);
CREATE INDEX resets_sent ON resets (sent_at);

-- Every link sent, so that an old one can say why it is old.
CREATE TABLE reset_links (
	hash    bytea  PRIMARY KEY,
	subject text   NOT NULL,
	sent_at bigint NOT NULL,
	used_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX reset_links_sent ON reset_links (sent_at);

-- Mails to send. recipient and data are sealed, and blanked once sent.
CREATE TABLE mails (
	id         text   PRIMARY KEY,
	template   text   NOT NULL,
	subject    text   NOT NULL DEFAULT '', -- whom it is about
	locale     text   NOT NULL DEFAULT '',
	recipient  bytea,
	data       bytea,
	state      text   NOT NULL, -- queued sent dead dropped
	attempts   bigint NOT NULL DEFAULT 0,
	created_at bigint NOT NULL,
	done_at    bigint NOT NULL DEFAULT 0
);
CREATE INDEX mails_state ON mails (state, created_at);

-- Signing keys, sealed. kid is the JWK thumbprint.
CREATE TABLE signing_keys (
	id         text   PRIMARY KEY,
	algorithm  text   NOT NULL,
	private    bytea  NOT NULL,
	created_at bigint NOT NULL,
	signs_at   bigint NOT NULL, -- published before, so that caches have it
	retires_at bigint NOT NULL, -- signs no more
	removed_at bigint NOT NULL  -- published no more
);

-- Random secrets that outlive the key ring that seals them.
CREATE TABLE secrets (
	name   text  PRIMARY KEY,
	sealed bytea NOT NULL
);

-- What happened. Rows are only ever added, and swept by age.
CREATE TABLE audit (
	id        text   PRIMARY KEY, -- sorts by time
	at        bigint NOT NULL,
	kind      text   NOT NULL,
	actor     text   NOT NULL DEFAULT '',
	subject   text   NOT NULL DEFAULT '',
	practice  text   NOT NULL DEFAULT '',
	step      text   NOT NULL DEFAULT '',
	factor    text   NOT NULL DEFAULT '',
	reason    text   NOT NULL DEFAULT '',
	initiator text   NOT NULL DEFAULT '',
	source    text   NOT NULL DEFAULT ''
);
CREATE INDEX audit_subject ON audit (subject, at);
