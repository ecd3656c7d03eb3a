package store_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

var claims = store.Claims{Name: "Grace Okafor", Practice: "Riverside Family Care", NPI: "1234567893", Username: "grace",
	Email: "grace@new.example", Happened: "Lost my phone."}

// opened opens a case, and returns its number and the hash of its link.
func (r *rig) opened(c store.Claims) (id string, hash []byte) {
	r.Helper()
	id, err := r.OpenCase(context.Background(), c, r.Now().Add(24*time.Hour), "en", "192.0.2.7")
	r.ok(err)
	r.ok(r.Scan("SELECT token_hash FROM cases WHERE id = $1", &hash, id))
	return id, hash
}

// A case is confirmed and withdrawn by its link, each once; and nothing of what
// was said is in the clear, nor there at all once it is withdrawn.
func TestCase(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hash := r.opened(claims)
		c, err := r.CaseByLink(ctx, hash)
		r.ok(err)
		if c.ID != id || c.State != flows.CaseOpen || !c.Confirmed.IsZero() || c.State.Closed() || c.Due.Sub(c.Opened).Round(time.Minute) != 24*time.Hour {
			r.Errorf("%+v", c)
		}
		var doc []byte
		r.ok(r.Scan("SELECT claims FROM cases WHERE id = $1", &doc, id))
		if len(doc) == 0 || bytes.Contains(doc, []byte("Grace")) || bytes.Contains(doc, []byte("1234567893")) {
			r.Errorf("claims are kept as %q", doc)
		}
		for n := range 2 {
			if was, err := r.ConfirmCase(ctx, hash, ""); was != (n == 0) || err != nil {
				r.Errorf("confirmed: %v, %v", was, err)
			}
		}
		for n := range 2 {
			if was, err := r.WithdrawCase(ctx, hash, ""); was != (n == 0) || err != nil {
				r.Errorf("withdrawn: %v, %v", was, err)
			}
		}
		if was, err := r.ConfirmCase(ctx, hash, ""); was || err != nil {
			r.Errorf("confirmed after it was withdrawn: %v, %v", was, err)
		}
		if n := r.count("SELECT COUNT(*) FROM cases WHERE npi_hash IS NULL AND claims = $1", []byte{}); n != 1 {
			r.Error("what was said is kept")
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE step = $1 AND kind IN ('support_asked', 'case_confirmed', 'case_withdrawn')", id); n != 3 {
			r.Errorf("%d rows in the trail", n)
		}
		if c, err := r.CaseByLink(ctx, account.HashSecret("nobody's")); c != nil || err != nil {
			r.Errorf("a link that nobody has: %+v, %v", c, err)
		}
	})
}

// Cases of one NPI or address are seen to be of one; of none, they are not.
func TestCasesOfOnePerson(t *testing.T) {
	onBoth(t, func(r *rig) {
		other := claims
		other.NPI, other.Email = "", "other@new.example"
		r.opened(claims)
		r.opened(claims)
		r.opened(other)
		r.opened(other)
		if n := r.count("SELECT COUNT(DISTINCT npi_hash) FROM cases"); n != 1 {
			r.Errorf("%d NPIs", n)
		}
		if n := r.count("SELECT COUNT(*) FROM cases WHERE npi_hash IS NULL"); n != 2 {
			r.Errorf("%d cases without an NPI", n)
		}
		if n := r.count("SELECT COUNT(DISTINCT email_hash) FROM cases"); n != 2 {
			r.Errorf("%d addresses", n)
		}
	})
}

// The form does not fill a stranger's mailbox: three links a day, and the desk
// hears of every case.
func TestCasesMailAnAddressThreeTimesADay(t *testing.T) {
	onBoth(t, func(r *rig) {
		mails := func(template string) int {
			return r.count("SELECT COUNT(*) FROM mails WHERE template = $1", template)
		}
		for range 5 {
			r.opened(claims)
		}
		if link, desk := mails("case_opened"), mails("support_request"); link != 3 || desk != 5 {
			r.Errorf("%d links and %d to the desk", link, desk)
		}
		r.Move(24 * time.Hour)
		r.opened(claims)
		if link := mails("case_opened"); link != 4 {
			r.Errorf("%d links a day later", link)
		}
	})
}

func TestCaseStats(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.opened(claims)
		_, hash := r.opened(claims)
		_, err := r.WithdrawCase(ctx, hash, "")
		r.ok(err)
		r.Move(24*time.Hour - time.Second)
		if open, overdue, err := r.CaseStats(ctx); open["open"] != 1 || overdue != 0 || err != nil {
			r.Errorf("a second before: %v, %d, %v", open, overdue, err)
		}
		r.Move(time.Second)
		if _, overdue, err := r.CaseStats(ctx); overdue != 1 || err != nil {
			r.Errorf("when it was due: %d, %v", overdue, err)
		}
	})
}
