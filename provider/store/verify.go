package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/medximity/idp/provider/store/db"
)

// Checkpoint is what the log says of the audit chain: a link and its hash. MAC
// may be empty where the operator vouches for it.
type Checkpoint struct {
	Sequence int64
	Hash     string
	MAC      string
}

// Damage says what is wrong with a row of the audit trail.
type Damage string

// What Verify tells apart.
const (
	Altered   Damage = "altered"   // it, or its link, is not what was linked
	Missing   Damage = "missing"   // deleted, or the end of the trail cut off
	Inserted  Damage = "inserted"  // it never was linked
	Reordered Damage = "reordered" // another row belongs in its place
	Rewritten Damage = "rewritten" // it fits, but a checkpoint says otherwise
	Forged    Damage = "forged"    // a checkpoint, or the place where the rest begins
)

// Fault is a row that is not as it was written. Sequence is 0 for one that has
// no link; ID is empty for one that is gone.
type Fault struct {
	Sequence int64  `json:"sequence"`
	ID       string `json:"id,omitempty"`
	Damage   Damage `json:"damage"`
	Detail   string `json:"detail"`
}

// Report is what Verify saw.
type Report struct {
	Rows        int64     `json:"rows"` // linked and kept
	Last        int64     `json:"last"` // sequence number
	LastAt      time.Time `json:"last_at,omitzero"`
	LastHash    string    `json:"last_hash"`
	Unchained   int64     `json:"unchained"`   // written, and not linked yet
	Checkpoints int       `json:"checkpoints"` // compared; of rows swept since there is nothing to compare
	Bad         int64     `json:"bad"`         // rows
	Fault       *Fault    `json:"fault,omitempty"`
}

const verifyPage = 1000 // links

// Verify reads the whole audit trail in the order of its chain, a page at a
// time, and says what fits and which row is the first that does not. It may run
// beside everything else, the sweep too.
func (s *Store) Verify(ctx context.Context, checkpoints []Checkpoint) (Report, error) {
	key, err := s.chainKey(ctx)
	if err != nil {
		return Report{}, err
	}
	v := verifier{Store: s, walk: walk{key: key}}
	v.compare(checkpoints)
	for _, part := range []func(context.Context) error{v.fromAnchor, v.links, v.unlinked} {
		if err := part(ctx); err != nil {
			return Report{}, fmt.Errorf("store: audit trail after sequence %d: %w", v.seq, err)
		}
	}
	return v.Report, nil
}

// walk goes from link to link.
type walk struct {
	key  chainKey
	seq  int64 // of the link last passed
	hash string
}

// step passes a link and says what is wrong with it, if anything.
func (w *walk) step(l db.LinksRow) *Fault {
	want, before := w.seq+1, w.hash
	if l.Seq < want {
		return &Fault{l.Seq, l.RowID, Inserted, "its link stands before where the trail begins"}
	}
	w.seq, w.hash = l.Seq, l.Hash
	switch {
	case l.Seq > want:
		return &Fault{want, "", Missing, "its link is gone"}
	case !l.There:
		return &Fault{l.Seq, l.RowID, Missing, "the row is gone and its link is not"}
	case !hmac.Equal([]byte(w.key.link(before, l.Seq, rowOf(l))), []byte(l.Hash)):
		return &Fault{l.Seq, l.RowID, Altered, "the row or its link is not what was linked"}
	}
	if t, ok := idTime(l.RowID); !ok || l.At != strconv.FormatInt(micros(t), 10) {
		return &Fault{l.Seq, l.RowID, Inserted, "its id does not say its time, as ours do"}
	}
	return nil
}

func rowOf(l db.LinksRow) db.UnlinkedRow {
	return db.UnlinkedRow{ID: l.RowID, At: l.At, Kind: l.Kind, Actor: l.Actor, Subject: l.Subject,
		Practice: l.Practice, Step: l.Step, Factor: l.Factor, Reason: l.Reason, Initiator: l.Initiator,
		Source: l.Source}
}

// verifier is one Verify under way.
type verifier struct {
	*Store
	walk
	Report
	marks  []Checkpoint // to come, by sequence number
	fit    int64        // the last that fitted
	anchor int64
}

// found keeps the fault that comes first.
func (v *verifier) found(f *Fault) {
	v.Bad++
	if v.Fault == nil || f.Sequence < v.Fault.Sequence {
		v.Fault = f
	}
}

// compare takes the checkpoints that are ours.
func (v *verifier) compare(all []Checkpoint) {
	for _, c := range all {
		if c.MAC != "" && !hmac.Equal([]byte(v.key.checkpoint(c.Sequence, c.Hash)), []byte(c.MAC)) {
			v.found(&Fault{c.Sequence, "", Forged, "its checkpoint was not made with this store's secret"})
			continue
		}
		v.marks = append(v.marks, c)
	}
	slices.SortStableFunc(v.marks, func(a, b Checkpoint) int { return cmp.Compare(a.Sequence, b.Sequence) })
}

