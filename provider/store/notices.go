package store

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// disavowFor is how long a "this was not me" link is good.
const disavowFor = 7 * 24 * time.Hour

// errGone ends a transaction that found nothing to do.
var errGone = errors.New("store: nothing to do")

func orGone(err error) error {
	if err == nil || missing(err) {
		return errGone
	}
	return err
}

// notify queues the mail that tells somebody of a change to their account, with
// a link that says "this was not me".
func (s *Store) notify(ctx context.Context, t *tx, template string, id account.ID, data map[string]any) error {
	token := account.NewSecret()
	err := t.AddDisavowal(ctx, db.AddDisavowalParams{Hash: account.HashSecret(token), Account: string(id),
		Template: template, ExpiresAt: micros(t.at.Add(disavowFor))})
	if err != nil {
		return err
	}
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	data["not_me"] = token
	return s.queueMail(ctx, t, Mail{Template: template, Subject: string(id), Data: data})
}
