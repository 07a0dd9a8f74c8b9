// Package account is what signed-in users do about themselves: name, password,
// address and sessions.
//
// profile.go: the page. password.go and address.go: the two changes that need
// the current password. confirm.go: the link that confirms a new address.
// sessions.go: ending them. Nothing here acts on anybody else, so there is no
// table of permissions to ask: the actor is the target.
package account

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/user"
)

// Account holds what its verbs need.
type Account struct {
	DB     *db.DB
	Ring   *keyring.Ring
	Hasher *password.Hasher
}

// Limits on trying the current password and on asking for a new address.
const (
	freeTries       = 10
	window          = 15 * time.Minute
	addressesInHour = 5 // each of them sends two mails, one to whatever address was typed
)

// check tells whether an actor is a user of this environment at all.
func check(actor access.Actor, env environment.Environment) error {
	if actor.User == "" || actor.Operator || actor.Environment != env.ID {
		return fault.New(fault.Denied, "Sign in to see your account.")
	}
	return nil
}

// lock locks the actor's own row.
func lock(tx *db.Tx, actor access.Actor, env environment.Environment) (user.User, error) {
	u, err := user.Lock(tx, env.ID, actor.User)
	if err == nil && u.State != user.Active {
		return u, fault.New(fault.Denied, "This account is not active. Ask your administrator.")
	}
	return u, err
}

func to(u user.User) notice.To { return notice.To{User: u.ID, Name: u.Name, Email: u.Email} }

// prove checks the actor's current password; each try is counted before it.
// The fault is about the field "current".
func (a *Account) prove(ctx context.Context, actor access.Actor, env environment.Environment, current string) (user.User, error) {
	if err := check(actor, env); err != nil {
		return user.User{}, err
	}
	var u user.User
	err := a.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if u, err = lock(tx, actor, env); err != nil {
			return err
		}
		wait, err := throttle.Slow(tx, env.ID, tries(u), freeTries, window)
		if err != nil || wait == 0 {
			return err
		}
		return fault.Throttle(wait, "There were many wrong passwords. Wait a little before the next try. “I forgot my password” stays open.")
	})
	if err != nil {
		return u, err
	}
	result, err := a.Hasher.Verify(ctx, current, u.PasswordHash)
	if err != nil {
		return u, err
	}
	if !result.OK {
		return u, fault.InvalidField("current", "This is not your current password.")
	}
	// At once: what is refused later was not a wrong current password.
	return u, a.DB.Update(ctx, func(tx *db.Tx) error { return throttle.Lift(tx, env.ID, tries(u)) })
}

// tries is the subject under which tries of the current password are counted.
func tries(u user.User) string { return "password:" + string(u.ID) }

// lockProven locks the row again after hashing; whoever proved an old password
// meanwhile has proven nothing.
func lockProven(tx *db.Tx, actor access.Actor, env environment.Environment, proven user.User) (user.User, error) {
	u, err := lock(tx, actor, env)
	if err != nil {
		return u, err
	}
	if u.PasswordHash != proven.PasswordHash {
		return u, fault.New(fault.Conflict, "Your password has just been changed elsewhere. Sign in again.")
	}
	return u, nil
}
