package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/medximity/idp/provider/store"
)

// Threat T26: whatever somebody with the database does to the trail is found,
// and the first bad row named.
func TestTampers(t *testing.T) {
	onBoth(t, func(r *rig) {
		n := map[string]int{"sqlite": 150, "postgres": 30}[r.Engine()]
		if full() {
			n = 1000
		}
		seed := uint64(time.Now().UnixNano())
		r.Logf("%d tampers, seed %d", n, seed)
		ctx := context.Background()
		r.trail(150, time.Minute)
		r.ok(r.Chain(ctx, false))
		mark, err := r.Checkpoint(ctx)
		r.ok(err)
		r.trail(3, time.Millisecond)
		if rep := r.verified(mark); rep.Rows != 150 || rep.Unchained != 3 {
			r.Fatalf("%+v", rep)
		}
		for i := range n {
			m := &tamperer{rig: r, Rand: rand.New(rand.NewPCG(seed, uint64(i))), last: 150}
			kind := tampers[i%len(tampers)]
			var want int64
			rep, err := r.Tampered(ctx, func(tx *sql.Tx) {
				m.tx = tx
				want = kind.do(m)
			}, mark)
			switch f := rep.Fault; {
			case err != nil:
				r.Errorf("%d: %s: %v", i, kind.name, err)
			case f == nil || f.Sequence != want || f.Sequence == 0 && f.ID != m.forged:
				r.Errorf("%d: %s: want sequence %d, got %+v", i, kind.name, want, f)
			case kind.damage != "" && f.Damage != kind.damage:
				r.Errorf("%d: %s: want %s, got %+v", i, kind.name, kind.damage, f)
			}
		}
		r.verified(mark)
	})
}

// tamperer has the database and not the key ring.
type tamperer struct {
	*rig
	*rand.Rand
	tx     *sql.Tx
	last   int64
	forged string // id of a row
}

func (m *tamperer) do(query string, args ...any) {
	m.Helper()
	if _, err := m.tx.Exec(query, args...); err != nil {
		m.Fatal(query, err)
	}
}

func (m *tamperer) scan(to any, query string, args ...any) {
	m.Helper()
	if err := m.tx.QueryRow(query, args...).Scan(to); err != nil {
		m.Fatal(query, err)
	}
}

// row is one that is linked, and pair two.
func (m *tamperer) row() int64 { return 1 + m.Int64N(m.last) }

func (m *tamperer) pair() (i, j int64) {
	i = 1 + m.Int64N(m.last-1)
	return i, i + 1 + m.Int64N(m.last-i)
}

func (m *tamperer) id(seq int64) (id string) {
	m.scan(&id, "SELECT row_id FROM audit_chain WHERE seq = $1", seq)
	return id
}

func (m *tamperer) hash(seq int64) (hash string) {
	if seq > 0 {
		m.scan(&hash, "SELECT hash FROM audit_chain WHERE seq = $1", seq)
	}
	return hash
}

// flip changes one bit, or makes something of nothing.
func (m *tamperer) flip(s string) string {
	if s == "" {
		return "x"
	}
	b := []byte(s)
	for i := m.IntN(len(b)); ; {
		if c := b[i] ^ 1<<m.IntN(7); c != 0 {
			b[i] = c
			return string(b)
		}
	}
}

// move gives the links from seq on other numbers.
func (m *tamperer) move(from, by int64) {
	m.do("UPDATE audit_chain SET seq = -seq - $1 WHERE seq >= $2", by, from)
	m.do("UPDATE audit_chain SET seq = -seq WHERE seq < 0")
}

// forge adds a row without a link, dated as another.
func (m *tamperer) forge(as int64) string {
	var at int64
	m.scan(&at, "SELECT at FROM audit WHERE id = $1", m.id(as))
	at += m.Int64N(1000)
	m.forged = store.AuditIDAt(time.UnixMicro(at))
	m.do("INSERT INTO audit (id, at, kind, subject) VALUES ($1, $2, 'signed_in', 'id-1')", m.forged, at)
	return m.forged
}

