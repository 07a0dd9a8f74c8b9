package usermanager

import (
	"context"
	"strconv"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/user"
)

// Deactivate closes an account: all sessions end and the open token is revoked.
// It gives the number of sessions ended.
func (m *UserManager) Deactivate(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, int, error) {
	ended := 0
	u, err := m.change(ctx, actor, env, userID, access.Deactivate, func(tx *db.Tx, u user.User) (err error) {
		if u.State == user.Deactivated {
			return fault.New(fault.Conflict, "%s is already deactivated. There is nothing left to do.", u.Name)
		}
		if err := keepOneAdmin(tx, env, u); err != nil {
			return err
		}
		if ended, err = user.Deactivate(tx, env.ID, u); err != nil {
			return err
		}
		return record(tx, actor, env, u, audit.Deactivated, nil)
	})
	return u, ended, err
}

// Activate opens a deactivated account again: active if it has a password, else
// invited. It sends no mail.
func (m *UserManager) Activate(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, error) {
	var next user.State
	u, err := m.change(ctx, actor, env, userID, access.Activate, func(tx *db.Tx, u user.User) (err error) {
		if u.State != user.Deactivated {
			return fault.New(fault.Conflict, "%s is not deactivated. There is nothing left to do.", u.Name)
		}
		if next, err = user.Activate(tx, env.ID, u); err != nil {
			return err
		}
		return record(tx, actor, env, u, audit.Activated, nil)
	})
	u.State = next
	return u, err
}

// EndSessions signs a user out everywhere and gives the number of sessions ended.
func (m *UserManager) EndSessions(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, int, error) {
	ended := 0
	u, err := m.change(ctx, actor, env, userID, access.EndSessions, func(tx *db.Tx, u user.User) (err error) {
		if u.State != user.Active {
			return fault.New(fault.Conflict, "%s cannot be signed in: the account is %s.", u.Name, u.State)
		}
		if ended, err = session.EndAll(tx, env.ID, u.ID, "", session.EndedByAdmin); err != nil || ended == 0 {
			return err
		}
		return record(tx, actor, env, u, audit.SessionsEnded, audit.Detail{"sessions": strconv.Itoa(ended)})
	})
	return u, ended, err
}

// Delete removes a user with sessions, tokens, messages and requests; events
// about the user stay, without name or address.
func (m *UserManager) Delete(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, error) {
	return m.change(ctx, actor, env, userID, access.DeleteUser, func(tx *db.Tx, u user.User) error {
		if err := keepOneAdmin(tx, env, u); err != nil {
			return err
		}
		if err := user.Delete(tx, env.ID, u); err != nil {
			return err
		}
		if err := forgetRequests(tx, env, u); err != nil {
			return err
		}
		if err := audit.ForgetName(tx, env.ID, u.ID); err != nil {
			return err
		}
		return record(tx, actor, env, u, audit.UserDeleted, nil)
	})
}

// forgetRequests removes the askings of a user and those that wait for the
// address. Each statement says what its index is for; together they would walk
// all askings of the environment.
func forgetRequests(tx *db.Tx, env environment.Environment, u user.User) error {
	_, err := tx.Exec("DELETE FROM requests WHERE environment_id = $1 AND user_id = $2 AND user_id <> ''", env.ID, u.ID)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM requests WHERE environment_id = $1 AND address_key = $2 AND resolved_at IS NULL", env.ID, u.EmailKey)
	return err
}

func (m *UserManager) change(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User, action access.Action, fn func(*db.Tx, user.User) error) (user.User, error) {
	var u user.User
	err := m.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if u, err = user.LockFor(tx, actor, env.ID, userID, action); err != nil {
			return err
		}
		return fn(tx, u)
	})
	return u, err
}

func record(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, kind audit.Kind, detail audit.Detail) error {
	return audit.Record(tx, env.ID, audit.Event{Kind: kind, User: u.ID, Actor: actor, Detail: detail})
}
