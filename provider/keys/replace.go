package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/provider/store"
)

// Replace is for keys that others may know: new ones sign at once, and all
// there were are neither published nor believed any more. Tokens that they
// signed cannot be verified from then on, and for up to 30 seconds a replica
// may still sign with one: people may have to sign in again. Rotate has no
// such price.
func (k *Keys) Replace(ctx context.Context, actor string) error {
	var made []store.SigningKey
	for _, alg := range algorithms() {
		key, err := generate(alg)
		if err != nil {
			return fmt.Errorf("keys: %s: %w", alg, err)
		}
		made = append(made, key)
	}
	err := k.store.ChangeKeys(ctx, actor, func(now time.Time, have []store.SigningKey) store.KeyChange {
		c := store.KeyChange{Add: made}
		for i := range c.Add {
			c.Add[i].SignsAt = now
		}
		for _, old := range have {
			old.RetiresAt, old.RemovedAt = now, now
			c.Retire = append(c.Retire, old)
		}
		return c
	})
	if err != nil {
		return err
	}
	return k.read(ctx)
}

// distrusted reports whether the key was replaced: published until the very
// instant that it was retired, unlike one that had its time.
func (k *key) distrusted() bool {
	return !k.RemovedAt.IsZero() && k.RemovedAt.Equal(k.RetiresAt)
}
