package provider

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// code is what an authorization code stands for. It travels inside the code,
// sealed and bound to the client, so that giving one out writes nothing; the
// grant is written when it is redeemed, and that can happen once.
type code struct {
	Grant     string
	Account   account.ID
	Practice  account.PracticeID
	Session   string // its ID; the code dies with it
	Epoch     int64  // the account's, under which the session was proven
	Scopes    string
	AuthTime  time.Time
	Methods   string
	ACR       string
	Requested string // the claims parameter, in our form
	Nonce     string
	Challenge string // PKCE, S256; "" if the client sent none
	Redirect  string // SHA-256 of the redirect URI
	Until     time.Time
}

// codeFor returns the code that answers a request from a session.
func (o *oidc) codeFor(grant string, req *authRequest, s *store.Session) code {
	to := sha256.Sum256([]byte(req.redirect))
	return code{
		Grant: grant, Account: s.Account, Practice: s.Practice, Session: string(s.ID), Epoch: s.Epoch,
		Scopes: strings.Join(req.scopes, " "), AuthTime: s.AuthTime,
		Methods: strings.Join(s.Methods, " "), ACR: req.reached(s.ACR), Requested: req.claims.String(),
		Nonce: req.form.Get("nonce"), Challenge: req.form.Get("code_challenge"),
		Redirect: string(to[:]), Until: o.Now().Add(o.life.Code),
	}
}

// grantOf returns the grant that the code becomes.
func (o *oidc) grantOf(c *code, client *store.Client) store.Grant {
	now := o.Now()
	return store.Grant{
		ID: c.Grant, Client: client.ID, Asks: client.ThirdParty, Account: c.Account, Practice: c.Practice, Epoch: c.Epoch,
		Session: []byte(c.Session), Scopes: strings.Fields(c.Scopes), AuthTime: c.AuthTime,
		Methods: strings.Fields(c.Methods), ACR: c.ACR, Requested: c.Requested,
		CreatedAt: now, ExpiresAt: now.Add(o.life.Family),
	}
}

var errNotACode = errors.New("not a code of ours for this client")

// sealCode returns the code as it is given to the client, the only one that can
// redeem it: the seal is bound to its name.
func (o *oidc) sealCode(c code, client string) string {
	nonce := make([]byte, o.code.NonceSize(), 512)
	_, _ = rand.Read(nonce) // never fails (crypto/rand since Go 1.24)
	sealed := o.code.Seal(nonce, nonce, c.marshal(), []byte(client))
	return codePrefix + base64.RawURLEncoding.EncodeToString(sealed)
}

// openCode returns what a code stands for, expired or not.
func (o *oidc) openCode(sealed, client string) (*code, error) {
	rest, ok := strings.CutPrefix(sealed, codePrefix)
	if !ok {
		return nil, errNotACode
	}
	// Strict: one code has one spelling, so it has one hash to be used under.
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) < o.code.NonceSize() {
		return nil, errNotACode
	}
	n := o.code.NonceSize()
	plain, err := o.code.Open(nil, b[:n], b[n:], []byte(client))
	if err != nil {
		return nil, errNotACode
	}
	c := new(code)
	if err := c.unmarshal(plain); err != nil {
		return nil, errNotACode
	}
	return c, nil
}

// Codes go through browsers' address bars and logs' columns, so the encoding is
// short: texts with their lengths, then numbers.

func (c *code) texts() []*string {
	return []*string{&c.Grant, (*string)(&c.Account), (*string)(&c.Practice), &c.Session, &c.Scopes,
		&c.Methods, &c.ACR, &c.Requested, &c.Nonce, &c.Challenge, &c.Redirect}
}

func (c *code) marshal() []byte {
	var b []byte
	for _, t := range c.texts() {
		b = binary.AppendUvarint(b, uint64(len(*t)))
		b = append(b, *t...)
	}
	for _, n := range []int64{c.Epoch, c.AuthTime.UnixMicro(), c.Until.UnixMicro()} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// unmarshal reads what marshal wrote. It can only fail on a code sealed by
// another version of this program.
func (c *code) unmarshal(b []byte) error {
	r := bytes.NewReader(b)
	for _, t := range c.texts() {
		n, err := binary.ReadUvarint(r)
		if err != nil || n > uint64(r.Len()) {
			return errNotACode
		}
		s := make([]byte, n)
		_, _ = r.Read(s)
		*t = string(s)
	}
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = binary.ReadVarint(r); err != nil {
			return errNotACode
		}
	}
	c.Epoch, c.AuthTime, c.Until = n[0], time.UnixMicro(n[1]), time.UnixMicro(n[2])
	return nil
}
