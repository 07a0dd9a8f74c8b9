package recovery

import (
	"context"
	"errors"
	"strconv"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Use says what a POST to the reset page brings.
type Use struct {
	Link      string
	Operation string // from the form
	Password  string
	From      access.From
	// MaySignIn tells that the request shows our own origin, so that nobody
	// can be signed in to somebody else's account by a foreign page.
	MaySignIn bool
}

// Done is a password set.
type Done struct {
	User          user.User
	SessionsEnded int
	Invitation    bool
	Session       string // the cookie's text, if the policy signs in
}

// SetPassword uses a link: it sets the new password, once. Of many who try at
// once exactly one succeeds. The same form sent again, with the same password,
// is answered as the first time.
//
// The error is *token.Unusable for a link that does not work, and a fault about the
// field "password" if the password is refused, which uses nothing.
func (r *Recovery) SetPassword(ctx context.Context, env environment.Environment, use Use) (Done, error) {
	f, err := r.read(ctx, env, use.Link)
	if err != nil {
		return Done{}, err
	}
	if err := r.usable(env, f); err != nil { // before the hash: a dead link costs none
		return r.repeated(ctx, f, use, err)
	}
	if err := password.Check(use.Password, env.PasswordPolicy(f.user.Name, f.user.Email)); err != nil {
		return Done{}, errors.Join(err, r.recordRefusal(ctx, env, f, use.From, err))
	}
	hash, err := r.Hasher.Hash(ctx, use.Password)
	if err != nil {
		return Done{}, err
	}
	done, err := r.commit(ctx, env, f, use, hash)
	var unusable *token.Unusable
	if errors.As(err, &unusable) { // somebody was quicker
		if f, readErr := r.read(ctx, env, use.Link); readErr == nil {
			return r.repeated(ctx, f, use, err)
		}
	}
	return done, err
}

// commit makes it true, under all conditions at once.
func (r *Recovery) commit(ctx context.Context, env environment.Environment, f found, use Use, hash string) (Done, error) {
	var done Done
	err := r.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := user.Lock(tx, env.ID, f.user.ID)
		if err != nil {
			return token.Gone(err)
		}
		env, err := environment.Open(tx, env.ID)
		if err != nil {
			return err
		}
		now, err := find(tx, env, f.link.ID)
		if err != nil {
			return err
		}
		if err := judge(env, now, tx.Now()); err != nil {
			return err
		}
		won, err := token.Use(tx, env.ID, now.token.ID, use.Operation, use.From.Agent)
		if err != nil {
			return err
		}
		if !won {
			return &token.Unusable{Verdict: token.Used, At: tx.Now()}
		}
		done, err = r.finish(tx, env, u, now, use, hash)
		return err
	})
	return done, err
}

// finish is what follows from a password set: sessions ended, the slow-down
// lifted, the event written, the user told.
func (r *Recovery) finish(tx *db.Tx, env environment.Environment, u user.User, f found, use Use, hash string) (Done, error) {
	done := Done{User: u, Invitation: u.State == user.Invited}
	var err error
	if done.SessionsEnded, err = user.SetPassword(tx, env.ID, u, hash, password.Shape(hash), "", session.PasswordReset); err != nil {
		return done, err
	}
	// Links that a reset person made as an admin end with the old password.
	if err := token.EndLinksMadeBy(tx, env.ID, u.ID); err != nil {
		return done, err
	}
	for _, subject := range []string{"login:" + u.EmailKey, "code:" + u.EmailKey} {
		if err := liftWithBrowsers(tx, env, subject); err != nil {
			return done, err
		}
	}
	actor := self(env, u, use.From)
	detail, signedIn := audit.Detail{"channel": string(f.link.Channel)}, audit.Detail{}
	if !done.Invitation {
		took := strconv.Itoa(int(tx.Now().Sub(f.token.MadeAt).Seconds()))
		detail[audit.SinceAsked], signedIn[audit.SinceAsked] = took, took
	}
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.PasswordReset, User: u.ID, Actor: actor, Detail: detail}); err != nil {
		return done, err
	}
	if !done.Invitation {
		if err := notice.PasswordChanged(tx, env, to(u), f.token.ID, actor, done.SessionsEnded); err != nil {
			return done, err
		}
	}
	if env.Policy.SignedInAfter && use.MaySignIn {
		life := session.Life{Idle: env.Policy.SessionIdle, Most: env.Policy.SessionLife}
		if done.Session, _, err = session.Start(tx, env.ID, u.ID, life, use.From); err != nil {
			return done, err
		}
		if err := user.SignedIn(tx, env.ID, u); err != nil {
			return done, err
		}
		return done, audit.Record(tx, env.ID, audit.Event{Kind: audit.SignedIn, User: u.ID, Actor: actor, Detail: signedIn})
	}
	return done, nil
}

// liftWithBrowsers forgets the tries of a subject, those of single browsers included.
func liftWithBrowsers(tx *db.Tx, env environment.Environment, subject string) error {
	if err := throttle.Lift(tx, env.ID, subject); err != nil {
		return err
	}
	return throttle.LiftAll(tx, env.ID, subject+":")
}

// repeated answers the same form sent again, after a double click or an
// unknown outcome, as the first time: same operation, same password. Anything
// else gets the error it had.
func (r *Recovery) repeated(ctx context.Context, f found, use Use, unusable error) (Done, error) {
	if f.token.UsedAt.IsZero() || use.Operation == "" || f.token.Operation != use.Operation {
		return Done{}, unusable
	}
	result, err := r.Hasher.Verify(ctx, use.Password, f.user.PasswordHash)
	if err != nil {
		return Done{}, err
	}
	if !result.OK {
		return Done{}, unusable
	}
	return Done{User: f.user, Invitation: f.token.Purpose == secret.Invite}, nil
}

func (r *Recovery) recordRefusal(ctx context.Context, env environment.Environment, f found, from access.From, refusal error) error {
	why := ""
	if q := fault.As(refusal); q != nil {
		why = q.Sentence
	}
	return r.DB.Update(ctx, func(tx *db.Tx) error {
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.ResetRefused, User: f.user.ID, Actor: stranger(from), Detail: audit.Detail{"why": why}})
	})
}
