package account

import (
	"context"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/user"
)

// ChangePassword sets a new password for whoever knows the current one, ends
// all other sessions and gives their number; an open reset token is revoked.
// Faults are about the fields "current" and "password"; Throttled after many
// wrong current passwords.
func (a *Account) ChangePassword(ctx context.Context, actor access.Actor, env environment.Environment, spare id.Session, current, next string) (int, error) {
	u, err := a.prove(ctx, actor, env, current)
	if err != nil {
		return 0, err
	}
	if err := password.Check(next, env.PasswordPolicy(u.Name, u.Email)); err != nil {
		return 0, err
	}
	hash, err := a.Hasher.Hash(ctx, next)
	if err != nil {
		return 0, err
	}
	ended := 0
	err = a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lockProven(tx, actor, env, u)
		if err != nil {
			return err
		}
		if ended, err = user.SetPassword(tx, env.ID, u, hash, password.Shape(hash), spare, session.PasswordSet); err != nil {
			return err
		}
		if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.PasswordChanged, User: u.ID, Actor: actor}); err != nil {
			return err
		}
		return notice.PasswordChanged(tx, env, to(u), "", actor, ended)
	})
	return ended, err
}
