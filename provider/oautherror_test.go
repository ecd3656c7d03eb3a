package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/ory/fosite"

	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func TestExplain(t *testing.T) {
	tests := []struct {
		err    error
		status int
		want   string
	}{
		{invalidScope("x"), 400, "invalid_scope"},
		{fosite.ErrServerError.WithWrap(store.ErrReplayed), 400, "invalid_grant"}, // fosite.md 4.3
		{fosite.ErrInvalidRequest.WithWrap(store.ErrReused), 400, "invalid_grant"},
		{fosite.ErrServerError.WithWrap(store.ErrGone), 400, "invalid_grant"},
		{fosite.ErrInactiveToken, 400, "invalid_grant"},
		{fosite.ErrNotFound, 400, "invalid_grant"},
		{fosite.ErrInvalidRequest, 400, "invalid_request"},
		{fosite.ErrInvalidScope, 400, "invalid_scope"},
		{fosite.ErrUnauthorizedClient, 400, "unauthorized_client"},
		{fosite.ErrUnsupportedResponseType, 400, "unsupported_response_type"},
		{fosite.ErrUnsupportedResponseMode, 400, "invalid_request"},
		{fosite.ErrMisconfiguration, 500, "server_error"},
		{fosite.ErrServerError.WithWrap(directory.ErrUnavailable), 503, "temporarily_unavailable"},
		{fmt.Errorf("ldap: %w", directory.ErrUnavailable), 503, "temporarily_unavailable"},
		{context.DeadlineExceeded, 503, "temporarily_unavailable"},
		{errors.New("disk full"), 500, "server_error"},
	}
	for _, test := range tests {
		e := explain(test.err)
		if e.Status != test.status || e.Code != test.want || wire(e.Description) != e.Description {
			t.Errorf("%v: %d %s %q", test.err, e.Status, e.Code, e.Description)
		}
	}
}

func TestWire(t *testing.T) {
	if got := wire("a \"b\" \\ \t\n \u00e9 ~"); got != "a ?b? ? ?? ? ~" {
		t.Error(got)
	}
}

func TestFaultsAreCountedAndToldLittle(t *testing.T) {
	g := newRig(t)
	counted := map[string]int{}
	g.Count = func(endpoint, code string) { counted[endpoint+" "+code]++ }
	token := g.tokens()["refresh_token"].(string)
	g.people.away = fmt.Errorf("dial ldap.internal: %w", directory.ErrUnavailable)
	status, body := g.refresh(token)
	wants(t, status, body, 503, "temporarily_unavailable")
	w := httptest.NewRecorder()
	g.fail(w, httptest.NewRequest("POST", "/token", nil), "token", g.people.away)
	if w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Error(w.Header())
	}
	g.people.away = nil
	if status, body = g.refresh(token); status != 200 {
		t.Error("an outage used the token up:", status, body)
	}
	if counted["authorize "] != 1 || counted["token "] != 2 || counted["token temporarily_unavailable"] != 2 {
		t.Error(counted)
	}
}

// RFC 8037 tokens hash with SHA-512 (errata of OIDC Core section 3.1.3.6).
func TestAtHash(t *testing.T) {
	if n := len(atHash("EdDSA", "t")); n != 43 {
		t.Error("EdDSA:", n)
	}
	// The example of OIDC Core appendix A.3.
	if got := atHash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"); got != "77QmUPtjPfzWtF2AnpK9RQ" {
		t.Error(got)
	}
}
