package account

import (
	"context"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Reason says why a link cannot be used.
type Reason string

// The reasons.
const (
	Incomplete  Reason = "incomplete"
	Damaged     Reason = "damaged"
	Expired     Reason = "expired"
	AlreadyUsed Reason = "used"
	Cancelled   Reason = "cancelled"
)

// Unusable is the error for a confirmation link that does not work. To whoever
// holds a genuine link it tells everything about that link.
type Unusable struct {
	Reason Reason
	At     time.Time // when it expired, was used or was cancelled; zero if that is not known
	Why    string    // in general terms, for a cancelled one
}

func (u *Unusable) Error() string { return "this link does not work: " + string(u.Reason) }

// From says where a request came from, for the record.
type From struct {
	Network string // an IPv4 address or an IPv6 /64
	Agent   string // the browser
}

// Confirmation is an address to confirm, or one just confirmed.
type Confirmation struct {
	Name          string
	Email         string // the new address
	Invited       bool   // an invitation goes to it once it is confirmed
	SessionsEnded int
}

// usedConfirm ends a link that has done its work.
const usedConfirm = "used"

// OpenConfirm looks at a confirmation link for its page and changes nothing.
// The error is *Unusable for a link that does not work.
func (a *Account) OpenConfirm(ctx context.Context, env environment.Environment, text string) (Confirmation, error) {
	link, err := a.readConfirm(ctx, env, text)
	if err != nil {
		return Confirmation{}, err
	}
	var c Confirmation
	err = a.DB.View(ctx, func(tx *db.Tx) error {
		l, err := token.FindLink(tx, env.ID, link)
		if err != nil {
			return goneWithUser(err)
		}
		u, err := user.Find(tx, env.ID, l.User)
		if err != nil {
			return goneWithUser(err)
		}
		c = Confirmation{Name: u.Name, Email: l.Detail, Invited: u.State == user.Invited}
		return judge(l, u, tx.Now())
	})
	return c, err
}

func (a *Account) readConfirm(ctx context.Context, env environment.Environment, text string) (string, error) {
	link, problem, err := a.Ring.Read(ctx, secret.Confirm, env.ID, text)
	if err == nil && problem != secret.Fine {
		err = &Unusable{Reason: Reason(problem)}
	}
	return link.String(), err
}

// goneWithUser: a genuine link whose rows are gone belonged to a user who was deleted.
func goneWithUser(err error) error {
	if errors.Is(err, db.ErrNone) || fault.Is(err, fault.NotFound) {
		return &Unusable{Reason: Cancelled, Why: "the account no longer exists"}
	}
	return err
}

// judge tells whether a link still confirms the address that its user waits for.
func judge(l token.Link, u user.User, now time.Time) error {
	switch token.Judge(token.Token{}, l, now) {
	case token.Expired:
		return &Unusable{Reason: Expired, At: l.EndsAt}
	case token.Cancelled, token.Used:
		if l.EndedWhy == usedConfirm {
			return &Unusable{Reason: AlreadyUsed, At: l.EndedAt}
		}
		return &Unusable{Reason: Cancelled, At: l.EndedAt, Why: l.EndedWhy}
	}
	switch {
	case u.State == user.Deactivated:
		return &Unusable{Reason: Cancelled, Why: token.Deactivated}
	case u.PendingEmail == "" || u.PendingEmail != l.Detail:
		return &Unusable{Reason: Cancelled, Why: "replaced by a later change"}
	}
	return nil
}

// Confirm makes the address of a confirmation link the user's own: all sessions
// end and an open reset token is revoked. An invited user gets the invitation
// at the new address. The error is *Unusable for a link that does not work, and
// Conflict if somebody else has the address by now.
func (a *Account) Confirm(ctx context.Context, env environment.Environment, text string, from From) (Confirmation, error) {
	link, err := a.readConfirm(ctx, env, text)
	if err != nil {
		return Confirmation{}, err
	}
	var c Confirmation
	err = a.DB.Update(ctx, func(tx *db.Tx) error {
		env, err := environment.ByID(tx, env.ID)
		if err != nil {
			return err
		}
		if env.Suspended() {
			return fault.New(fault.Unavailable, "%s is closed for now. Your link stays as it is; try again later.", env.Name)
		}
		l, err := token.FindLink(tx, env.ID, link)
		if err != nil {
			return goneWithUser(err)
		}
		u, err := user.Lock(tx, env.ID, l.User)
		if err != nil {
			return goneWithUser(err)
		}
		if l, err = token.FindLink(tx, env.ID, link); err != nil { // as it is under the lock
			return goneWithUser(err)
		}
		if err := judge(l, u, tx.Now()); err != nil {
			return err
		}
		c, err = confirm(tx, env, u, l, from)
		return err
	})
	return c, err
}

func confirm(tx *db.Tx, env environment.Environment, u user.User, l token.Link, from From) (Confirmation, error) {
	c := Confirmation{Name: u.Name, Email: l.Detail, Invited: u.State == user.Invited}
	next, err := address.Parse(l.Detail)
	if err != nil {
		return c, err
	}
	if c.SessionsEnded, err = user.SetEmail(tx, env.ID, u, next); err != nil {
		return c, err
	}
	if _, err := token.EndLink(tx, env.ID, u.ID, l.ID, usedConfirm); err != nil {
		return c, err
	}
	u.Email, u.EmailKey = next.Mail, next.Key
	self := access.Actor{Environment: env.ID, User: u.ID, Name: u.Name, Role: u.Role, Network: from.Network, Agent: from.Agent}
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.AddressChanged, User: u.ID, Actor: self}); err != nil {
		return c, err
	}
	if !c.Invited {
		return c, nil
	}
	t, err := token.Open(tx, env.ID, u.ID, secret.Invite)
	if err != nil {
		return c, err
	}
	return c, notice.ResetLink(tx, env.ID, to(u), t, env.Policy.InvitationLife, access.Actor{})
}
