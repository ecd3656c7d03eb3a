package provider

import "time"

// businessDayAfter returns when an answer is due that was promised within one
// business day: the same time on the next weekday. Holidays and the desk's
// time zone come with the desk.
func businessDayAfter(t time.Time) time.Time {
	t = t.AddDate(0, 0, 1)
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}
