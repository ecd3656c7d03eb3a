package metrics

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are asked whenever the metrics are read. Nil ones are left out, and
// so is for once what answers with an error.
type Sources struct {
	Locked      func(context.Context) (int, error) // accounts that are locked now
	Sessions    func(context.Context) (int, error) // live ones
	Mails       func(context.Context) (queued, dead int, oldest time.Duration, err error)
	Cases       func(context.Context) (open map[string]int, overdue int, err error)
	Hashing     func() int64                         // waiting for a slot
	Keys        func() (signing, provided time.Time) // keys.Keys' Until
	Connections func() (used, most int)              // to the database
}

// Watch sets what the gauges show. It may be called once, at any time.
func (m *Metrics) Watch(s Sources) { m.gauges.sources.Store(&s) }

// askFor is how long a source may take: a slow database must not take the
// other metrics with it.
const askFor = 3 * time.Second

// gauges reads its sources anew for each scrape.
type gauges struct{ sources atomic.Pointer[Sources] }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

func lockedDesc() *prometheus.Desc {
	return describe("locked_accounts", "Accounts locked now, the same on every replica.")
}

func sessionsDesc() *prometheus.Desc {
	return describe("sessions_active", "Live sessions, the same on every replica.")
}

func mailsDesc() *prometheus.Desc {
	return describe("mail_queue_jobs", "Mails that wait (queued) or were given up (dead).", "state")
}

func oldestDesc() *prometheus.Desc {
	return describe("mail_queue_oldest_seconds", "How long the oldest mail has waited. A reset link lives for 3600.")
}

func casesDesc() *prometheus.Desc {
	return describe("support_cases", "Cases that are not closed, the same on every replica.", "state")
}

func overdueDesc() *prometheus.Desc {
	return describe("support_cases_overdue", "Cases whose answer was due, and is not there.")
}

func hashingDesc() *prometheus.Desc {
	return describe("password_hash_waiting", "Passwords that wait for a hashing slot.")
}

func keysDesc() *prometheus.Desc {
	return describe("signing_key_expiry_timestamp_seconds",
		"When the keys that sign now retire (signing), and when those published already do (published).", "state")
}

func connectionsDesc() *prometheus.Desc {
	return describe("db_pool_connections", "Connections to the database, in use (used) and at most (max).", "state")
}

// Describe names all gauges.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lockedDesc(), sessionsDesc(), mailsDesc(), oldestDesc(), casesDesc(), overdueDesc(), hashingDesc(),
		keysDesc(), connectionsDesc()} {
		ch <- d
	}
}

// Collect asks the sources.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	s := g.sources.Load()
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, ask func(context.Context) (int, error)) {
		if ask == nil {
			return
		}
		if n, err := ask(ctx); err == nil {
			set(d, float64(n))
		}
	}
	count(lockedDesc(), s.Locked)
	count(sessionsDesc(), s.Sessions)
	if s.Mails != nil {
		if queued, dead, oldest, err := s.Mails(ctx); err == nil {
			set(mailsDesc(), float64(queued), "queued")
			set(mailsDesc(), float64(dead), "dead")
			set(oldestDesc(), oldest.Seconds())
		}
	}
	if s.Cases != nil {
		if open, overdue, err := s.Cases(ctx); err == nil {
			for state, n := range open {
				set(casesDesc(), float64(n), state)
			}
			set(overdueDesc(), float64(overdue))
		}
	}
	if s.Hashing != nil {
		set(hashingDesc(), float64(s.Hashing()))
	}
	if s.Keys != nil {
		signing, provided := s.Keys()
		set(keysDesc(), float64(signing.Unix()), "signing")
		set(keysDesc(), float64(provided.Unix()), "published")
	}
	if s.Connections != nil {
		used, most := s.Connections()
		set(connectionsDesc(), float64(used), "used")
		set(connectionsDesc(), float64(most), "max")
	}
}
