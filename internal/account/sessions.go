package account

import (
	"context"
	"strconv"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/session"
)

// EndSession signs one of the user's own browsers out; NotFound if it is not
// signed in.
func (a *Account) EndSession(ctx context.Context, actor access.Actor, env environment.Environment, which id.Session) error {
	if err := check(actor, env); err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lock(tx, actor, env)
		if err != nil {
			return err
		}
		if err := session.End(tx, env.ID, u.ID, which, session.EndedByUser); err != nil {
			return err
		}
		return recordEnded(tx, actor, env, 1)
	})
}

// EndOtherSessions signs all of the user's browsers out but the current one and
// gives their number.
func (a *Account) EndOtherSessions(ctx context.Context, actor access.Actor, env environment.Environment, current id.Session) (int, error) {
	if err := check(actor, env); err != nil {
		return 0, err
	}
	ended := 0
	err := a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lock(tx, actor, env)
		if err != nil {
			return err
		}
		if ended, err = session.EndAll(tx, env.ID, u.ID, current, session.EndedByUser); err != nil || ended == 0 {
			return err
		}
		return recordEnded(tx, actor, env, ended)
	})
	return ended, err
}

func recordEnded(tx *db.Tx, actor access.Actor, env environment.Environment, n int) error {
	return audit.Record(tx, env.ID, audit.Event{
		Kind: audit.SessionsEnded, User: actor.User, Actor: actor, Detail: audit.Detail{"sessions": strconv.Itoa(n)},
	})
}
