package account

import (
	"testing"
	"time"
)

// promises.md 2.3: Support answers within one business day.
func TestDue(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	desk := Calendar{newYork, map[string]bool{"2026-11-26": true, "2026-12-25": true, "2027-01-01": true, "2026-07-03": true}}
	for _, tc := range []struct{ why, asked, due string }{
		{"a Tuesday", "2026-11-24T09:30:00-05:00", "2026-11-25T09:30:00-05:00"},
		{"the day before a holiday", "2026-11-25T09:30:00-05:00", "2026-11-27T09:30:00-05:00"},
		{"on the holiday", "2026-11-26T12:00:00-05:00", "2026-11-27T12:00:00-05:00"},
		{"a Friday", "2026-11-20T16:59:59-05:00", "2026-11-23T16:59:59-05:00"},
		{"a Saturday", "2026-11-21T08:00:00-05:00", "2026-11-23T08:00:00-05:00"},
		{"a Sunday", "2026-11-22T23:59:00-05:00", "2026-11-23T23:59:00-05:00"},
		{"before a holiday that makes a long weekend", "2026-12-24T10:00:00-05:00", "2026-12-28T10:00:00-05:00"},
		{"a Thursday before a Friday's holiday", "2026-07-02T10:00:00-04:00", "2026-07-06T10:00:00-04:00"},
		{"over the year", "2026-12-31T10:00:00-05:00", "2027-01-04T10:00:00-05:00"},
		{"Friday in New York, Saturday in UTC", "2026-11-21T02:00:00Z", "2026-11-23T21:00:00-05:00"},
		{"clocks forward over the weekend: 71 hours", "2026-03-06T09:00:00-05:00", "2026-03-09T09:00:00-04:00"},
		{"clocks back over the weekend: 73 hours", "2026-10-30T09:00:00-04:00", "2026-11-02T09:00:00-05:00"},
		{"a leap day", "2028-02-28T10:00:00-05:00", "2028-02-29T10:00:00-05:00"},
	} {
		asked, due := mustTime(t, tc.asked), mustTime(t, tc.due)
		if got := desk.Due(asked); !got.Equal(due) {
			t.Errorf("%s: asked %s, due %s, want %s", tc.why, asked, got, due)
		}
	}
	if got, want := (Calendar{}).Due(mustTime(t, "2026-11-27T10:00:00Z")), mustTime(t, "2026-11-30T10:00:00Z"); !got.Equal(want) {
		t.Errorf("the zero calendar: %s", got)
	}
}

// Where clocks go forward on a weekday (Cairo, a Friday), a time of day may not be.
func TestDueInAGap(t *testing.T) {
	cairo, err := time.LoadLocation("Africa/Cairo")
	if err != nil {
		t.Fatal(err)
	}
	asked := time.Date(2026, time.April, 23, 0, 30, 0, 0, cairo)
	due := (Calendar{Zone: cairo}).Due(asked)
	if d := due.Sub(asked); d < 23*time.Hour || d > 25*time.Hour || due.Day() != 24 {
		t.Errorf("asked %s, due %s", asked, due)
	}
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
