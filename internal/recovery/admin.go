package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// AdminLink is what Reset Password -> Go shows.
type AdminLink struct {
	User   user.User
	Text   string // the secret part of the address; "" if the user has no token
	EndsAt time.Time
	Live   []token.Link            // all links that work now, newest first
	Mails  map[string]outbox.State // how the mails with them stand, by the link's id
	Mine   string                  // the id of the link shown, among Live
	Again  bool                    // the link was shown to this actor before
	// Waiting: the policy wants a second Client Admin's agreement first, which
	// has been asked for; there is no Text.
	Waiting bool
	Stopped bool        // no mail goes to the address: the user is not told of the link
	Last    token.Token // if there is no live token: the newest there was, or zero
	Expired time.Time   // when that one did, if nothing else ended it
}

// NoToken is the sentence for a user without a live token.
const NoToken = "This user does not have a password reset token."

// ResetPassword is Reset Password -> Go: it gives the actor the link of the
// user's live token. Without one the result has no Text, unless the policy says
// mint and the actor did not say mayMint false (the command line says it
// unless told --mint). Pressing again gives the same actor the same link.
func (r *Recovery) ResetPassword(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User, mayMint bool) (AdminLink, error) {
	var (
		out  AdminLink
		link token.Link
	)
	err := r.DB.Update(ctx, func(tx *db.Tx) error {
		out, link = AdminLink{}, token.Link{}
		u, err := user.LockFor(tx, actor, env.ID, userID, access.ResetPassword)
		if err != nil {
			return err
		}
		if err := mayShowLink(actor, env, u); err != nil {
			return err
		}
		if err := r.resolveWaiting(tx, env, u.EmailKey); err != nil {
			return err
		}
		out.User = u
		if _, out.Stopped, err = suppression.Of(tx, env.ID, u.EmailKey); err != nil {
			return err
		}
		if env.Policy.SecondAdmin && approval.Needed(actor, u.Target()) {
			given, err := approval.Given(tx, env.ID, actor, u.ID)
			if out.Waiting = !given; err != nil || out.Waiting {
				return err
			}
		}
		link, err = r.adminLink(tx, actor, env, u, mayMint && env.Policy.AdminLinks == environment.Mint)
		if errors.Is(err, db.ErrNone) {
			if out.Last, err = token.Newest(tx, env.ID, u.ID); err == nil {
				out.Expired, err = token.ExpiredAt(tx, env.ID, out.Last)
			}
			return ignoreNone(err)
		}
		if err != nil {
			return err
		}
		live, _, err := token.Live(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		out.Live, out.Mine, out.EndsAt, out.Again = live.Links, link.ID, link.EndsAt, link.MadeAt.Before(tx.Now())
		ids := make([]string, len(live.Links))
		for i, l := range live.Links {
			ids[i] = l.ID
		}
		out.Mails, err = outbox.OfLinks(tx, env.ID, u.ID, ids)
		return err
	})
	if err != nil || link.ID == "" {
		return out, err
	}
	linkID, err := link.LinkID()
	if err != nil {
		return out, err
	}
	out.Text, err = r.Ring.Text(ctx, link.Purpose, env.ID, uint8(link.KeyID), linkID) //nolint:gosec // the table allows 1 to 255
	return out, err
}

func ignoreNone(err error) error {
	if errors.Is(err, db.ErrNone) {
		return nil
	}
	return err
}

func mayShowLink(actor access.Actor, env environment.Environment, u user.User) error {
	switch {
	case u.State == user.Invited && actor.Operator:
		return nil // the first Client Admin of an environment has nobody else to ask
	case u.State == user.Deactivated: // first, for then no link works, whoever sends it
		return fault.New(fault.Conflict, "%s is deactivated. Activate the account first.", u.Name)
	case env.Policy.AdminLinks == environment.Off:
		return fault.New(fault.Denied, "In this environment administrators do not see reset links. Choose Send password reset link: the user gets it by mail.")
	case u.State == user.Invited:
		return fault.New(fault.Conflict, "%s has not accepted the invitation yet. Choose Resend invitation.", u.Name)
	}
	return nil
}

// adminLink gives the actor's own working link of the live token, or makes it;
// db.ErrNone if there is no live token and none may be made.
func (r *Recovery) adminLink(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User, mint bool) (token.Link, error) {
	live, ok, err := token.Live(tx, env.ID, u.ID)
	if err != nil {
		return token.Link{}, err
	}
	for _, l := range live.Links {
		if l.Channel == token.Admin && l.MadeBy == actor.ID() {
			return l, audit.Record(tx, env.ID, audit.Event{Kind: audit.LinkShown, User: u.ID, Actor: actor})
		}
	}
	t, ends := live.Token, live.Expires()
	switch {
	case ok:
	case !mint:
		return token.Link{}, db.ErrNone
	default:
		ends = tx.Now().Add(life(env, u))
		if t, err = token.Open(tx, env.ID, u.ID, purpose(u)); err != nil {
			return token.Link{}, err
		}
	}
	link, err := token.AddLink(tx, env.ID, token.NewLink{
		Purpose: t.Purpose, Token: t.ID, User: u.ID, Channel: token.Admin, By: actor, EndsAt: ends,
	})
	if err != nil {
		return link, err
	}
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.LinkMade, User: u.ID, Actor: actor}); err != nil {
		return link, err
	}
	return link, notice.AdminLink(tx, env, to(u), t, actor)
}

