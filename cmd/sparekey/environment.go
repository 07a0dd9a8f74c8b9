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
)

type environmentCommands struct {
	Create  environmentCreate  `cmd:"" help:"Create an environment."`
	List    environmentList    `cmd:"" help:"List all environments."`
	Show    environmentShow    `cmd:"" help:"Show one environment."`
	Suspend environmentSuspend `cmd:"" help:"Close an environment for now. Nothing in it is lost."`
	Resume  environmentResume  `cmd:"" help:"Open a suspended environment again; what is still in date works again."`
	Delete  environmentDelete  `cmd:"" help:"Remove an environment and everything in it, for ever."`
	Policy  policyCommands     `cmd:"" help:"Read and change what an environment decides for itself."`

	Settings kong.Plugins `embed:""`
}

// environmentArg names one environment; commands about one embed it.
type environmentArg struct {
	Slug string `arg:"" help:"The short name of the environment, as in its addresses."`
}

// findEnvironment gives the environment of a slug, or says which one there is not.
func findEnvironment(ctx context.Context, core *app.Core, slug string) (environment.Environment, error) {
	env, err := core.Settings.BySlug(ctx, slug)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "There is no environment %q. See: sparekey environment list", slug)
	}
	return env, err
}

// with runs a command on an open database and one environment.
func (a environmentArg) with(ctx context.Context, t *terminal, s *settings, do func(*app.Core, environment.Environment) error) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		env, err := findEnvironment(ctx, core, a.Slug)
		if err != nil {
			return err
		}
		return do(core, env)
	})
}

// shownEnvironment is an environment as scripts read it.
type shownEnvironment struct {
	ID          string            `json:"id"`
	Slug        string            `json:"slug"`
	Name        string            `json:"name"`
	URL         string            `json:"url"` // of its login page
	MadeAt      *time.Time        `json:"made_at"`
	SuspendedAt *time.Time        `json:"suspended_at"`
	Policy      map[string]string `json:"policy"`
}

func showEnvironment(core *app.Core, e environment.Environment) shownEnvironment {
	return shownEnvironment{
		ID: string(e.ID), Slug: e.Slug, Name: e.Name, URL: core.Config.URL.JoinPath(e.Slug, "login").String(),
		MadeAt: stamp(e.MadeAt), SuspendedAt: stamp(e.SuspendedAt), Policy: showPolicy(e.Policy),
	}
}

type environmentCreate struct {
	environmentArg
	Name string `required:"" help:"The name as people read it, for example \"Acme Ltd\"."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (c environmentCreate) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		env, err := core.Settings.Create(ctx, access.Operator(), c.Slug, c.Name)
		if err != nil {
			return err
		}
		shown := showEnvironment(core, env)
		if c.JSON {
			return t.json(shown)
		}
		return t.say(fmt.Sprintf("Created environment %s. Its login page is %s", env.Slug, shown.URL))
	})
}

type environmentList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c environmentList) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		all, err := core.Settings.List(ctx, access.Operator())
		if err != nil {
			return err
		}
		shown := make([]shownEnvironment, 0, len(all))
		rows := make([][]string, 0, len(all))
		for _, e := range all {
			shown = append(shown, showEnvironment(core, e))
			rows = append(rows, []string{e.Slug, e.Name, environmentState(e), when(e.MadeAt, "")})
		}
		if c.JSON {
			return t.json(shown)
		}
		return t.table([]string{"SLUG", "NAME", "STATE", "MADE"}, rows)
	})
}

func environmentState(e environment.Environment) string {
	if e.Suspended() {
		return "suspended"
	}
	return "open"
}

type environmentShow struct {
	environmentArg
	JSON bool `name:"json" help:"Print JSON."`
}

func (c environmentShow) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		shown := showEnvironment(core, env)
		if c.JSON {
			return t.json(shown)
		}
		return t.facts([][2]string{
			{"Slug", env.Slug},
			{"Name", env.Name},
			{"State", environmentState(env)},
			{"Login page", shown.URL},
			{"Made", when(env.MadeAt, "")},
			{"Suspended", when(env.SuspendedAt, "no")},
			{"Id", shown.ID},
		})
	})
}

type environmentSuspend struct{ environmentArg }

func (c environmentSuspend) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		if err := core.Settings.Suspend(ctx, access.Operator(), env); err != nil {
			return err
		}
		return t.say(fmt.Sprintf("Environment %s is suspended. Resume it with: sparekey environment resume %s", env.Slug, env.Slug))
	})
}

type environmentResume struct{ environmentArg }

func (c environmentResume) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		if err := core.Settings.Resume(ctx, access.Operator(), env); err != nil {
			return err
		}
		return t.say(fmt.Sprintf("Environment %s is open again.", env.Slug))
	})
}

type environmentDelete struct {
	environmentArg
	Yes bool `help:"Do not ask back; needed where there is no terminal to ask on."`
}

func (c environmentDelete) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		if !c.Yes {
			if !isTerminal(t.in) {
				return usageError(fmt.Sprintf("This would remove environment %s with all its users, for ever, and there is no terminal to ask on; give --yes if you mean it", env.Slug))
			}
			if err := t.confirm(fmt.Sprintf("This removes environment %s (%s) with all its users, for ever.", env.Slug, env.Name), env.Slug); err != nil {
				return err
			}
		}
		if err := core.Settings.Delete(ctx, access.Operator(), env); err != nil {
			return err
		}
		return t.say(fmt.Sprintf("Deleted environment %s and everything in it.", env.Slug))
	})
}
