package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
)

type policyCommands struct {
	Get policyGet `cmd:"" help:"Show all settings of an environment, or one."`
	Set policySet `cmd:"" help:"Change settings of an environment, all of those named or none."`
}

func showPolicy(p environment.Policy) map[string]string {
	all := map[string]string{}
	for _, s := range environment.Settings {
		all[s.Name] = s.Get(p)
	}
	return all
}

type policyGet struct {
	environmentArg
	Setting string `arg:"" optional:"" help:"Print the value of this one alone."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

func (c policyGet) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(_ *app.Core, env environment.Environment) error {
		all := showPolicy(env.Policy)
		if c.Setting != "" {
			value, ok := all[settingName(c.Setting)]
			if !ok {
				return fault.New(fault.NotFound, "There is no setting %q. The settings are %s.", c.Setting, settingNames())
			}
			if c.JSON {
				return t.json(value)
			}
			return t.say(printable(value))
		}
		if c.JSON {
			return t.json(all)
		}
		rows := make([][]string, 0, len(all))
		for _, one := range environment.Settings {
			rows = append(rows, []string{one.Name, all[one.Name], one.Meaning})
		}
		return t.table([]string{"SETTING", "VALUE", "MEANING"}, rows)
	})
}

type policySet struct {
	environmentArg
	Values []string `arg:"" name:"setting=value" help:"What to change, for example admin_links=mint link_life=4h. Nothing after the sign takes a value away where that is allowed."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

func (policySet) Help() string {
	var b strings.Builder
	b.WriteString("The settings and what they may be:\n\n")
	for _, s := range environment.Settings {
		fmt.Fprintf(&b, "    %s: %s\n        %s\n", s.Name, s.Meaning, s.Allowed)
	}
	return b.String()
}

func (c policySet) Run(ctx context.Context, t *terminal, s *settings) error {
	values, err := c.values()
	if err != nil {
		return err
	}
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		env, changed, err := core.Settings.ChangePolicy(ctx, access.Operator(), env, values)
		if err != nil {
			return err
		}
		if c.JSON {
			return t.json(showPolicy(env.Policy))
		}
		if len(changed) == 0 {
			return t.say("Nothing was different before.")
		}
		for _, one := range changed {
			if err := t.say(printable(fmt.Sprintf("%s: %s (before: %s)", one.Name, orNothing(one.New), orNothing(one.Old)))); err != nil {
				return err
			}
		}
		return nil
	})
}

// values reads SETTING=VALUE …; one setting may also be written SETTING VALUE.
func (c policySet) values() (map[string]string, error) {
	given := c.Values
	if len(given) == 2 && !strings.Contains(given[0], "=") {
		given = []string{given[0] + "=" + given[1]}
	}
	values := map[string]string{}
	for _, one := range given {
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			return nil, usageError(fmt.Sprintf("%q is not SETTING=VALUE", one))
		}
		name = settingName(name)
		if _, twice := values[name]; twice {
			return nil, usageError(fmt.Sprintf("The setting %s is given twice", name))
		}
		values[name] = value
	}
	return values, nil
}

// settingName lets people write admin-links, as they would a flag.
func settingName(written string) string { return strings.ReplaceAll(written, "-", "_") }

func settingNames() string {
	names := make([]string, 0, len(environment.Settings))
	for _, s := range environment.Settings {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}
