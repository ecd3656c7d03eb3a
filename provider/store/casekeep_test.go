package store_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/provider/store"
)

// caseTables hold what there is of a case.
var caseTables = []string{"cases", "case_log", "case_checks", "case_approvals", "case_links"}

// Nothing that anybody said or found in a case is in the clear, from its opening to
// its end; and the desk reads all of it.
func TestNothingOfACaseIsInTheClear(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreEmail)
		d.ok(d.NoteCase(ctx, d.two, d.id, "Sounded hesitant."))
		d.ok(d.RevealCase(ctx, d.one, d.id, "Comparing the birth year."))
		d.ok(d.ReplyCase(ctx, d.one, d.id, "need_id"))
		d.ok(d.CheckCase(ctx, d.one, d.id, flows.IdentityCheck, "Licence D1234567."))
		d.ok(d.approve(d.one))
		d.ok(d.approve(d.two))
		_, err := d.FreezeCase(ctx, d.notice(true), "")
		d.ok(err)
		d.ok(d.ThawCase(ctx, d.one, d.id, "Her sister had pressed it."))
		d.check(append(allChecks, flows.CallBack)...)
		d.ok(d.approve(d.one))
		d.ok(d.approve(d.two))
		d.aDayLater()
		d.is(flows.CaseDone)

		said := []string{"Sounded hesitant.", "Comparing the birth year.", "Licence D1234567.", "Her sister had pressed it."}
		read := ""
		for _, e := range d.now().Log {
			read += e.Text
		}
		for _, text := range said {
			if !strings.Contains(read, text) {
				d.Errorf("the desk does not read %q", text)
			}
		}
		if d.now().Claims != claims {
			d.Errorf("the desk reads %+v", d.now().Claims)
		}
		npi := sha256.Sum256([]byte(claims.NPI)) // of ten digits it would be no secret
		said = append(said, claims.Name, claims.Practice, claims.NPI, claims.Email, claims.Happened,
			"grace@old.example", "555 0100", string(npi[:]))
		for _, table := range append(caseTables, "mails", "audit", "river_job") {
			dump, err := d.Dump("SELECT * FROM " + table)
			d.ok(err)
			if len(dump) == 0 {
				d.Errorf("%s is empty", table)
			}
			for _, text := range said {
				if strings.Contains(strings.ToLower(dump), strings.ToLower(text)) || strings.Contains(dump, text) {
					d.Errorf("%s has %q in the clear", table, text)
				}
			}
		}
	})
}

// A case goes a year after it was closed, with all that was said in it; an open one
// never does.
func TestSweepOfCases(t *testing.T) {
	const year = 365 * 24 * time.Hour
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		ends := []func() error{
			func() error { _, err := d.WithdrawCase(ctx, d.link, ""); return err },
			func() error { return d.RejectCase(ctx, d.two, d.id, "rejected") },
			func() error { _, err := d.ReleaseCase(ctx, d.notice(true), ""); return err },
			func() error { _, err := d.FreezeCase(ctx, d.notice(true), ""); return err }, // is no end
		}
		for i, end := range ends {
			if i > 0 {
				d.open()
			}
			d.waits(flows.RestoreSecond)
			d.ok(end())
		}
		kept := d.id
		d.open()
		rows := func() (n []int) {
			for _, table := range caseTables {
				n = append(n, d.count("SELECT COUNT(*) FROM "+table))
			}
			return n
		}
		sweep := func(after time.Duration) []int {
			d.Move(after)
			d.ok(d.Sweep(ctx))
			return rows()
		}
		before := rows()
		if got := sweep(year - time.Hour); !slices.Equal(got, before) {
			d.Errorf("an hour before: %v, not %v", got, before)
		}
		// Of what is left one was never begun; of the other there are six remarks
		// (confirmed, taken, chosen, three checks), two approvals, a freeze, and one notice.
		if got := sweep(2 * time.Hour); !slices.Equal(got, []int{2, 9, 3, 2, 1}) {
			d.Errorf("an hour after: %v", got)
		}
		sweep(3 * year)
		d.is(flows.CaseOpen)
		d.id = kept
		d.is(flows.CaseWaiting)
	})
}

// What was said is forgotten with a case that nobody looked into; else it is kept,
// for the desk may be asked.
func TestWithdrawnClaims(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		withdraw := func() store.Claims {
			was, err := d.WithdrawCase(ctx, d.link, "")
			if d.ok(err); !was {
				d.Error("not withdrawn")
			}
			d.is(flows.CaseWithdrawn)
			return d.now().Claims
		}
		if c := withdraw(); c != (store.Claims{}) {
			d.Errorf("of one that was only open: %+v", c)
		}
		d.open()
		d.ok(d.TakeCase(ctx, d.one, d.id))
		if c := withdraw(); c != claims {
			d.Errorf("of one that was begun on: %+v", c)
		}
		d.want("alike", len(d.now().Alike), 1)
	})
}
