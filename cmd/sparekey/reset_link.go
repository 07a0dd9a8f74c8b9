package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/user"
)

type resetCommands struct {
	Link resetLink `cmd:"" help:"Print the link of a user's password reset token, as Reset Password in the User Manager does."`

	Settings kong.Plugins `embed:""`
}

type resetLink struct {
	oneUser
	Mint bool `help:"Make a token if there is none, where the policy of the environment allows it (admin_links=mint)."`
	JSON bool `name:"json" help:"Print JSON."`
}

func (resetLink) Help() string {
	return "Make sure who is asking before you hand the link over. The user is told by mail that it was made, and it works once."
}

func (c resetLink) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment, u user.User) error {
		got, err := core.Recovery.ResetPassword(ctx, access.Operator(), env, u.ID, c.Mint)
		if env.Policy.AdminLinks == environment.Off && fault.Is(err, fault.Denied) {
			return fault.New(fault.Denied, "The policy of environment %s shows nobody but the user a reset link (admin_links is off). Ask the user to choose “I forgot my password”.", env.Slug)
		}
		if err != nil {
			return err
		}
		if got.Text != "" && env.Suspended() {
			if _, err := fmt.Fprintf(t.err, "Environment %s is suspended: the link works once it is open again. See: sparekey environment resume %s\n", env.Slug, env.Slug); err != nil {
				return err
			}
		}
		if got.Text == "" {
			return c.noToken(env)
		}
		link := core.Config.URL.JoinPath(env.Slug, "reset-password", got.Text).String()
		if c.JSON {
			return t.json(struct {
				Link    string     `json:"link"`
				Expires *time.Time `json:"expires"`
			}{link, stamp(got.EndsAt)})
		}
		return t.say(link)
	})
}

func (c resetLink) noToken(env environment.Environment) error {
	if !c.Mint {
		return fault.New(fault.NotFound, "%s", recovery.NoToken)
	}
	return fault.New(fault.Denied, "%s The policy of environment %s does not let administrators make one (admin_links is %s).",
		recovery.NoToken, env.Slug, env.Policy.AdminLinks)
}
