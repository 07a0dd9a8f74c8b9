package account

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// ChangeEmail asks for a new address: it counts once a link mailed to it was
// used; the old one is told at once. It gives the address as it will be.
// Faults are about the fields "current" and "email".
//
// An address that another user has is answered like any other, so that nobody
// who is signed in can find out who else is here. The link to confirm it ends
// where it begins, and its mail is then not needed, so it is never sent.
func (a *Account) ChangeEmail(ctx context.Context, actor access.Actor, env environment.Environment, current, email string) (string, error) {
	next, err := address.Parse(email)
	if err != nil {
		return "", err
	}
	proven, err := a.prove(ctx, actor, env, current)
	if err != nil {
		return "", err
	}
	return next.Mail, a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lockProven(tx, actor, env, proven)
		if err != nil {
			return err
		}
		if next.Mail == u.Email {
			return fault.InvalidField("email", "This is your address already.")
		}
		asked, ends, err := throttle.Count(tx, env.ID, "address:"+string(u.ID), time.Hour)
		if err != nil {
			return err
		}
		if asked > addressesInHour {
			return fault.Throttle(ends.Sub(tx.Now()), "You have asked for a new address five times in the last hour. Wait a little before the next time.")
		}
		return askForAddress(tx, actor, env, u, next)
	})
}

func askForAddress(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, next address.Address) error {
	if err := user.AskForAddress(tx, env.ID, actor, u, next); err != nil {
		return err
	}
	other, err := user.FindByEmail(tx, env.ID, next.Key)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	taken := err == nil && other.ID != u.ID
	return notice.AddressChange(tx, env, to(u), next.Mail, taken, actor)
}

// CancelEmail drops a new address that was not confirmed yet.
func (a *Account) CancelEmail(ctx context.Context, actor access.Actor, env environment.Environment) error {
	if err := check(actor, env); err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := lock(tx, actor, env)
		if err != nil || u.PendingEmail == "" {
			return err
		}
		if err := token.EndNotices(tx, env.ID, u.ID, secret.Confirm, "the change was cancelled"); err != nil {
			return err
		}
		if err := user.SetPendingEmail(tx, env.ID, u, ""); err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.AddressUndone, User: u.ID, Actor: actor})
	})
}