// tampers each return the lowest sequence that they harmed; 0 is none.
var tampers = []struct {
	name   string
	damage store.Damage // "": several fit
	do     func(m *tamperer) int64
}{
	{"a bit of a text of a row", "", func(m *tamperer) int64 {
		columns := []string{"id", "kind", "actor", "subject", "practice",
			"step", "factor", "reason", "initiator", "source"}
		seq, column := m.row(), columns[m.IntN(10)]
		var old string
		m.scan(&old, "SELECT "+column+" FROM audit WHERE id = $1", m.id(seq))
		m.do("UPDATE audit SET "+column+" = $1 WHERE id = $2", m.flip(old), m.id(seq))
		return seq
	}},
	{"a bit of a time", store.Altered, func(m *tamperer) int64 {
		seq := m.row()
		var old int64
		m.scan(&old, "SELECT at FROM audit WHERE id = $1", m.id(seq))
		m.do("UPDATE audit SET at = $1 WHERE id = $2", old^1<<m.IntN(62), m.id(seq))
		return seq
	}},
	{"a bit of a link", "", func(m *tamperer) int64 {
		seq, column := m.row(), []string{"hash", "row_id"}[m.IntN(2)]
		var old string
		m.scan(&old, "SELECT "+column+" FROM audit_chain WHERE seq = $1", seq)
		m.do("UPDATE audit_chain SET "+column+" = $1 WHERE seq = $2", m.flip(old), seq)
		return seq
	}},
	{"a bit of a number", "", func(m *tamperer) int64 {
		seq := m.row()
		to := seq ^ 1<<(8+m.IntN(56)) // beyond the others; the sign, too
		m.do("UPDATE audit_chain SET seq = $1 WHERE seq = $2", to, seq)
		return min(seq, to)
	}},
	{"a row deleted", store.Missing, func(m *tamperer) int64 {
		seq := m.row()
		m.do("DELETE FROM audit WHERE id = $1", m.id(seq))
		return seq
	}},
	{"a link deleted", store.Missing, func(m *tamperer) int64 {
		seq := m.row()
		m.do("DELETE FROM audit_chain WHERE seq = $1", seq)
		return seq
	}},
	{"a row and its link deleted", store.Missing, func(m *tamperer) int64 {
		seq := m.row()
		m.do("DELETE FROM audit WHERE id = $1", m.id(seq))
		m.do("DELETE FROM audit_chain WHERE seq = $1", seq)
		return seq
	}},
	{"a row deleted and the gap closed", "", func(m *tamperer) int64 {
		seq := 1 + m.Int64N(m.last-2)
		m.do("DELETE FROM audit WHERE id = $1", m.id(seq))
		m.do("DELETE FROM audit_chain WHERE seq = $1", seq)
		m.move(seq+1, -1)
		return seq
	}},
	{"the beginning deleted", store.Missing, func(m *tamperer) int64 {
		seq := m.row()
		m.do("DELETE FROM audit WHERE id IN (SELECT row_id FROM audit_chain WHERE seq <= $1)", seq)
		m.do("DELETE FROM audit_chain WHERE seq <= $1", seq)
		return 1
	}},
	{"the beginning deleted and the anchor forged", store.Forged, func(m *tamperer) int64 {
		seq := m.row()
		m.do("UPDATE audit_anchor SET seq = $1, hash = $2, mac = $2", seq, m.hash(seq))
		m.do("DELETE FROM audit WHERE id IN (SELECT row_id FROM audit_chain WHERE seq <= $1)", seq)
		m.do("DELETE FROM audit_chain WHERE seq <= $1", seq)
		return seq
	}},
	{"the end cut off", store.Missing, func(m *tamperer) int64 {
		seq := m.row()
		m.do("DELETE FROM audit WHERE id IN (SELECT row_id FROM audit_chain WHERE seq >= $1)", seq)
		m.do("DELETE FROM audit_chain WHERE seq >= $1", seq)
		return seq
	}},
	{"a row added to the past", store.Inserted, func(m *tamperer) int64 {
		m.forge(1 + m.Int64N(m.last/2))
		return 0
	}},
	{"a row added with a link at the end", store.Altered, func(m *tamperer) int64 {
		id := m.forge(m.row())
		m.do("INSERT INTO audit_chain (seq, row_id, hash) VALUES ($1, $2, $3)",
			m.last+1, id, store.PlainHash(m.hash(m.last), m.last+1, id))
		return m.last + 1
	}},
	{"a row added in between", store.Inserted, func(m *tamperer) int64 {
		seq := m.row()
		id := m.forge(seq)
		m.move(seq, 1)
		m.do("INSERT INTO audit_chain (seq, row_id, hash) VALUES ($1, $2, $3)",
			seq, id, store.PlainHash(m.hash(seq-1), seq, id))
		return seq
	}},
	{"a row added before all", store.Inserted, func(m *tamperer) int64 {
		id := m.forge(m.row())
		seq := -m.Int64N(1000)
		m.do("INSERT INTO audit_chain (seq, row_id, hash) VALUES ($1, $2, $3)",
			seq, id, store.PlainHash("", seq, id))
		return seq
	}},
	{"two links swapped", store.Reordered, func(m *tamperer) int64 {
		i, j := m.pair()
		m.do("UPDATE audit_chain SET seq = 0 WHERE seq = $1", i)
		m.do("UPDATE audit_chain SET seq = $1 WHERE seq = $2", i, j)
		m.do("UPDATE audit_chain SET seq = $1 WHERE seq = 0", j)
		return i
	}},
	{"two rows swapped under their links", store.Reordered, func(m *tamperer) int64 {
		i, j := m.pair()
		a, b := m.id(i), m.id(j)
		m.do("UPDATE audit_chain SET row_id = '' WHERE seq = $1", i)
		m.do("UPDATE audit_chain SET row_id = $1 WHERE seq = $2", a, j)
		m.do("UPDATE audit_chain SET row_id = $1 WHERE seq = $2", b, i)
		return i
	}},
	{"two rows' ids swapped", store.Altered, func(m *tamperer) int64 {
		i, j := m.pair()
		a, b := m.id(i), m.id(j)
		m.do("UPDATE audit SET id = '' WHERE id = $1", a)
		m.do("UPDATE audit SET id = $1 WHERE id = $2", a, b)
		m.do("UPDATE audit SET id = $1 WHERE id = ''", b)
		return i
	}},
	{"all rewritten from a row on, without the secret", store.Altered, func(m *tamperer) int64 {
		from := m.row()
		m.do("UPDATE audit SET subject = 'somebody else' WHERE id = $1", m.id(from))
		before := m.hash(from - 1)
		for seq := from; seq <= m.last; seq++ {
			before = store.PlainHash(before, seq, m.id(seq))
			m.do("UPDATE audit_chain SET hash = $1 WHERE seq = $2", before, seq)
		}
		return from
	}},
	{"the secret replaced", "", func(m *tamperer) int64 {
		m.do("DELETE FROM secrets WHERE name = 'audit-chain'")
		return 1
	}},
}

