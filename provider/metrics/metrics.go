// Package metrics counts what happens, for Prometheus. What concerns people is
// counted from committed events alone, so that it cannot disagree with the
// audit trail; requests and resources are counted by small hooks.
//
// Every label has a closed set of values, made at zero: an alert sees the
// first increase, and nobody outside can make series by the thousand. No label
// ever names a person, a practice, an address, a client or a key.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// prefix is that of all our metrics.
const prefix = "medximity_idp_"

// Metrics is all that this process counts. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	people   people
	gauges   *gauges

	flowsStarted, flowsFinished *counter
	oidcRequests, tokensIssued  *counter
	limited                     *counter
	mailDeliveries              *counter
	mailSeconds                 prometheus.Histogram
	hashSeconds, querySeconds   *prometheus.HistogramVec
	requestSeconds              *prometheus.HistogramVec
	inFlight, ready             prometheus.Gauge
}

// New returns metrics at zero, in a registry of their own with those of the Go
// runtime and the process.
func New() *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := factory{r}
	m := &Metrics{registry: r, people: newPeople(f), gauges: new(gauges),
		flowsStarted: f.counter("flows_started_total", "Sign-ins and recoveries begun.", flowKinds()),
		flowsFinished: f.counter("flows_finished_total", "Sign-ins and recoveries ended, by how.",
			flowKinds(), label{"result", []string{"done"}}),
		oidcRequests: f.counter("oidc_requests_total",
			"Requests to the protocol's endpoints, by how they were answered.",
			endpoints(), oidcErrors()),
		tokensIssued: f.counter("tokens_issued_total", "Answers with tokens, by what they were given for.",
			label{"grant", []string{"authorization_code", "refresh_token", "client_credentials"}}),
		limited: f.counter("rate_limited_requests_total", "Requests refused for their number.",
			label{"limiter", []string{"source", "account", "hashing"}}),
		mailDeliveries: f.counter("mail_deliveries_total", "Attempts to send a mail.",
			label{"template", []string{"reset", "locked", "password_reset", "password_changed", "support_request", "case_opened",
				"case_notice", "case_reply", "case_done",
				"passkey_added", "passkey_removed", "second_factor_added", "second_factor_removed", "second_factor_reset", "second_factor_held", "team",
				"transfer_offer", "transfer_offered", "transfer_agreed", "transfer_ended", "transfer_done",
				"backup_code_used", "backup_codes_made", "email_confirm_old", "email_confirm_new", "email_changed",
				"invite", "invited_known"}},
			label{"result", []string{"sent", "dropped", "failed"}}),
		mailSeconds: f.histogram("mail_delivery_seconds", "How long an attempt to send a mail took.",
			[]float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}),
		hashSeconds: f.histograms("password_hash_duration_seconds",
			"How long a password hash took, its wait not counted.",
			[]float64{.01, .025, .05, .075, .1, .25, .5, 1}, "op"),
		querySeconds: f.histograms("db_query_duration_seconds",
			"How long a statement took, by its name in our source.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5}, "query"),
		requestSeconds: f.histograms("http_request_duration_seconds", "How long a request took.",
			prometheus.DefBuckets, "route", "method", "code"),
		inFlight: f.gauge("http_requests_in_flight", "Requests being answered now."),
		ready:    f.gauge("ready", "1 while this replica should get requests."),
	}
	for _, op := range hashOps() {
		m.hashSeconds.WithLabelValues(op)
	}
	r.MustRegister(m.gauges)
	return m
}

// Handler serves the metrics, as text or OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Registry is for a host that serves metrics of its own with ours.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// FlowStarted counts a flow begun.
func (m *Metrics) FlowStarted(kind string) { m.flowsStarted.inc(kind) }

// FlowFinished counts a flow ended.
func (m *Metrics) FlowFinished(kind, result string) { m.flowsFinished.inc(kind, result) }

// OIDC counts a request to one of the protocol's endpoints, with the error
// code that it was answered with, or "".
func (m *Metrics) OIDC(endpoint, code string) {
	if code == "" {
		code = "none"
	}
	m.oidcRequests.inc(endpoint, code)
}

// TokenIssued counts an answer with tokens, by grant_type.
func (m *Metrics) TokenIssued(grant string) { m.tokensIssued.inc(grant) }

// Limited counts a request refused for its number, by the limit it met.
func (m *Metrics) Limited(limiter string) { m.limited.inc(limiter) }

// MailSent counts an attempt to send a mail.
func (m *Metrics) MailSent(template, result string, took time.Duration) {
	m.mailDeliveries.inc(template, result)
	m.mailSeconds.Observe(took.Seconds())
}

// Hashed counts a password hash: op is "hash" or "verify". It is
// account.Hasher's Observe.
func (m *Metrics) Hashed(op string, took time.Duration) {
	m.hashSeconds.WithLabelValues(known(hashOps(), op)).Observe(took.Seconds())
}

// Query counts a statement. It is store.Config's Queries; names come from our
// own source, so there is an end to them.
func (m *Metrics) Query(name string, took time.Duration, _ error) {
	m.querySeconds.WithLabelValues(name).Observe(took.Seconds())
}

// Ready says whether this replica should get requests.
func (m *Metrics) Ready(ready bool) {
	if ready {
		m.ready.Set(1)
		return
	}
	m.ready.Set(0)
}

func flowKinds() label {
	return label{"flow", []string{"login", "stepup", "enroll", "reset", "invite"}}
}
func hashOps() []string { return []string{"hash", "verify"} }

func endpoints() label {
	return label{"endpoint", []string{"authorize", "par", "token", "userinfo", "introspect", "revoke", "end_session",
		"discovery", "jwks"}}
}

// oidcErrors are the codes that we answer with (RFC 6749 sections 4.1.2.1 and
// 5.2, RFC 6750 section 3.1, OIDC Core section 3.1.2.6).
func oidcErrors() label {
	return label{"error", []string{"none", "access_denied", "account_selection_required",
		"consent_required", "insufficient_scope", "interaction_required", "invalid_client",
		"invalid_grant", "invalid_request", "invalid_request_uri", "invalid_scope", "invalid_target", "invalid_token",
		"login_required", "request_not_supported", "request_uri_not_supported",
		"registration_not_supported", "server_error", "temporarily_unavailable", "unauthorized_client",
		"unmet_authentication_requirements", "unsupported_grant_type", "unsupported_response_type",
		"unsupported_token_type"}}
}
