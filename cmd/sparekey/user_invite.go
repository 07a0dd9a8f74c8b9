package main

import (
	"context"
	"fmt"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/user"
)

// userInvite is Resend invitation. The mail is queued; a running server sends it.
type userInvite struct {
	oneUser
}

func (c userInvite) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment, u user.User) error {
		invited, err := core.Recovery.ResendInvitation(ctx, access.Operator(), env, u.ID)
		if err != nil {
			return err
		}
		if to := invited.User.Email; invited.Stopped {
			return fault.New(fault.Conflict, "No mail goes to %s at the moment, so nothing was sent. Correct the address, allow mail to it again in the User Manager, or give the link another way: sparekey reset link --environment %s --email %s",
				printable(to), env.Slug, printable(to))
		}
		return t.say(printable(fmt.Sprintf("An invitation for %s is in the outbox; a running server mails it.", invited.User.Email)))
	})
}