// Whoever has the key ring, too, can make a trail that fits: what the log says
// of the old one finds it.
func TestRewrittenWithTheRing(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		var marks []store.Checkpoint
		for range 3 {
			r.trail(10, time.Second)
			r.ok(r.Chain(ctx, true))
			m, err := r.Checkpoint(ctx)
			r.ok(err)
			marks = append(marks, m)
		}
		r.ok(r.Do("UPDATE audit SET subject = 'x' WHERE id = (SELECT row_id FROM audit_chain WHERE seq = 14)"))
		r.ok(r.Do("DELETE FROM audit_chain WHERE seq >= 14"))
		r.ok(r.Chain(ctx, true))
		if rep := r.verified(); rep.Rows != 30 {
			r.Errorf("%+v", rep)
		}
		for _, c := range []struct {
			name  string
			marks []store.Checkpoint
			want  string
		}{
			{"before it", marks[:1], ""},
			{"all", marks, "20 rewritten"},
			{"no MAC: the operator vouches", []store.Checkpoint{{Sequence: 30, Hash: marks[2].Hash}}, "30 rewritten"},
			{"made up", []store.Checkpoint{{Sequence: 20, Hash: marks[1].Hash, MAC: marks[0].MAC}}, "20 forged"},
		} {
			rep, err := r.Verify(ctx, c.marks)
			r.ok(err)
			got := ""
			if rep.Fault != nil {
				got = fmt.Sprint(rep.Fault.Sequence, " ", rep.Fault.Damage)
			}
			if got != c.want {
				r.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	})
}
