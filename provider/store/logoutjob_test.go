package store_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// apps are those that were told, and how they take it.
type apps struct {
	mu   sync.Mutex
	told []store.Logout
	fail error
}

func (a *apps) tell(_ context.Context, l store.Logout) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, l)
	return a.fail
}

func (a *apps) heard() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.told)
}

// leaving is Ann in two browsers, signed in to apps from both, and Bob.
type leaving struct {
	*rig
	id          account.ID
	here, there *store.Session
	token       string // of here
}

func newLeaving(r *rig) *leaving {
	r.Helper()
	for _, c := range []store.Client{{ID: "chart", BackchannelLogoutURI: "https://chart.example/out"},
		{ID: "desk", BackchannelLogoutURI: "https://desk.example/out"}, {ID: "deaf"}} {
		r.ok(r.PutClient(context.Background(), c, "test"))
	}
	l := &leaving{rig: r, id: r.person("ann")}
	l.token = r.signIn(l.id)
	var err error
	l.here, err = r.Session(context.Background(), l.token)
	r.ok(err)
	l.there = r.session(l.id)
	l.enter(l.here, "chart")
	l.enter(l.here, "chart") // once more, which is no second app
	l.enter(l.here, "deaf")
	l.enter(l.there, "desk")
	l.enter(r.session(r.person("bob")), "chart")
	return l
}

// enter signs in to an app, and returns its family.
func (l *leaving) enter(s *store.Session, client string) string {
	l.Helper()
	g := store.Grant{ID: account.NewSecret(), Client: client, Account: s.Account, Epoch: s.Epoch, Session: s.ID,
		CreatedAt: l.Now(), ExpiresAt: l.Now().Add(time.Hour)}
	l.ok(l.RedeemCode(context.Background(), &g, account.HashSecret(g.ID), l.tokens()))
	return g.ID
}

// takes has somebody sign in to the browser of here.
func (l *leaving) takes(id account.ID) *store.Session {
	l.Helper()
	ctx := context.Background()
	f := l.login("mine")
	f.Account = id
	n := newSession()
	n.Replaces = l.token
	l.ok(l.Finish(ctx, f, progress(l.charge(attempt(id))), n))
	s, err := l.Session(ctx, n.Token)
	l.ok(err)
	return s
}

// queued are the apps that are to be told.
func (l *leaving) queued() int {
	l.Helper()
	return l.count("SELECT COUNT(*) FROM river_job WHERE kind = 'logout'")
}

// Whatever ends a session has its apps told, in its own transaction, and only
// them: oidcc-backchannel-*, and the epoch that ends all at once.
func TestEveryEndingTellsTheApps(t *testing.T) {
	ctx := context.Background()
	hash := "$hash"
	for name, c := range map[string]struct {
		end                  func(l *leaving)
		hereChart, thereDesk bool
	}{
		"signed out": {func(l *leaving) { l.ok(l.EndSession(ctx, l.here.ID, account.SignedOut)) }, true, false},
		"signed out twice": {func(l *leaving) {
			l.ok(l.EndSession(ctx, l.here.ID, account.SignedOut))
			l.ok(l.EndSession(ctx, l.here.ID, account.SignedOut))
		}, true, false},
		"signed out of what was over": {func(l *leaving) {
			l.ok(l.Do("UPDATE sessions SET expires_at = 1 WHERE id = $1", l.here.ID))
			s, err := l.SessionNamed(ctx, l.id, l.here.SID())
			l.ok(err)
			l.ok(l.SignOut(ctx, s))
			l.ok(l.SignOut(ctx, s))
		}, true, false},
		"ended in the list": {func(l *leaving) {
			_, err := l.EndSessionByID(ctx, l.there, l.here.ID, "")
			l.ok(err)
		}, true, false},
		"all others ended": {func(l *leaving) {
			_, err := l.EndOtherSessions(ctx, l.here, "")
			l.ok(err)
		}, false, true},
		"all others ended, which were over": {func(l *leaving) {
			l.ok(l.Do("UPDATE sessions SET idle = 1 WHERE id = $1", l.there.ID))
			n, err := l.EndOtherSessions(ctx, l.here, "")
			if l.ok(err); n != 0 {
				l.Error("not over")
			}
		}, false, true},
		"a new password": {func(l *leaving) {
			l.ok(l.Advance(ctx, l.raising(flows.Enroll, l.here), flows.Progress{Hash: hash}))
		}, false, true},
		"a new password, the session raised": {func(l *leaving) {
			n := newSession()
			l.ok(l.Finish(ctx, l.raising(flows.Enroll, l.here), flows.Progress{Hash: hash}, n))
			s, err := l.Session(ctx, n.Token)
			l.ok(err)
			if l.queued() != 1 {
				l.Errorf("%d told", l.queued())
			}
			l.ok(l.EndSession(ctx, s.ID, account.SignedOut)) // by the sid that its apps know
		}, true, true},
		"a reset":  {func(l *leaving) { l.reset(l.id, hash) }, true, true},
		"disabled": {func(l *leaving) { l.ok(l.SetDisabled(ctx, l.id, true, "op")) }, true, true},
		"held": {func(l *leaving) {
			code := account.Attempt{Subject: string(l.id), Factor: account.SecondFactor}
			l.wrong(code, 5)
			l.Move(account.LockFor)
			l.wrong(code, 5)
		}, true, true},
		"this was not me": {func(l *leaving) {
			l.ok(l.Do("INSERT INTO disavowals (hash, account, template, expires_at) VALUES ($1, $2, 'x', $3)",
				[]byte("hash"), string(l.id), l.Now().Add(time.Hour).UnixMicro()))
			_, err := l.Disavow(ctx, []byte("hash"), "")
			l.ok(err)
		}, true, true},
		"tokens that are over by themselves": {func(l *leaving) {
			l.ok(l.Do("UPDATE grants SET expires_at = 1"))
			l.ok(l.EndSession(ctx, l.here.ID, account.SignedOut))
		}, true, false},
		"raised": {func(l *leaving) {
			l.ok(l.Finish(ctx, l.raising(flows.StepUp, l.here), progress(l.charge(attempt(l.id))), newSession()))
		}, false, false},
		"replaced":               {func(l *leaving) { l.ok(l.EndSession(ctx, l.here.ID, account.Replaced)) }, false, false},
		"somebody else signs in": {func(l *leaving) { l.takes(l.person("carl")) }, true, false},
		"signed in anew, and out": {func(l *leaving) {
			s := l.takes(l.id)
			if l.queued() > 0 {
				l.Error("told before")
			}
			l.ok(l.EndSession(ctx, s.ID, account.SignedOut)) // by the sid that its apps know
		}, true, false},
		"revoked by an app": {func(l *leaving) { l.ok(l.RevokeGrant(ctx, l.enter(l.here, "chart"), account.ClientAsked)) }, false, false},
		"registered no more": {func(l *leaving) {
			l.ok(l.RemoveClient(ctx, "chart", "test"))
			l.ok(l.EndSession(ctx, l.here.ID, account.SignedOut))
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				l := newLeaving(r)
				var want []store.Logout
				if c.hereChart {
					want = append(want, store.Logout{Client: "chart", Account: l.id, SID: l.here.SID()})
				}
				if c.thereDesk {
					want = append(want, store.Logout{Client: "desk", Account: l.id, SID: l.there.SID()})
				}
				c.end(l)
				if n := l.queued(); n != len(want) {
					r.Errorf("%d to be told, want %d", n, len(want))
				}
				a := &apps{}
				r.work(store.Workers{TellApp: a.tell})
				r.until("told", func() bool { return a.heard() >= len(want) })
				slices.SortFunc(a.told, func(a, b store.Logout) int { return cmp.Compare(a.Client, b.Client) })
				if diff := gocmp.Diff(want, a.told); diff != "" {
					r.Error(diff)
				}
			})
		})
	}
}

