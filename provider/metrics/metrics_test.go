package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/medximity/idp/flows/account"
)

// scrape returns every series by its name and labels.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	series := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && strings.HasPrefix(line, prefix) {
			series[strings.TrimPrefix(line[:i], prefix)] = strings.TrimSpace(line[i:])
		}
	}
	return series
}

func watched() *Metrics {
	m := New()
	m.Watch(Sources{
		Locked:      func(context.Context) (int, error) { return 2, nil },
		Sessions:    func(context.Context) (int, error) { return 0, errors.New("down") },
		Mails:       func(context.Context) (int, int, time.Duration, error) { return 3, 1, time.Minute, nil },
		Hashing:     func() int64 { return 7 },
		Keys:        func() (time.Time, time.Time) { return time.Unix(100, 0), time.Unix(200, 0) },
		Connections: func() (int, int) { return 4, 16 },
	})
	return m
}

func TestLint(t *testing.T) {
	m := watched()
	m.HTTP(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	m.Query("ReadGuard", time.Millisecond, nil)
	problems, err := testutil.GatherAndLint(m.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name  string
		event account.Event
		moves []string
	}{
		{"a wrong password", account.Event{Kind: account.SignInFailed, Step: "password", Factor: account.Password, Reason: account.BadCredentials},
			[]string{`login_attempts_total{outcome="failed",step="password"}`, `login_failures_total{factor="password",reason="bad_credentials"}`,
				`audit_events_total{event="sign_in_failed"}`}},
		{"refused, so not audited", account.Event{Kind: account.SignInRefused, Step: "password", Factor: account.Password, Reason: account.LockedOut},
			[]string{`login_attempts_total{outcome="refused",step="password"}`, `login_failures_total{factor="password",reason="locked"}`}},
		{"signed in", account.Event{Kind: account.SignedIn, Methods: []string{"pwd"}},
			[]string{`login_attempts_total{outcome="passed",step="password"}`, `logins_total{method="password"}`, `audit_events_total{event="signed_in"}`}},
		{"signed in after a lock", account.Event{Kind: account.SignedIn, Methods: []string{"pwd"}, Took: 31 * time.Minute},
			[]string{`login_attempts_total{outcome="passed",step="password"}`, `logins_total{method="password"}`, `audit_events_total{event="signed_in"}`,
				`lockout_recovery_seconds_count`}},
		{"signed in with a code", account.Event{Kind: account.SignedIn, Step: "totp", Methods: []string{"pwd", "otp", "mfa"}},
			[]string{`login_attempts_total{outcome="passed",step="password"}`, `logins_total{method="totp"}`, `audit_events_total{event="signed_in"}`}},
		{"signed in with a backup code", account.Event{Kind: account.SignedIn, Step: "backup-code", Methods: []string{"pwd", "otp", "mfa"}},
			[]string{`login_attempts_total{outcome="passed",step="password"}`, `logins_total{method="backup_code"}`, `audit_events_total{event="signed_in"}`}},
		{"a code of a slow clock", account.Event{Kind: account.CodeAccepted, Step: "totp", Offset: -1},
			[]string{`login_attempts_total{outcome="passed",step="totp"}`, `totp_accepted_offset_total{offset="-1"}`, `audit_events_total{event="code_accepted"}`}},
		{"a replay", account.Event{Kind: account.SignInFailed, Step: "totp", Factor: account.SecondFactor, Reason: account.ReplayedCode},
			[]string{`login_attempts_total{outcome="failed",step="totp"}`, `login_failures_total{factor="second_factor",reason="replayed_code"}`,
				`audit_events_total{event="sign_in_failed"}`}},
		{"a backup code used", account.Event{Kind: account.BackupUsed, Step: "backup-code"},
			[]string{`login_attempts_total{outcome="passed",step="backup-code"}`, `backup_codes_used_total`, `audit_events_total{event="backup_code_used"}`}},
		{"held", account.Event{Kind: account.SecondHeld, Step: "totp", Factor: account.SecondFactor},
			[]string{`second_factor_holds_total`, `audit_events_total{event="second_factor_held"}`}},
		{"an authenticator added", account.Event{Kind: account.SecondAdded},
			[]string{`second_factor_changes_total{change="added",method="totp"}`, `audit_events_total{event="second_factor_added"}`}},
		{"reset by Support", account.Event{Kind: account.SecondReset, By: account.BySupport},
			[]string{`second_factor_resets_total{by="support"}`, `audit_events_total{event="second_factor_reset"}`}},
		{"disavowed", account.Event{Kind: account.SessionEnded, Reason: account.NotMe},
			[]string{`sessions_revoked_total{reason="disavowed"}`, `audit_events_total{event="session_ended"}`}},
		{"locked", account.Event{Kind: account.Locked, Step: "password"},
			[]string{`lockouts_total{step="password"}`, `audit_events_total{event="locked"}`}},
		{"unlocked by a reset", account.Event{Kind: account.LockCleared, By: account.ByReset},
			[]string{`lockouts_cleared_total{by="reset"}`, `audit_events_total{event="lock_cleared"}`}},
		{"a reset asked for", account.Event{Kind: account.ResetRequested, Reason: account.NoAccount},
			[]string{`password_reset_requests_total{result="no_account"}`, `audit_events_total{event="reset_requested"}`}},
		{"an old link", account.Event{Kind: account.ResetOpened, Reason: account.Superseded},
			[]string{`password_reset_links_total{result="superseded"}`, `audit_events_total{event="reset_opened"}`}},
		{"a made-up link, not audited", account.Event{Kind: account.ResetOpened, Reason: account.Unknown},
			[]string{`password_reset_links_total{result="unknown"}`}},
		{"a reset done", account.Event{Kind: account.ResetCompleted, By: account.BySelf, Took: time.Minute},
			[]string{`password_resets_completed_total{initiator="self"}`, `password_reset_completion_seconds_count`, `audit_events_total{event="reset_completed"}`}},
		{"an invitation", account.Event{Kind: account.Invited, Reason: account.HasAccount},
			[]string{`invitations_total{result="has_account"}`, `audit_events_total{event="invited"}`}},
		{"an invitation opened", account.Event{Kind: account.InviteOpened, Reason: account.Taken},
			[]string{`invitation_links_total{result="taken"}`, `audit_events_total{event="invite_opened"}`}},
		{"a made-up invitation, not audited", account.Event{Kind: account.InviteOpened, Reason: account.Unknown},
			[]string{`invitation_links_total{result="unknown"}`}},
		{"an invitation accepted", account.Event{Kind: account.InviteAccepted, Took: time.Hour},
			[]string{`invitation_acceptance_seconds_count`, `audit_events_total{event="invite_accepted"}`}},
		{"signed out", account.Event{Kind: account.SessionEnded, Reason: account.SignedOut},
			[]string{`sessions_revoked_total{reason="signed_out"}`, `audit_events_total{event="session_ended"}`}},
		{"a refresh token twice", account.Event{Kind: account.GrantRevoked, Reason: account.ReuseSeen},
			[]string{`refresh_token_reuse_total`, `audit_events_total{event="grant_revoked"}`}},
		{"a token revoked by its client", account.Event{Kind: account.GrantRevoked, Reason: account.ClientAsked},
			[]string{`audit_events_total{event="grant_revoked"}`}},
		{"something new", account.Event{Kind: "never heard of"}, []string{`audit_events_total{event="other"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New()
			before := scrape(t, m)
			m.Observe(c.event)
			after := scrape(t, m)
			moved := map[string]bool{}
			for s, v := range after {
				if v == "1" && before[s] != "1" && !strings.Contains(s, "_bucket") {
					moved[s] = true
				}
			}
			for _, s := range c.moves {
				if !moved[s] {
					t.Errorf("%s did not move", s)
				}
				if before[s] != "0" && c.name != "something new" {
					t.Errorf("%s was not made at zero", s)
				}
				delete(moved, s)
			}
			if len(moved) > 0 {
				t.Errorf("moved too: %v", moved)
			}
		})
	}
}

func TestGauges(t *testing.T) {
	got := scrape(t, watched())
	for series, want := range map[string]string{
		`locked_accounts`:                                         "2",
		`mail_queue_jobs{state="queued"}`:                         "3",
		`mail_queue_jobs{state="dead"}`:                           "1",
		`mail_queue_oldest_seconds`:                               "60",
		`password_hash_waiting`:                                   "7",
		`signing_key_expiry_timestamp_seconds{state="signing"}`:   "100",
		`signing_key_expiry_timestamp_seconds{state="published"}`: "200",
		`db_pool_connections{state="used"}`:                       "4",
		`ready`:                                                   "0",
		`oidc_requests_total{endpoint="token",error="none"}`:      "0",
		`password_hash_duration_seconds_count{op="verify"}`:       "0",
		`mail_deliveries_total{result="sent",template="reset"}`:   "0",
		`tokens_issued_total{grant="refresh_token"}`:              "0",
		`rate_limited_requests_total{limiter="source"}`:           "0",
		`flows_finished_total{flow="login",result="done"}`:        "0",
	} {
		if got[series] != want {
			t.Errorf("%s = %q, want %s", series, got[series], want)
		}
	}
	if v, ok := got["sessions_active"]; ok {
		t.Errorf("a source that is down says %s", v)
	}
}

// A stranger may ask for anything; the series that he can make are numbered.
func TestSeriesAreBounded(t *testing.T) {
	m := New()
	mux := http.NewServeMux()
	for _, p := range []string{"GET /{$}", "GET /login", "POST /login/{step}", "/token", "/"} {
		mux.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader([]int{200, 303, 404, 503}[len(r.URL.Path)%4])
		})
	}
	h := m.HTTP(mux)
	flood := func(from, to int) int {
		for i := from; i < to; i++ {
			for _, method := range []string{"GET", "POST", "PUT", "HEAD", fmt.Sprintf("M%d", i)} {
				for _, path := range []string{"/login", "/login/", "/token", "/", "/" + strings.Repeat("x", i%9)} {
					r := httptest.NewRequest(method, path, nil)
					if strings.HasSuffix(path, "n/") {
						r.URL.Path += fmt.Sprint(i)
					}
					h.ServeHTTP(httptest.NewRecorder(), r)
				}
			}
			s := fmt.Sprint(i)
			m.OIDC(s, s)
			m.FlowFinished(s, s)
			m.Limited(s)
			m.MailSent(s, s, 0)
			m.Hashed(s, 0)
			m.Observe(account.Event{Kind: account.SignInFailed, Step: s, Reason: account.Reason(s)})
		}
		return len(scrape(t, m))
	}
	if some, many := flood(0, 120), flood(120, 600); some != many {
		t.Errorf("%d series grew to %d", some, many)
	}
}

func TestHTTP(t *testing.T) {
	m := New()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/{step}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) })
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() })
	h := m.HTTP(mux)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/login/password?x=1", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/ok", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/nowhere", nil))
	got := scrape(t, m)
	for _, series := range []string{
		`http_request_duration_seconds_count{code="4xx",method="POST",route="/login/{step}"}`,
		`http_request_duration_seconds_count{code="2xx",method="GET",route="/ok"}`,
		`http_request_duration_seconds_count{code="4xx",method="GET",route="none"}`,
	} {
		if got[series] != "1" {
			t.Errorf("%s = %q", series, got[series])
		}
	}
	if got["http_requests_in_flight"] != "0" {
		t.Errorf("in flight: %s", got["http_requests_in_flight"])
	}
}
