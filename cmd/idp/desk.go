package main

import (
	"fmt"
	"log/slog"
	"time"
	_ "time/tzdata" // a container may have no zones of its own

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/registry"
)

// desk is when Support works, once both its parts were checked.
func (c *Config) desk() account.Calendar {
	zone, _ := c.deskZone()
	holidays, _ := c.deskHolidays()
	return account.Calendar{Zone: zone, Holidays: holidays}
}

func (c *Config) deskZone() (*time.Location, error) {
	zone, err := time.LoadLocation(c.SupportTimeZone)
	if err != nil {
		return nil, fmt.Errorf("%q is no IANA time zone, such as America/New_York", c.SupportTimeZone)
	}
	return zone, nil
}

func (c *Config) deskHolidays() (map[string]bool, error) {
	days := map[string]bool{}
	for _, day := range c.SupportHolidays {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return nil, fmt.Errorf("%q is not a day such as 2026-12-25", day)
		}
		days[day] = true
	}
	return days, nil
}

// deskRegistry opens the copy of the public registry, or returns nil if there is
// none. That may take a minute, so the log says what the server is at.
func (c *Config) deskRegistry(log *slog.Logger) (*registry.Registry, error) {
	if c.SupportRegistry == "" {
		return nil, nil
	}
	log.Info("reading support.registry", "file", c.SupportRegistry)
	r, err := registry.Open(c.SupportRegistry)
	if err != nil {
		return nil, fmt.Errorf("support.registry: %w", err)
	}
	log.Info("read support.registry", "providers", r.Len())
	return r, nil
}
