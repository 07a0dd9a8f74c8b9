package app

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/throttle"
)

const tidyEvery = 10 * time.Minute

// tidy removes what nobody needs any more, until ctx ends. Several nodes may
// do it at once.
func (s *Server) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, forget := range []func(*db.Tx) (int64, error){throttle.Forget, session.Forget, recovery.Forget} {
			err := s.DB.Update(ctx, func(tx *db.Tx) error { _, err := forget(tx); return err })
			if err != nil && ctx.Err() == nil {
				s.Log.Error("tidy", "error", err)
			}
		}
	}
}
