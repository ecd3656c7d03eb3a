package provider

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// A client registered as pairwise knows people by names that no client of
// another sector knows them by, so that the two cannot compare notes (OIDC Core
// section 8.1). The name is settled when a code is redeemed and kept with the
// grant, so it stays what it was however the registration changes.

func pairwise(c *store.Client) bool { return c.SubjectType == "pairwise" }

// subjectFor returns the name by which a client knows an account.
func (o *oidc) subjectFor(c *store.Client, id account.ID) account.ID {
	if !pairwise(c) {
		return id
	}
	h := hmac.New(sha256.New, o.pairs)
	h.Write([]byte(sector(c) + "\x00" + string(id))) // a host has no NUL
	return account.ID(base64.RawURLEncoding.EncodeToString(h.Sum(nil)))
}

// whose is whom a grant is about, by the name that its client knows: a person,
// or the client itself (RFC 9068 section 2.2). Accounts' IDs are random, so no
// client is named like one.
func whose(g *store.Grant) account.ID {
	return cmp.Or(requestedBy(g).Pairwise, g.Account, account.ID(g.Client))
}

// sector is the clients among which a person has one name: the registered one,
// or the host to which all redirect URIs lead.
func sector(c *store.Client) string {
	if c.Sector != "" || len(c.RedirectURIs) == 0 {
		return c.Sector
	}
	u, err := url.Parse(c.RedirectURIs[0])
	if err != nil {
		return "" // CheckSector let no such client in
	}
	return u.Hostname()
}

// CheckSector says why people could have no pairwise names for a client, or nil.
func CheckSector(c *store.Client) error {
	if c.Sector != "" {
		u, err := url.Parse("https://" + c.Sector)
		if err != nil || u.Host != c.Sector || u.Port() != "" {
			return errors.New("is not a host name")
		}
		return nil
	}
	for _, uri := range c.RedirectURIs {
		u, err := url.Parse(uri)
		if err != nil || u.Hostname() == "" || u.Hostname() != sector(c) {
			return errors.New("is needed where redirect_uris lead to several hosts (OIDC Core section 8.1)")
		}
	}
	if len(c.RedirectURIs) == 0 {
		return errors.New("is needed where there are no redirect_uris")
	}
	return nil
}
