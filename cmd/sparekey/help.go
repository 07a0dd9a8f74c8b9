package main

import (
	"context"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/help"
)

type helpCommands struct {
	Feedback helpFeedback `cmd:"" help:"Show what readers say of the help articles."`

	Settings kong.Plugins `embed:""`
}

// inSome names one environment, or none for all of them.
type inSome struct {
	Environment string `placeholder:"SLUG" help:"Only this environment; without it all of them."`
}

// each runs a command on an open database for each environment it names.
func (i inSome) each(ctx context.Context, t *terminal, s *settings, do func(*app.Core, environment.Environment) error, after func() error) error {
	if i.Environment != "" {
		return environmentArg{Slug: i.Environment}.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
			if err := do(core, env); err != nil {
				return err
			}
			return after()
		})
	}
	return s.withCore(ctx, t, func(core *app.Core) error {
		all, err := core.Settings.List(ctx, access.Operator())
		if err != nil {
			return err
		}
		for _, env := range all {
			if err := do(core, env); err != nil {
				return err
			}
		}
		return after()
	})
}

type helpFeedback struct {
	inSome
	JSON bool `name:"json" help:"Print every answer as JSON: a list of objects."`
}

func (helpFeedback) Help() string {
	return "Each reader counts once for an article and is not named. Client Admins see the feedback of their environment under Help."
}

func (c helpFeedback) Run(ctx context.Context, t *terminal, s *settings) error {
	answers := []help.Answer{}
	var rows [][]string
	return c.each(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		if c.JSON {
			return core.Help.Answers(ctx, access.Operator(), env, func(a help.Answer) error {
				answers = append(answers, a)
				return nil
			})
		}
		report, err := core.Help.Feedback(ctx, access.Operator(), env)
		for _, a := range report.Tallies {
			rows = append(rows, []string{env.Slug, a.Article, strconv.Itoa(a.Yes), strconv.Itoa(a.No)})
		}
		return err
	}, func() error {
		switch {
		case c.JSON:
			return t.json(answers)
		case len(rows) == 0:
			return t.say("Nobody has answered yet.")
		default:
			return t.table([]string{"ENVIRONMENT", "ARTICLE", "YES", "NO"}, rows)
		}
	})
}
