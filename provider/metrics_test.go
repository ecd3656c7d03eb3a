package provider

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
)

// The closed sets of labels have every mail, every kind of flow and every step
// that judges a secret: none is counted as "other".
func TestMetricsKnowWhatThereIs(t *testing.T) {
	h := newHouse(t, "https://id.example")
	files, err := filepath.Glob("../templates/mail/[a-z]*.txt")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	for _, f := range files {
		h.Metrics.MailSent(strings.TrimSuffix(filepath.Base(f), ".txt"), "sent", time.Second)
	}
	for kind := range DefaultPolicy() {
		h.Metrics.FlowStarted(string(kind))
	}
	h.phone("id-grace")
	b := h.browser()
	page := b.signIn(b.get("/login"), "grace", rightPassword)
	b.post("/login/"+string(flows.TOTP{}.Name()), "flow", page.flow(), "otp", "000000")
	b.signIn(b.get("/login"), "grace", "wrong")
	w := httptest.NewRecorder()
	h.Operator().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, `="other"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			t.Errorf("of no known kind: %s", line)
		}
	}
}
