package account

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Confirmation is an address to confirm, or one just confirmed.
type Confirmation struct {
	Email   string // the new address
	Invited bool   // an invitation goes to it once it is confirmed
	Already bool   // it was confirmed before, by this very link, and still counts
}

// OpenConfirm looks at a confirmation link for its page and changes nothing.
// The error is *token.Unusable for a link that does not work.
func (a *Account) OpenConfirm(ctx context.Context, env environment.Environment, text string) (Confirmation, error) {
	link, err := a.readConfirm(ctx, env, text)
	if err != nil {
		return Confirmation{}, err
	}
	var c Confirmation
	err = a.DB.View(ctx, func(tx *db.Tx) error {
		l, err := token.FindLink(tx, env.ID, link)
		if err != nil {
			return token.Gone(err)
		}
		u, err := user.Find(tx, env.ID, l.User)
		if err != nil {
			return token.Gone(err)
		}
		c, err = judge(l, u, tx.Now())
		return err
	})
	return c, err
}

func (a *Account) readConfirm(ctx context.Context, env environment.Environment, text string) (string, error) {
	link, problem, err := a.Ring.Read(ctx, secret.Confirm, env.ID, text)
	if err == nil && problem != secret.Fine {
		err = &token.Unusable{Verdict: token.Verdict(problem)}
	}
	return link.String(), err
}

// judge tells whether a link still confirms the address that its user waits for,
// or has done so.
func judge(l token.Link, u user.User, now time.Time) (Confirmation, error) {
	c := Confirmation{Email: l.Detail, Invited: u.State == user.Invited}
	if l.EndedWhy == token.NoticeUsed && u.Email == l.Detail && u.State != user.Deactivated {
		c.Already = true
		return c, nil
	}
	if err := token.JudgeNotice(l, now); err != nil {
		return c, err
	}
	switch {
	case u.State == user.Deactivated:
		return c, &token.Unusable{Verdict: token.Cancelled, Why: token.Deactivated}
	case u.PendingEmail == "" || u.PendingEmail != l.Detail:
		return c, &token.Unusable{Verdict: token.Cancelled, Why: token.LaterChange}
	}
	return c, nil
}

// Confirm makes the address of a confirmation link the user's own: all sessions
// end and an open reset token is revoked. An invited user gets the invitation
// at the new address. Once more it changes nothing, and says so. The error is
// *token.Unusable for a link that does not work, and Conflict if somebody else
// has the address by now.
func (a *Account) Confirm(ctx context.Context, env environment.Environment, text string, from access.From) (Confirmation, error) {
	link, err := a.readConfirm(ctx, env, text)
	if err != nil {
		return Confirmation{}, err
	}
	var c Confirmation
	err = a.DB.Update(ctx, func(tx *db.Tx) error {
		env, err := environment.Open(tx, env.ID)
		if err != nil {
			return err
		}
		l, err := token.FindLink(tx, env.ID, link)
		if err != nil {
			return token.Gone(err)
		}
		u, err := user.Lock(tx, env.ID, l.User)
		if err != nil {
			return token.Gone(err)
		}
		if l, err = token.FindLink(tx, env.ID, link); err != nil { // as it is under the lock
			return token.Gone(err)
		}
		if c, err = judge(l, u, tx.Now()); err != nil || c.Already {
			return err
		}
		return confirm(tx, env, u, l, from)
	})
	return c, err
}

func confirm(tx *db.Tx, env environment.Environment, u user.User, l token.Link, from access.From) error {
	next, err := address.Parse(l.Detail)
	if err != nil {
		return err
	}
	if _, err := user.SetEmail(tx, env.ID, u, next); err != nil {
		return err
	}
	if _, err := token.EndLink(tx, env.ID, u.ID, l.ID, token.NoticeUsed); err != nil {
		return err
	}
	u.Email, u.EmailKey = next.Mail, next.Key
	self := access.Actor{Environment: env.ID, User: u.ID, Name: u.Name, Role: u.Role, From: from}
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.AddressChanged, User: u.ID, Actor: self}); err != nil {
		return err
	}
	if u.State != user.Invited {
		return nil
	}
	t, err := token.Open(tx, env.ID, u.ID, secret.Invite)
	if err != nil {
		return err
	}
	return notice.ResetLink(tx, env, to(u), t, env.Policy.InvitationLife, access.Actor{})
}
