package app

import (
	"context"

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
	due := day.Alarms()
	if len(due) == 0 {
		return nil
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		for _, a := range due {
			if err := alarm.Raise(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}
