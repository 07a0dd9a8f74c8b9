package app

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
)

// Every so often, what nobody needs any more goes, a few rows at a time so that
// nobody waits for it. Events stay: they are the evidence.
const (
	tidyEvery = 10 * time.Minute
	tidySlice = 500
)

var forgets = []func(*db.Tx, id.Environment, int) (int64, error){
	throttle.Forget, session.Forget, recovery.Forget, outbox.Forget, token.Forget, cases.Forget, suppression.Forget, approval.Forget, help.Forget,
}

// tidy runs until ctx ends. Several nodes may do it at once.
func (s *Server) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Tidy(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("tidy", "error", err)
		}
		if err := s.LookBack(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("look back", "error", err)
		}
		if err := s.Digests(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("digests", "error", err)
		}
	}
}

// Tidy removes what is too old, in every environment.
func (s *Server) Tidy(ctx context.Context) error {
	all, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	for _, env := range all {
		for _, forget := range forgets {
			for more := true; more; {
				err := s.DB.Update(ctx, func(tx *db.Tx) error {
					n, err := forget(tx, env.ID, tidySlice)
					more = n == tidySlice
					return err
				})
				if err != nil {
					return err
				}
			}
		}
		if err := s.Numbers.Count(ctx, env); err != nil {
			return err
		}
	}
	return nil
}

// Digests mails administrators who needs help, where they wish it.
func (s *Server) Digests(ctx context.Context) error {
	all, err := s.everywhere(ctx)
	if err != nil {
		return err
	}
	for _, env := range all {
		if err := s.UserManager.Digest(ctx, env); err != nil {
			return err
		}
	}
	return nil
}

// everywhere gives all environments, the operators' included.
func (s *Server) everywhere(ctx context.Context) ([]environment.Environment, error) {
	var all []environment.Environment
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		all, err = environment.List(tx)
		return err
	})
	return all, err
}
