package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	"github.com/medximity/idp/provider/store/db"
)

// The audit chain: each row of the trail gets a link, whose hash covers the
// link before it, so that a row changed, dropped, added or moved afterwards is
// found (Verify). Rows are written unlinked, so that no sign-in waits for
// another's; they are linked within about a second, in an order that is fixed
// then: ids sort by when a transaction began, not by when it was seen.
//
// The hash is keyed by a secret that the ring seals. Whoever has only the
// database cannot make a link; whoever has the ring, too, cannot change what
// the log outside says of it: checkpoints. Threat T26.
const (
	chainEvery = time.Second
	chainStall = 10 * time.Second // after a crash, at most
	chainBatch = 512              // links a transaction

	// How far behind the newest link rows are looked for: each second those of
	// the usual transaction, each minute those of any. What comes later still,
	// dated before, is not linked and so found: nobody adds to the past.
	lookNear  = 10 * time.Second
	lookFar   = 15 * time.Minute
	farLookAt = 60 // looks

	checkpointEvery = 30 * time.Second
)

// chainer links rows in the background.
type chainer struct {
	*Store
	looks  int          // made; only River's leader looks, one after the other
	newest string       // id linked, as of the last look
	noted  atomic.Int64 // number of our last checkpoint
}

// due is asked each second, by one replica, whether there is something to
// link. When idle, its one statement is all that the chain costs.
func (c *chainer) due() (river.JobArgs, *river.InsertOpts) {
	ctx, cancel := context.WithTimeout(context.Background(), chainEvery)
	defer cancel()
	job := chainJob{Far: c.looks%farLookAt == 0}
	c.looks++
	if c.newest == "" {
		var err error
		if c.newest, err = c.newestLinked(ctx); err != nil {
			return job, nil // which will say what is wrong
		}
	}
	low, high := chainBounds(c.newest, c.Now(), job.look())
	d, err := c.q.LinksDue(ctx, db.LinksDueParams{Low: low, High: high})
	if err != nil {
		return job, nil
	}
	c.newest = d.Newest
	if !d.Due {
		return nil, nil
	}
	return job, nil
}

// linksWithin is how long a row of the trail may wait for its link before
// somebody should look why.
const linksWithin = time.Minute

// LinksOverdue reports whether rows of the trail have waited for their links for
// more than a minute: no server runs, or its job fails.
func (s *Store) LinksOverdue(ctx context.Context) (bool, error) {
	newest, err := s.newestLinked(ctx)
	if err != nil {
		return false, err
	}
	low, _ := chainBounds(newest, s.Now(), lookFar)
	d, err := s.q.LinksDue(ctx, db.LinksDueParams{Low: low, High: idAt(s.Now().Add(-linksWithin))})
	return d.Due, err
}

func (s *Store) newestLinked(ctx context.Context) (string, error) {
	_, high := chainBounds("", s.Now(), 0)
	return s.q.NewestLinked(ctx, high)
}

// chainBounds are the ids between which rows are linked. Clocks that jumped
// ahead and back leave no gap: what is dated beyond now does not count.
func chainBounds(newest string, now time.Time, look time.Duration) (low, high string) {
	high = idAt(now.Add(lookFar))
	t, ok := idTime(newest)
	if !ok {
		return "", high
	}
	if now.Before(t) {
		t = now
	}
	return idAt(t.Add(-look)), high
}

// chain links what is not linked, in batches, each a transaction. If another
// replica links the same rows, one of the two is refused and does nothing.
func (s *Store) chain(ctx context.Context, look time.Duration) error {
	key, err := s.chainKey(ctx)
	if err != nil {
		return err
	}
	newest, err := s.newestLinked(ctx)
	low, high := chainBounds(newest, s.Now(), look)
	for more := true; err == nil && more; {
		low, more, err = s.linkSome(ctx, key, low, high)
	}
	if err != nil {
		return fmt.Errorf("store: audit chain: %w", err)
	}
	return nil
}

// linkSome links a batch and returns where the next begins, if there is one.
func (s *Store) linkSome(ctx context.Context, key chainKey, low, high string) (
	next string, more bool, err error) {
	head, err := s.chainHead(ctx)
	if err != nil {
		return "", false, err
	}
	rows, err := s.q.Unlinked(ctx, db.UnlinkedParams{Low: low, High: high, Batch: chainBatch})
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	links := make([]any, 0, 3*len(rows))
	for _, r := range rows {
		if _, ours := idTime(r.ID); !ours {
			continue // Verify names it
		}
		head.Seq++
		head.Hash = key.link(head.Hash, head.Seq, r)
		links = append(links, head.Seq, r.ID, head.Hash)
	}
	err = s.update(ctx, func(t *tx) error { return s.addLinks(ctx, t, links) })
	if s.engine.duplicate(err) {
		return "", false, nil
	}
	return rows[len(rows)-1].ID, len(rows) == chainBatch, err
}

