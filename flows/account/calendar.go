package account

import "time"

// Calendar is when a desk works: on weekdays that are no holidays, by the clocks
// of its time zone. The zero Calendar is of UTC and knows no holidays.
type Calendar struct {
	Zone     *time.Location  // nil: UTC
	Holidays map[string]bool // by day, as 2026-12-25
}

// Due returns when an answer is due that was promised within one business day:
// at the same time of day on the next day that the desk works. Where that day's
// clocks skip the time, it is the one after.
func (c Calendar) Due(asked time.Time) time.Time {
	t := c.local(asked)
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for n := 1; ; n++ {
		due := time.Date(year, month, day+n, hour, minute, second, t.Nanosecond(), t.Location())
		if c.Works(due) {
			return due
		}
	}
}

// Works reports whether the desk works on the day of a time, by its own clocks.
func (c Calendar) Works(t time.Time) bool {
	t = c.local(t)
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && !c.Holidays[t.Format(time.DateOnly)]
}

// local is a time by the desk's clocks.
func (c Calendar) local(t time.Time) time.Time {
	if c.Zone == nil {
		return t.UTC()
	}
	return t.In(c.Zone)
}
