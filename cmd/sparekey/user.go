package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

type userCommands struct {
	Create     userCreate     `cmd:"" help:"Create a user. Without a password the user is invited by mail."`
	List       userList       `cmd:"" help:"List the users of an environment by name."`
	Show       userShow       `cmd:"" help:"Show a user: account, reset token, links and mails."`
	Deactivate userDeactivate `cmd:"" help:"Close an account: sessions and links end at once."`
	Activate   userActivate   `cmd:"" help:"Open a deactivated account again."`
	Invite     userInvite     `cmd:"" help:"Mail a further link of an invitation that was not accepted yet."`
	Delete     userDelete     `cmd:"" help:"Remove a user, for ever."`
	Import     userImport     `cmd:"" help:"Add the users of a CSV or JSON Lines file."`
	Export     userExport     `cmd:"" help:"Write all users of an environment as CSV or JSON Lines."`

	Settings kong.Plugins `embed:""`
}

// inEnvironment names the environment of a command; commands within one embed it.
type inEnvironment struct {
	Environment string `required:"" placeholder:"SLUG" help:"The short name of the environment, as in its addresses."`
}

func (i inEnvironment) with(ctx context.Context, t *terminal, s *settings, do func(*app.Core, environment.Environment) error) error {
	return environmentArg{Slug: i.Environment}.with(ctx, t, s, do)
}

// oneUser names a user; commands about one embed it.
type oneUser struct {
	inEnvironment
	Email string `required:"" placeholder:"ADDRESS" help:"The e-mail address of the user."`
}

// with runs a command on an open database, one environment and one user of it.
func (o oneUser) with(ctx context.Context, t *terminal, s *settings, do func(*app.Core, environment.Environment, user.User) error) error {
	return o.inEnvironment.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		u, err := core.UserManager.Find(ctx, access.Operator(), env, o.Email)
		if err != nil {
			return o.named(err)
		}
		return do(core, env, u)
	})
}

// named says which user there is not.
func (o oneUser) named(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "There is no user %q in environment %s. See: sparekey user list --environment %s", o.Email, o.Environment, o.Environment)
	}
	return err
}

type userCreate struct {
	oneUser
	Name          string `required:"" help:"The name as people read it."`
	Role          string `enum:",member,helpdesk,client-admin,operator" default:"" placeholder:"ROLE" help:"What the user may do: member, helpdesk or client-admin; without it member. In the environment operator everybody is an operator."`
	PasswordStdin bool   `help:"Read a password from standard input instead of inviting the user."`
	JSON          bool   `name:"json" help:"Print JSON, as user show does."`
}

func (c userCreate) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.inEnvironment.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		u, err := c.create(ctx, t, core, env)
		if err != nil {
			return err
		}
		if c.JSON {
			return showAsJSON(ctx, t, core, env, u)
		}
		if c.PasswordStdin {
			return t.say(printable(fmt.Sprintf("Created %s (%s). The password works now.", u.Name, u.Email)))
		}
		stands, err := core.UserManager.User(ctx, access.Operator(), env, u.ID)
		if err != nil {
			return err
		}
		said := "Created %s (%s). The server mails the invitation."
		if stands.Suppressed {
			said = "Created %s (%s). No mail goes to this address at the moment, so no invitation was sent. Allow mail to it in the User Manager, or use: sparekey reset link"
		}
		return t.say(printable(fmt.Sprintf(said, u.Name, u.Email)))
	})
}

func (c userCreate) create(ctx context.Context, t *terminal, core *app.Core, env environment.Environment) (user.User, error) {
	n := usermanager.New{Email: c.Email, Name: c.Name, Role: access.Role(c.Role)}
	if !c.PasswordStdin {
		return core.UserManager.Create(ctx, access.Operator(), env, n)
	}
	password, err := readPassword(t.in)
	if err != nil {
		return user.User{}, err
	}
	return core.UserManager.CreateWithPassword(ctx, access.Operator(), env, n, password)
}

// maxPassword is far more than any password may have, in bytes.
const maxPassword = 64 << 10

// readPassword takes everything but the end of the line that echo adds. White
// space belongs to the password.
func readPassword(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxPassword))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" {
		return "", fault.InvalidField("password", "Standard input holds no password.")
	}
	return password, nil
}

type userList struct {
	inEnvironment
	Search string `placeholder:"WORDS" help:"Only users whose name or address contains each of these words."`
	Role   string `enum:",member,helpdesk,client-admin" default:"" placeholder:"ROLE" help:"Only users of this role: member, helpdesk or client-admin."`
	State  string `enum:",invited,active,deactivated" default:"" placeholder:"STATE" help:"Only users in this state: invited, active or deactivated."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// listedUser is a user in a list as scripts read it: the fields of user show
// that a list has at hand.
type listedUser struct {
	ID         string     `json:"id"`
	Email      string     `json:"email"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	State      string     `json:"state"`
	LastSignIn *time.Time `json:"last_sign_in"`
	LiveToken  bool       `json:"live_token"`
}

func (c userList) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		filter := user.Filter{Words: c.Search, Role: access.Role(c.Role), State: user.State(c.State), Limit: 200}
		shown := []listedUser{}
		for more := true; more; {
			page, err := core.UserManager.List(ctx, access.Operator(), env, filter)
			if err != nil {
				return err
			}
			for _, r := range page.Rows {
				u := r.User
				shown = append(shown, listedUser{
					ID: string(u.ID), Email: u.Email, Name: u.Name, Role: string(u.Role), State: string(u.State),
					LastSignIn: stamp(u.LastSignInAt), LiveToken: r.Live,
				})
			}
			if more = page.Next != nil; more {
				filter.After = *page.Next
			}
		}
		if c.JSON {
			return t.json(shown)
		}
		rows := make([][]string, 0, len(shown))
		for _, u := range shown {
			rows = append(rows, []string{u.Email, u.Name, u.Role, u.State, whenIf(u.LastSignIn, "never")})
		}
		return t.table([]string{"EMAIL", "NAME", "ROLE", "STATE", "LAST SIGN-IN"}, rows)
	})
}

type userDeactivate struct{ oneUser }

func (c userDeactivate) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment, u user.User) error {
		u, ended, err := core.UserManager.Deactivate(ctx, access.Operator(), env, u.ID)
		if err != nil {
			return err
		}
		return t.say(printable(fmt.Sprintf("%s is deactivated; %d %s ended.", u.Name, ended, plural(ended, "session", "sessions"))))
	})
}

type userActivate struct{ oneUser }

func (c userActivate) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment, u user.User) error {
		u, err := core.UserManager.Activate(ctx, access.Operator(), env, u.ID)
		if err != nil {
			return err
		}
		return t.say(printable(fmt.Sprintf("%s is %s again.", u.Name, u.State)))
	})
}

type userDelete struct {
	oneUser
	Yes bool `help:"Do not ask back. It is asked on a terminal only."`
}

func (c userDelete) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment, u user.User) error {
		if !c.Yes {
			if err := t.confirm(printable(fmt.Sprintf("This removes %s from environment %s, for ever.", u.Name, env.Slug)), u.Email); err != nil {
				return err
			}
		}
		if _, err := core.UserManager.Delete(ctx, access.Operator(), env, u.ID); err != nil {
			return err
		}
		return t.say(printable(fmt.Sprintf("Deleted %s (%s).", u.Name, u.Email)))
	})
}