// addLinks inserts many links in few statements. These are of few lengths, so
// that a connection prepares each once; sqlc knows none of a variable length.
// The primary key refuses a second chain.
func (s *Store) addLinks(ctx context.Context, t *tx, links []any) error {
	for size := chainBatch / 2; len(links) > 0; {
		if len(links) < 3*size {
			size /= 4
			continue
		}
		text := strings.Builder{}
		text.WriteString("-- name: AddLinks :exec\nINSERT INTO audit_chain (seq, row_id, hash) VALUES ")
		for i := range size {
			fmt.Fprintf(&text, "($%d, $%d, $%d), ", 3*i+1, 3*i+2, 3*i+3)
		}
		_, err := s.told(t.sql).ExecContext(ctx, strings.TrimSuffix(text.String(), ", "), links[:3*size]...)
		if err != nil {
			return err
		}
		links = links[3*size:]
	}
	return nil
}

// chainHead is what the next link follows: the last one, or the anchor if all
// were swept.
func (s *Store) chainHead(ctx context.Context) (db.LastLinkRow, error) {
	head, err := s.q.LastLink(ctx)
	if !missing(err) {
		return head, err
	}
	a, err := s.q.Anchor(ctx)
	return db.LastLinkRow{Seq: a.Seq, Hash: a.Hash}, err
}

// checkpoint writes the last link to the log, if it is new there. The log is
// kept elsewhere, so a trail cut short or made anew differs from it.
func (c *chainer) checkpoint(ctx context.Context) error {
	head, err := c.chainHead(ctx)
	if err != nil || head.Seq == c.noted.Load() {
		return err
	}
	key, err := c.chainKey(ctx)
	if err != nil {
		return err
	}
	if was := c.noted.Swap(head.Seq); head.Seq < was {
		c.Logger.ErrorContext(ctx, "audit trail was cut: run `idp audit verify`", "sequence", head.Seq, "was", was)
	}
	c.Logger.InfoContext(ctx, "audit checkpoint", "sequence", head.Seq, "hash", head.Hash,
		"mac", key.checkpoint(head.Seq, head.Hash))
	return nil
}

// chainKey keys all hashes of the chain, each kind under a label of its own, so
// that none can be passed off as another.
type chainKey []byte

func (s *Store) chainKey(ctx context.Context) (chainKey, error) {
	return s.Secret(ctx, "audit-chain", sha256.Size)
}

// link is the hash of a row in its place. A column that is added to audit needs
// a label of its own for the rows that have it.
func (k chainKey) link(before string, seq int64, r db.UnlinkedRow) string {
	return k.mac("link", before, strconv.FormatInt(seq, 10), r.ID, r.At, r.Kind, r.Actor, r.Subject,
		r.Practice, r.Step, r.Factor, r.Reason, r.Initiator, r.Source)
}

func (k chainKey) anchor(seq int64, hash string) string {
	return k.mac("anchor", strconv.FormatInt(seq, 10), hash)
}

// made reports that an anchor is one that a sweep left, or that none ever did.
func (k chainKey) made(a db.AuditAnchor) bool {
	return a == db.AuditAnchor{} || hmac.Equal([]byte(k.anchor(a.Seq, a.Hash)), []byte(a.Mac))
}

func (k chainKey) checkpoint(seq int64, hash string) string {
	return k.mac("checkpoint", strconv.FormatInt(seq, 10), hash)
}

// mac is an HMAC over texts, each after its length: no two lists read alike.
func (k chainKey) mac(texts ...string) string {
	h := hmac.New(sha256.New, k)
	var b []byte
	for _, t := range texts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(t)))
		b = append(b, t...)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// idAt sorts before all ids of rows of that time and after those before it.
func idAt(t time.Time) string { return fmt.Sprintf("%013x", micros(t)) }

// idTime is the time in an id made by auditID. Other ids have none.
func idTime(id string) (time.Time, bool) {
	if len(id) != 27 || id[13] != '-' {
		return time.Time{}, false
	}
	us, err := strconv.ParseInt(id[:13], 16, 64)
	return at(us), err == nil
}