// Sent says what came of an administrator's sending.
type Sent struct {
	User user.User
	// Stopped: no mail goes to the address at the moment. A link was made all the
	// same, so that Reset Password shows one.
	Stopped bool
}

// SendResetLink is Send password reset link: an admin asks on the user's
// behalf. For an invited user it mails the invitation again.
func (r *Recovery) SendResetLink(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (Sent, error) {
	return r.send(ctx, actor, env, userID, access.SendResetLink, audit.Asked, mailLink)
}

// SendCode mails the code of a fresh link alone, without the link: for a
// receiver whose filter stops mails with links.
func (r *Recovery) SendCode(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (Sent, error) {
	return r.send(ctx, actor, env, userID, access.SendResetLink, audit.Asked, mailCode)
}

// ResendInvitation mails a further link of an invitation.
func (r *Recovery) ResendInvitation(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (Sent, error) {
	return r.send(ctx, actor, env, userID, access.ResendInvitation, audit.UserInvited, mailLink)
}

func (r *Recovery) send(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User, action access.Action, kind audit.Kind,
	mail func(*db.Tx, environment.Environment, user.User, access.Actor) error,
) (Sent, error) {
	var sent Sent
	err := r.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := user.LockFor(tx, actor, env.ID, userID, action)
		if err != nil {
			return err
		}
		if u.State == user.Deactivated {
			return fault.New(fault.Conflict, "%s is deactivated. Activate the account first.", u.Name)
		}
		if action == access.ResendInvitation && u.State != user.Invited {
			return fault.New(fault.Conflict, "%s has already accepted the invitation. To help with the password choose Send password reset link.", u.Name)
		}
		sends, ends, err := throttle.Count(tx, env.ID, "send:"+string(u.ID), time.Hour)
		if err != nil {
			return err
		}
		if sends > sendsPerHour && !r.NoLimits {
			return fault.Throttle(ends.Sub(tx.Now()), "Administrators have sent "+u.Name+" five links in the last hour, and more mails rarely help. Choose Reset Password to give the link another way.")
		}
		if err := audit.Record(tx, env.ID, audit.Event{Kind: kind, User: u.ID, Actor: actor}); err != nil {
			return err
		}
		sent.User = u
		if _, sent.Stopped, err = suppression.Of(tx, env.ID, u.EmailKey); err != nil {
			return err
		}
		return mail(tx, env, u, actor)
	})
	return sent, err
}

// CancelToken is Cancel reset token: the token and all its links end.
func (r *Recovery) CancelToken(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, error) {
	var u user.User
	err := r.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if u, err = user.LockFor(tx, actor, env.ID, userID, access.CancelToken); err != nil {
			return err
		}
		if err := r.resolveWaiting(tx, env, u.EmailKey); err != nil {
			return err
		}
		revoked, err := token.Revoke(tx, env.ID, u.ID, token.ByAdmin)
		if err != nil {
			return err
		}
		if !revoked {
			return fault.New(fault.Conflict, NoToken)
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.TokenRevoked, User: u.ID, Actor: actor, Detail: audit.Detail{"why": token.ByAdmin}})
	})
	return u, err
}

// EndLink ends one link of a user's token, named by its token.Ref.
func (r *Recovery) EndLink(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User, ref string) (user.User, error) {
	var u user.User
	err := r.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if u, err = user.LockFor(tx, actor, env.ID, userID, access.CancelToken); err != nil {
			return err
		}
		live, _, err := token.Live(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		for _, l := range live.Links {
			if token.Ref(l) != ref {
				continue
			}
			if _, err := token.EndLink(tx, env.ID, u.ID, l.ID, token.ByAdmin); err != nil {
				return err
			}
			return audit.Record(tx, env.ID, audit.Event{Kind: audit.LinkEnded, User: u.ID, Actor: actor, Detail: audit.Detail{"channel": string(l.Channel)}})
		}
		return fault.New(fault.Conflict, "This link has already ended. The user’s page shows those that still work.")
	})
	return u, err
}