// fromAnchor goes to where the kept part begins, on again if it moved since.
func (v *verifier) fromAnchor(ctx context.Context) error {
	a, err := v.q.Anchor(ctx)
	if missing(err) {
		v.found(&Fault{0, "", Missing, "the record of where the trail begins is gone"})
		return nil
	}
	if err != nil {
		return err
	}
	v.anchor, v.seq, v.hash = a.Seq, a.Seq, a.Hash
	if !v.key.made(a) {
		v.found(&Fault{a.Seq, "", Forged, "the record of where the trail begins is not ours"})
	}
	v.mark(db.LinksRow{Seq: a.Seq, Hash: a.Hash})
	return nil
}

// links walks all links. It begins below the first, where none belongs.
func (v *verifier) links(ctx context.Context) error {
	for after := int64(math.MinInt64); ; {
		page, err := v.q.Links(ctx, db.LinksParams{After: after, Page: verifyPage})
		if err != nil || len(page) == 0 {
			return err
		}
		for i, l := range page {
			if l.Seq > v.seq+1 && v.swept(ctx) {
				after = v.seq
				break
			}
			v.pass(page, i)
			after = l.Seq
		}
	}
}

// swept reports that a sweep took links that were still to be read, and goes
// to where it ended.
func (v *verifier) swept(ctx context.Context) bool {
	a, err := v.q.Anchor(ctx)
	return err == nil && a.Seq > v.seq && a.Seq > v.anchor && v.fromAnchor(ctx) == nil
}

func (v *verifier) pass(page []db.LinksRow, i int) {
	l, before := page[i], v.walk
	if f := v.step(l); f != nil {
		if v.Fault == nil && f.Damage == Altered {
			f.Damage = before.explain(page, i)
		}
		v.found(f)
		v.Bad += max(0, l.Seq-f.Sequence-1) // of a gap only the first is named
	}
	v.mark(l)
	v.Rows++
	v.Last, v.LastHash = l.Seq, l.Hash
	v.LastAt, _ = idTime(l.RowID)
}

// mark compares a link with its checkpoints.
func (v *verifier) mark(l db.LinksRow) {
	for len(v.marks) > 0 && v.marks[0].Sequence <= l.Seq {
		m := v.marks[0]
		v.marks = v.marks[1:]
		if m.Sequence < l.Seq {
			continue // swept, or missing and told
		}
		v.Checkpoints++
		if m.Hash == l.Hash {
			v.fit = l.Seq
			continue
		}
		v.found(&Fault{l.Seq, l.RowID, Rewritten, fmt.Sprintf(
			"its checkpoint has another hash: rewritten somewhere after sequence %d", v.fit)})
	}
}

// unlinked counts the rows that no link names: those that will have one, and
// those that never will.
func (v *verifier) unlinked(ctx context.Context) error {
	if n := len(v.marks); n > 0 {
		v.found(&Fault{v.seq + 1, "", Missing, fmt.Sprintf(
			"the end was cut off: a checkpoint tells of sequence %d", v.marks[n-1].Sequence)})
	}
	newest, err := v.newestLinked(ctx)
	if err != nil {
		return err
	}
	low, high := chainBounds(newest, v.Now(), lookFar)
	if v.Unchained, err = v.q.CountUnlinked(ctx, db.CountUnlinkedParams{Low: low, High: high}); err != nil {
		return err
	}
	s, err := v.q.Strangers(ctx, db.StrangersParams{Low: low, High: high})
	if err != nil || s.Strangers == 0 {
		return err
	}
	v.Bad += s.Strangers
	if v.Fault == nil {
		v.Fault = &Fault{0, s.FirstID, Inserted,
			"it has no link and is dated before rows that have: added afterwards"}
	}
	return nil
}

// explain says more about a link that does not fit, as far as its page tells.
func (w *walk) explain(page []db.LinksRow, i int) Damage {
	l := page[i]
	if i+1 < len(page) {
		if next := page[i+1]; w.key.link(l.Hash, next.Seq+1, rowOf(next)) == next.Hash {
			return Missing // those after it moved up
		}
	}
	for j, other := range page {
		h := w.key.link(w.hash, l.Seq, rowOf(other))
		switch {
		case j == i:
		case h == l.Hash, h == other.Hash && w.swapped(page, i, j):
			return Reordered
		case h == other.Hash:
			return Inserted // those after it moved down
		}
	}
	return Altered
}

// swapped reports that the link at i belongs at j, as that at j does at i.
func (w *walk) swapped(page []db.LinksRow, i, j int) bool {
	if j < i {
		return false
	}
	before := page[j-1].Hash
	if j == i+1 {
		before = page[j].Hash
	}
	return w.key.link(before, page[j].Seq, rowOf(page[i])) == page[i].Hash
}
