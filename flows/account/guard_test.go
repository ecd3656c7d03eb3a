package account_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

// memory is a GuardStore of one subject; the real ones are tested in
// provider/store, where several processes share them.
type memory struct {
	mu      sync.Mutex
	now     time.Time
	st      account.GuardState
	refused []account.Reason
	fault   error
}

func (m *memory) Now() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }

func (m *memory) ReadGuard(context.Context, account.Attempt) (account.GuardState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.st, m.fault
}

func (m *memory) ChargeGuard(_ context.Context, a account.Attempt) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now.Before(m.st.LockedUntil) || m.st.Failed[a.Factor]+m.st.Charged[a.Factor] >= account.MaxFailures {
		return 0, false, nil
	}
	m.st.Charged[a.Factor]++
	m.st.ChargeUntil = m.now.Add(account.ChargeFor)
	return m.st.Generation, true, nil
}

func (m *memory) LapseGuard(_ context.Context, a account.Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.Failed[a.Factor] += m.st.Charged[a.Factor]
	m.st.Charged[a.Factor] = 0
	m.st.Generation++
	m.lock(a)
	return nil
}

func (m *memory) lock(a account.Attempt) {
	if m.st.Failed[a.Factor] >= account.MaxFailures {
		m.st.LockedUntil = m.now.Add(account.LockFor)
	}
}

func (m *memory) ClearExpired(context.Context, string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.st.LockedUntil, m.st.Failed = time.Time{}, [3]int{}
	return nil
}

func (m *memory) SettleWrong(_ context.Context, l account.Lease, _ account.Reason) (account.GuardState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := l.Attempt().Factor
	m.st.Charged[f]--
	m.st.Failed[f]++
	m.st.Wrong[f]++
	m.lock(l.Attempt())
	return m.st, nil
}

func (m *memory) Release(context.Context, account.Lease) error { return nil }

func (m *memory) Refused(_ context.Context, _ account.Attempt, r account.Reason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = append(m.refused, r)
}

func newGuard() (account.Guard, *memory) {
	m := &memory{now: time.Unix(1e9, 0)}
	return account.Guard{Now: m.Now, Wait: func(_ context.Context, d time.Duration) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.now = m.now.Add(d)
		return nil
	}}, m
}

var attempt = account.Attempt{Subject: "a", Factor: account.Password, Step: "password", Source: "192.0.2.1"}

func TestGuardRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		state  func(*account.GuardState)
		source account.Source
		want   error
	}{
		{"nobody failed", func(*account.GuardState) {}, "192.0.2.1", nil},
		{"four failures", func(s *account.GuardState) { s.Failed[account.Password] = 4 }, "192.0.2.1", nil},
		{"locked", func(s *account.GuardState) { s.LockedUntil = time.Unix(1e9+1, 0) }, "192.0.2.1", account.ErrLocked},
		{"the lock is over this very instant", func(s *account.GuardState) { s.LockedUntil = time.Unix(1e9, 0) }, "192.0.2.1", nil},
		{"four failures and one in flight", func(s *account.GuardState) {
			s.Failed[account.Password], s.Charged[account.Password] = 4, 1
			s.ChargeUntil = time.Unix(1e9+10, 0)
		}, "192.0.2.1", account.ErrBusy},
		{"five in flight have lapsed: a crash counts", func(s *account.GuardState) {
			s.Charged[account.Password], s.ChargeUntil = 5, time.Unix(1e9, 0)
		}, "192.0.2.1", account.ErrLocked},
		{"a hundred wrong passwords", func(s *account.GuardState) { s.Wrong[account.Password] = 100 }, "192.0.2.1", account.ErrDisabled},
		{"wrong codes do not disable the password", func(s *account.GuardState) { s.Wrong[account.SecondFactor] = 10 }, "192.0.2.1", nil},
		{"twenty failures of the source", func(s *account.GuardState) { s.SourceFailures = 20 }, "192.0.2.1", account.ErrLimited},
		{"three accounts locked by the source", func(s *account.GuardState) { s.SourceLocks = 3 }, "192.0.2.1", account.ErrLimited},
		{"an exempt source", func(s *account.GuardState) { s.SourceFailures, s.SourceLocks = 99, 99 }, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, m := newGuard()
			tt.state(&m.st)
			a := attempt
			a.Source = tt.source
			l, err := g.Charge(t.Context(), m, a)
			if !errors.Is(err, tt.want) || l.Valid() != (tt.want == nil) {
				t.Fatalf("lease %v, error %v; want %v", l.Valid(), err, tt.want)
			}
			if (tt.want != nil) != (len(m.refused) == 1) {
				t.Errorf("refusals told: %v", m.refused)
			}
		})
	}
}

// A store that does not answer lets nobody in: never "allow without counting".
func TestGuardFailsClosed(t *testing.T) {
	g, m := newGuard()
	m.fault = errors.New("no connection")
	if l, err := g.Charge(t.Context(), m, attempt); l.Valid() || !errors.Is(err, m.fault) {
		t.Errorf("lease %v, error %v", l.Valid(), err)
	}
}

// However many guess at once, five are judged.
func TestGuardParallel(t *testing.T) {
	g, m := newGuard()
	g.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	var judged sync.Map
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			l, err := g.Charge(t.Context(), m, attempt)
			if err != nil {
				return
			}
			judged.Store(i, true)
			_, _ = m.SettleWrong(t.Context(), l, account.BadCredentials)
		})
	}
	wg.Wait()
	n := 0
	judged.Range(func(any, any) bool { n++; return true })
	if n != account.MaxFailures {
		t.Errorf("%d guesses were judged, want %d", n, account.MaxFailures)
	}
}
