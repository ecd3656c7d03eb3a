package provider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/outgoing"
	"github.com/medximity/idp/provider/store"
)

const (
	tellFor   = 5 * time.Second // the longest that an app may take to answer
	logoutFor = 2 * time.Minute // a logout token is good (OpenID Connect Back-Channel Logout 1.0 section 2.4 advises it)
	maxAnswer = 4 << 10         // of an app's answer is read, so that the connection serves again
)

// logoutToken is the payload of a logout token (section 2.4). It never has a
// nonce, so that no app takes it for an ID token.
type logoutToken struct {
	Issuer   string              `json:"iss"`
	Subject  account.ID          `json:"sub"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	ID       string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	Session  string              `json:"sid"`
}

// logoutEvent is what says that a token is for logout.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// tellApp tells an app that a session is over. Each attempt has a token of its
// own: an app that has seen one may refuse it the second time.
func (o *oidc) tellApp(ctx context.Context, l store.Logout) error {
	c, err := o.client(ctx, l.Client)
	if err != nil || c == nil || c.BackchannelLogoutURI == "" {
		return err // it is registered for this no more
	}
	token, err := o.logoutToken(c, l)
	if err != nil {
		return err
	}
	return o.post(ctx, c.BackchannelLogoutURI, url.Values{"logout_token": {token}})
}

func (o *oidc) logoutToken(c *store.Client, l store.Logout) (string, error) {
	now := o.Now()
	payload, err := json.Marshal(logoutToken{
		Issuer: o.issuer, Subject: o.subjectFor(c, l.Account), Audience: c.ID, IssuedAt: now.Unix(), Expires: now.Add(logoutFor).Unix(),
		ID: rand.Text(), Events: map[string]struct{}{logoutEvent: {}}, Session: l.SID,
	})
	if err != nil {
		return "", err
	}
	return o.Keys.SignAs("logout+jwt", algorithm(c), payload)
}

// post sends an app a form. Its answer is a status and no more (section 2.8).
func (o *oidc) post(ctx context.Context, uri string, form url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(form.Encode()))
	if err != nil {
		return &notTold{err, true}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := o.Outgoing.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URI, which an app may have put a secret in
		}
		return &notTold{err, errors.Is(err, outgoing.ErrRefused)}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	busy := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	return &notTold{fmt.Errorf("the app answered %d", resp.StatusCode), !busy}
}

// notTold is why an app did not hear what it was to be told.
type notTold struct {
	err   error
	final bool
}

func (e *notTold) Error() string { return "tell an app: " + e.err.Error() }
func (e *notTold) Unwrap() error { return e.err }

// Permanent reports whether to try again is of no use.
func (e *notTold) Permanent() bool { return e.final }