// An app that does not listen is told again, and given up in the end; one that
// will never listen, at once.
func TestAnAppThatDoesNotListen(t *testing.T) {
	onBoth(t, func(r *rig) {
		l := newLeaving(r)
		a := &apps{fail: errors.New("connection refused")}
		r.ok(r.EndSession(context.Background(), l.here.ID, account.SignedOut))
		r.work(store.Workers{TellApp: a.tell})
		r.until("told again", func() bool { return a.heard() == 2 })
		a.mu.Lock()
		a.fail = refusal{}
		a.mu.Unlock()
		r.ok(r.EndSession(context.Background(), l.there.ID, account.SignedOut))
		r.until("given up", func() bool {
			return r.count("SELECT COUNT(*) FROM river_job WHERE kind = 'logout' AND state = 'completed'") == 1
		})
		if n := r.count("SELECT COUNT(*) FROM river_job WHERE kind = 'logout' AND max_attempts = 5"); n != 2 {
			r.Errorf("%d jobs of five attempts", n)
		}
	})
}

// What ends nothing costs nothing.
func TestNobodyIsToldForNothing(t *testing.T) {
	onBoth(t, func(r *rig) {
		l := newLeaving(r)
		r.asked()
		r.signIn(l.id)
		r.ok(r.Finish(context.Background(), r.raising(flows.StepUp, l.here), progress(r.charge(attempt(l.id))), newSession()))
		if slices.Contains(r.asked(), "AppsLeft") {
			r.Error("apps were looked for")
		}
	})
}

// An app whose tokens are revoked is one that the person is signed in to yet; when
// they signed out they are signed in to none.
func TestAppsOfASession(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx, l := context.Background(), newLeaving(r)
		of := func(s *store.Session) (ids []string) {
			all, err := l.AppsOf(ctx, s)
			l.ok(err)
			for _, c := range all {
				ids = append(ids, c.ID)
			}
			return ids
		}
		l.ok(l.RevokeGrant(ctx, l.enter(l.here, "desk"), account.ReuseSeen))
		if diff := gocmp.Diff([]string{"chart", "deaf", "desk"}, of(l.here)); diff != "" {
			l.Error(diff)
		}
		l.ok(l.SignOut(ctx, l.here))
		if ids := of(l.here); len(ids) > 0 {
			l.Errorf("signed out, and in to %v", ids)
		}
		if diff := gocmp.Diff([]string{"desk"}, of(l.there)); diff != "" {
			l.Error(diff)
		}
	})
}
