package provider

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

// essential is a claims parameter that wants one of the classes, and no other.
func essential(classes ...string) string {
	values, _ := json.Marshal(classes)
	return `{"id_token":{"acr":{"essential":true,"values":` + string(values) + `}}}`
}

// An essential acr is reached or the sign-in failed (OIDC Core section 5.5.1.1);
// and the app is told one of the classes that it named.
func TestEssentialClass(t *testing.T) {
	const one, two, phr = flows.ACR1FA, flows.ACR2FA, flows.ACRPhr
	for _, tt := range []struct {
		name   string
		wanted []string
		has    string
		want   string // the acr that the app is told, or what is asked
	}{
		{"a code, and a passkey is wanted", []string{phr}, two, "anew"},
		{"a password, and a passkey is wanted", []string{phr}, one, "more"},
		{"a passkey, as wanted", []string{phr}, phr, phr},
		{"a passkey is two factors", []string{two}, phr, two},
		{"the highest that is named", []string{one, two}, phr, two},
		{"whichever of both", []string{two, phr}, two, two},
		{"whichever of both, by a passkey", []string{two, phr}, phr, phr},
		{"one factor, by two", []string{one}, two, one},
		{"any", nil, phr, phr},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.session = as(g.session, tt.has)
			q := ask()
			if tt.wanted != nil {
				q.Set("claims", essential(tt.wanted...))
			}
			w := g.get(q)
			got := outcome(t, g, w)
			if got == "code" {
				_, body := g.exchange(answered(t, w).Get("code"))
				got, _ = g.claims(body["id_token"])["acr"].(string)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Whoever was asked, and signed in by something less, is not let in by it.
func TestEssentialClassNotReached(t *testing.T) {
	for has, want := range map[string]string{flows.ACRPhr: "code", flows.ACR2FA: "unmet_authentication_requirements",
		flows.ACR1FA: "interaction_required"} {
		g := newRig(t)
		req, err := g.parse(httptest.NewRequest("GET", "/authorize?"+ask("claims", essential(flows.ACRPhr)).Encode(), nil))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := g.resume(w, httptest.NewRequest("GET", "/", nil), req.flow(), as(g.session, has)); err != nil {
			t.Fatal(err)
		}
		if got := outcome(t, g, w); got != want {
			t.Errorf("%s: got %s, want %s", has, got, want)
		}
	}
}

// as is the session of another class.
func as(s *store.Session, acr string) *store.Session {
	is := *s
	is.ACR = acr
	return &is
}
