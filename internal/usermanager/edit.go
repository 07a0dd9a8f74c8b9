package usermanager

import (
	"context"
	"fmt"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/user"
)

// Change says how a user is to be. What is as it was is not changed.
type Change struct {
	Name  string
	Email string
	Role  access.Role
	// Shown is what stood on the form, if there was one: what was left so stays as it
	// is by now, perhaps changed by somebody else meanwhile. What both changed is a
	// Conflict.
	Shown *Change
}

// conflict names the first field that somebody else has changed since the form was
// shown, and that is to be changed to something else again.
func (c Change) conflict(u user.User) error {
	if c.Shown == nil {
		return nil
	}
	for _, f := range []struct{ name, mine, shown, now, words string }{
		{"name", c.Name, c.Shown.Name, u.Name, u.Name},
		{"email", c.Email, c.Shown.Email, u.Email, u.Email},
		{"role", string(c.Role), string(c.Shown.Role), string(u.Role), u.Role.Words()},
	} {
		if f.mine != f.shown && f.now != f.shown && f.mine != f.now {
			return fault.OfField(fault.Conflict, f.name, ChangedMeanwhile(f.words))
		}
	}
	return nil
}

// ChangedMeanwhile tells whoever changed a field that somebody else did, too.
func ChangedMeanwhile(now string) string {
	return fmt.Sprintf("Somebody changed this to “%s” while the form was open. Save again if yours is to stand.", now)
}

func (c Change) onto(u user.User) Change {
	if c.Shown == nil {
		return c
	}
	if c.Name == c.Shown.Name {
		c.Name = u.Name
	}
	if c.Email == c.Shown.Email {
		c.Email = u.Email
	}
	if c.Role == c.Shown.Role {
		c.Role = u.Role
	}
	return c
}

// Edited is what an edit did.
type Edited struct {
	User          user.User // as it is now
	Renamed       bool
	RoleChanged   bool
	SessionsEnded int    // by the change of role
	Waiting       bool   // a second Client Admin's agreement was asked for first; nothing has changed
	AddressAsked  string // the new address, which counts once it is confirmed
}

// IdentityLocked says why role and address cannot be changed in an environment;
// "" if they can. Changing either is as strong as a reset link, so where
// administrators get none, they do neither.
func IdentityLocked(env environment.Environment) string {
	if env.Policy.AdminLinks == environment.Off {
		return "In this environment administrators change neither the role nor the address of somebody else, just as they see no reset links."
	}
	return ""
}

// Edit changes name, role and address. A changed role ends all sessions and
// revokes the open token. A changed address waits until a link mailed to it was
// used; the old one is told at once. Faults are about the fields "name", "email"
// and "role".
func (m *UserManager) Edit(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User, c Change) (Edited, error) {
	var e Edited
	err := m.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := user.LockFor(tx, actor, env.ID, userID, access.EditUser)
		if err != nil {
			return err
		}
		e = Edited{}
		if err := c.conflict(u); err != nil {
			return err
		}
		c := c.onto(u)
		name, errName := user.CheckName(c.Name)
		email, errEmail := address.Parse(c.Email)
		if c.Email == u.Email {
			errEmail = nil // what is there stays, however it came there
		}
		if err := together(errName, errEmail, checkRole(env, c.Role)); err != nil {
			return err
		}
		if waits, err := waits(tx, actor, env, u, c.Role != u.Role || c.Email != u.Email); err != nil || waits {
			e = Edited{User: u, Waiting: waits}
			return err
		}
		if err := e.rename(tx, actor, env, u, name); err != nil {
			return err
		}
		u.Name = name
		if err := e.setRole(tx, actor, env, u, c.Role); err != nil {
			return err
		}
		if c.Email != u.Email && email.Mail != u.Email {
			if err := e.askForAddress(tx, actor, env, u, email); err != nil {
				return err
			}
		}
		e.User, err = user.Find(tx, env.ID, u.ID)
		return err
	})
	return e, err
}

// waits tells whether a change of role or address must wait for the agreement
// of a second Client Admin.
func waits(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, identity bool) (bool, error) {
	if !identity || !env.Policy.SecondAdmin || IdentityLocked(env) != "" || !approval.Needed(actor, u.Target()) {
		return false, nil
	}
	given, err := approval.Given(tx, env.ID, actor, u.ID)
	return !given, err
}

func (e *Edited) rename(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, name string) error {
	if name == u.Name {
		return nil
	}
	e.Renamed = true
	if err := user.Rename(tx, env.ID, u, name); err != nil {
		return err
	}
	return audit.Record(tx, env.ID, audit.Event{Kind: audit.UserRenamed, User: u.ID, Actor: actor})
}

func (e *Edited) setRole(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, role access.Role) error {
	if role == u.Role {
		return nil
	}
	if why := IdentityLocked(env); why != "" {
		return fault.OfField(fault.Denied, "role", why)
	}
	if err := mayGiveRole(actor, env, role); err != nil {
		return err
	}
	if err := keepOneAdmin(tx, env, u); err != nil {
		return err
	}
	e.RoleChanged = true
	var err error
	if e.SessionsEnded, err = user.SetRole(tx, env.ID, u, role); err != nil {
		return err
	}
	return audit.Record(tx, env.ID, audit.Event{
		Kind: audit.RoleChanged, User: u.ID, Actor: actor, Detail: audit.Detail{"from": string(u.Role), "to": string(role)},
	})
}

func (e *Edited) askForAddress(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, next address.Address) error {
	if why := IdentityLocked(env); why != "" {
		return fault.OfField(fault.Denied, "email", why)
	}
	taken, err := user.TakenAmong(tx, env.ID, []string{next.Key})
	if err != nil {
		return err
	}
	if taken[next.Key] && next.Key != u.EmailKey {
		return user.Taken()
	}
	if err := user.AskForAddress(tx, env.ID, actor, u, next); err != nil {
		return err
	}
	e.AddressAsked = next.Mail
	return notice.AddressChange(tx, env, to(u), next.Mail, false, actor)
}

// keepOneAdmin refuses to take the last active Client Admin away.
func keepOneAdmin(tx *db.Tx, env environment.Environment, u user.User) error {
	last, err := user.IsLastAdmin(tx, env.ID, u)
	if err != nil || !last {
		return err
	}
	return fault.New(fault.Conflict, "%s is the last active Client Admin of %s. Make somebody else one first.", u.Name, env.Name)
}
