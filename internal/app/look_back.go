package app

import (
	"context"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
)

// LookBack raises the alarms that only a whole day shows, over all environments:
// it reads one after the other, so that no transaction is long.
func (s *Server) LookBack(ctx context.Context) error {
	all, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	var day alarm.Lately
	for _, env := range all {
		if err := s.DB.View(ctx, func(tx *db.Tx) error { return day.Look(tx, env.ID) }); err != nil {
			return err
		}
	}
	if day.Complaints() {
		for _, env := range all {
			if err := s.DB.View(ctx, func(tx *db.Tx) error { return day.Count(tx, env.ID) }); err != nil {
				return err
			}
		}
	}
	if due := day.Alarms(); len(due) > 0 {
		err := s.DB.Update(ctx, func(tx *db.Tx) error {
			for _, a := range due {
				if err := alarm.Raise(tx, a); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.findRoutes(ctx)
}

const (
	// mostRoutes are looked up at once, of servers that no longer serve a domain.
	mostRoutes = 5
	routeTime  = 5 * time.Second
	routeWords = "The DNS sends mail for this domain to "
)

// findRoutes adds where the DNS sends mail to the alarms about servers that say
// they do not serve a domain: so an old route shows. What the DNS does not tell
// is asked again the next time.
func (s *Server) findRoutes(ctx context.Context) error {
	var open []alarm.Alarm
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		all, err := alarm.List(tx)
		for _, a := range all {
			if a.Name == alarm.RelayDenied && !strings.Contains(a.Detail, routeWords) && len(open) < mostRoutes {
				open = append(open, a)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range open {
		limited, stop := context.WithTimeout(ctx, routeTime)
		servers, err := s.Resolver.LookupMX(limited, a.About)
		stop()
		if err != nil || len(servers) == 0 {
			continue
		}
		var names []string
		for _, mx := range servers[:min(len(servers), 10)] {
			names = append(names, strings.TrimSuffix(mx.Host, "."))
		}
		err = s.DB.Update(ctx, func(tx *db.Tx) error {
			return alarm.Explain(tx, a, routeWords+strings.Join(names, ", ")+".")
		})
		if err != nil {
			return err
		}
	}
	return nil
}
