package recovery

import (
	"context"
	"errors"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// NotMe is what the page "This wasn't me" shows and, once its button was
// pressed, what was done.
type NotMe struct {
	MaskedEmail string
	// Compromised: a password was already set with it, so all sessions end and
	// the password becomes unusable; else only the live token is cancelled.
	Compromised bool
	UndoAddress string // the address that comes back, after a change of address
}

// OpenNotMe looks at a "This wasn't me" link for its page and changes nothing.
func (r *Recovery) OpenNotMe(ctx context.Context, env environment.Environment, text string) (NotMe, error) {
	id, err := r.readNotMe(ctx, env, text)
	if err != nil {
		return NotMe{}, err
	}
	var page NotMe
	err = r.DB.View(ctx, func(tx *db.Tx) error {
		l, u, t, err := findNotMe(tx, env, id)
		page = describe(l, u, t)
		return err
	})
	return page, err
}

func (r *Recovery) readNotMe(ctx context.Context, env environment.Environment, text string) (string, error) {
	link, problem, err := r.Ring.Read(ctx, secret.NotMe, env.ID, text)
	if err != nil {
		return "", err
	}
	if problem != secret.Fine {
		return "", &token.Unusable{Verdict: token.Verdict(problem)}
	}
	return link.String(), r.present(ctx, env, link)
}

func findNotMe(tx *db.Tx, env environment.Environment, link string) (token.Link, user.User, token.Token, error) {
	var (
		u user.User
		t token.Token
	)
	l, err := token.FindLink(tx, env.ID, link)
	if err != nil {
		return l, u, t, token.Gone(err)
	}
	if err := token.JudgeNotice(l, tx.Now()); err != nil {
		return l, u, t, err
	}
	if u, err = user.Find(tx, env.ID, l.User); err != nil {
		return l, u, t, token.Gone(err)
	}
	if l.Token != "" {
		t, err = token.ByID(tx, env.ID, l.Token)
	}
	return l, u, t, ignoreNone(err)
}

// lockNotMe locks the user of a link, so that of many who press at once one
// finds it working.
func lockNotMe(tx *db.Tx, env environment.Environment, link string) error {
	l, err := token.FindLink(tx, env.ID, link)
	if err == nil {
		_, err = user.Lock(tx, env.ID, l.User)
	}
	return token.Gone(err)
}

func describe(l token.Link, u user.User, t token.Token) NotMe {
	about := notice.ReadAbout(l)
	page := NotMe{MaskedEmail: mask(u.Email)}
	switch about.Kind {
	case mail.AddressChanged, // whoever asked for it was signed in, or is an admin
		mail.PasswordChanged, mail.NewSignIn: // somebody else knows the password
		page.Compromised = true
	default:
		page.Compromised = !t.UsedAt.IsZero()
	}
	// The address may have been changed by the same stranger: what is in hand
	// here was mailed to the address before.
	if page.Compromised && (u.Email != about.Address || u.PendingEmail != "") {
		page.UndoAddress = about.Address
	}
	return page
}

// ThisWasNotMe revokes the live token; if a password was set with it, it also
// ends all sessions, makes the password unusable and mails a fresh reset link.
// After a change of address it brings the one back to which the link was mailed.
func (r *Recovery) ThisWasNotMe(ctx context.Context, env environment.Environment, text string, from access.From) (NotMe, error) {
	id, err := r.readNotMe(ctx, env, text)
	if err != nil {
		return NotMe{}, err
	}
	var page NotMe
	err = r.DB.Update(ctx, func(tx *db.Tx) error {
		env, err := environment.Open(tx, env.ID)
		if err != nil {
			return err
		}
		if err := lockNotMe(tx, env, id); err != nil {
			return err
		}
		l, u, t, err := findNotMe(tx, env, id)
		if err != nil {
			return err
		}
		page = describe(l, u, t)
		if _, err := token.EndLink(tx, env.ID, u.ID, l.ID, token.NoticeUsed); err != nil {
			return err
		}
		event := audit.Event{Kind: audit.NotMe, User: u.ID, Actor: self(env, u, from), Detail: audit.Detail{"mail": string(notice.ReadAbout(l).Kind)}}
		if err := audit.Record(tx, env.ID, event); err != nil {
			return err
		}
		if page.UndoAddress == "" {
			return shutOut(tx, env, u, page.Compromised, true)
		}
		// What was mailed since may have gone to whoever changed the address,
		// and must not undo this. The owner's older links stay.
		if err := token.EndNoticesSince(tx, env.ID, u.ID, secret.NotMe, l.MadeAt, token.NotMe); err != nil {
			return err
		}
		u, back, err := undoAddress(tx, env, u, page.UndoAddress, event.Actor)
		if err != nil {
			return err
		}
		return shutOut(tx, env, u, true, back)
	})
	return page, err
}

// shutOut ends what a stranger may hold. The fresh link is mailed only where
// the address is known to be the owner's.
func shutOut(tx *db.Tx, env environment.Environment, u user.User, compromised, mailable bool) error {
	if !compromised {
		_, err := token.Revoke(tx, env.ID, u.ID, token.NotMe)
		return err
	}
	if _, err := user.DropPassword(tx, env.ID, u); err != nil {
		return err
	}
	if err := token.EndLinksMadeBy(tx, env.ID, u.ID); err != nil {
		return err
	}
	if u.State == user.Deactivated || !mailable {
		return nil
	}
	t, err := token.Open(tx, env.ID, u.ID, purpose(u))
	if err != nil {
		return err
	}
	return notice.AfterNotMe(tx, env, to(u), t, life(env, u))
}

// undoAddress brings the old address back, or drops the change if it has not
// been confirmed yet. It tells false if somebody else has the old one by now:
// then only an administrator can help.
func undoAddress(tx *db.Tx, env environment.Environment, u user.User, old string, actor access.Actor) (user.User, bool, error) {
	if err := token.EndNotices(tx, env.ID, u.ID, secret.Confirm, token.NotMe); err != nil {
		return u, false, err
	}
	if err := user.SetPendingEmail(tx, env.ID, u, ""); err != nil {
		return u, false, err
	}
	if u.Email != old {
		a, err := address.Parse(old)
		if err != nil {
			return u, false, errors.Join(errors.New("read the old address"), err)
		}
		_, err = user.SetEmail(tx, env.ID, u, a)
		if fault.Is(err, fault.Conflict) {
			return u, false, nil
		}
		if err != nil {
			return u, false, err
		}
		u.Email, u.EmailKey = a.Mail, a.Key
	}
	return u, true, audit.Record(tx, env.ID, audit.Event{Kind: audit.AddressUndone, User: u.ID, Actor: actor})
}
