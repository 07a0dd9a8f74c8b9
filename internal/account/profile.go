package account

import (
	"context"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/user"
)

// Profile is what the account page shows.
type Profile struct {
	Name         string
	Email        string
	PendingEmail string    // waits for confirmation; "" if none does
	MinLength    int       // of a new password
	Sessions     []Session // the last used first
	Events       []audit.Entry
}

// Session is one signed-in browser of the user.
type Session struct {
	session.Session
	Current bool // the one that asks
}

// Of the newest events looked at, those about security are shown, up to a bound.
const (
	eventsRead  = 200
	eventsShown = 20
)

// quiet are the events that say nothing about security, or nothing that the
// user should have to worry over.
var quiet = map[audit.Kind]bool{
	audit.LinkScanned: true, audit.UserRenamed: true, audit.UserCreated: true, audit.LinkShown: true,
}

// Profile gives the account page. Current is the session that asks.
func (a *Account) Profile(ctx context.Context, actor access.Actor, env environment.Environment, current id.Session) (Profile, error) {
	if err := check(actor, env); err != nil {
		return Profile{}, err
	}
	var p Profile
	err := a.DB.View(ctx, func(tx *db.Tx) error {
		u, err := user.Find(tx, env.ID, actor.User)
		if err != nil {
			return err
		}
		p = Profile{Name: u.Name, Email: u.Email, PendingEmail: u.PendingEmail, MinLength: env.Policy.PasswordMinLength}
		sessions, err := session.OfUser(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		for _, s := range sessions {
			p.Sessions = append(p.Sessions, Session{Session: s, Current: s.ID == current})
		}
		events, err := audit.OfUser(tx, env.ID, u.ID, eventsRead)
		for _, e := range events {
			if !quiet[e.Kind] && len(p.Events) < eventsShown {
				p.Events = append(p.Events, e)
			}
		}
		return err
	})
	return p, err
}

// Rename changes the user's own name.
func (a *Account) Rename(ctx context.Context, actor access.Actor, env environment.Environment, name string) error {
	if err := check(actor, env); err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lock(tx, actor, env)
		if err != nil {
			return err
		}
		if name, err = user.CheckName(name); err != nil || name == u.Name {
			return err
		}
		if err := user.Rename(tx, env.ID, u, name); err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.UserRenamed, User: u.ID, Actor: actor})
	})
}
