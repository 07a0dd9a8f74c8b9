package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/numbers"
)

type numbersCommand struct {
	inSome
	Days int  `enum:"7,30,90" default:"30" help:"How many days: 7, 30 or 90, today included."`
	JSON bool `name:"json" help:"Print JSON: a list with an object for each environment."`

	Settings kong.Plugins `embed:""`
}

func (numbersCommand) Help() string {
	return "What is counted is tries, not people: a try begins with an asking and ends with the sign-in after the password was set. Client Admins see the numbers of their environment under Numbers."
}

// shownNumbers are the numbers of an environment as scripts read them.
type shownNumbers struct {
	Environment string         `json:"environment"`
	Days        int            `json:"days"`
	CountedAt   *time.Time     `json:"counted_at"`
	Funnel      map[string]int `json:"funnel"`
	Alone       int            `json:"alone"`
	Helped      int            `json:"helped"`
	UnderWay    int            `json:"under_way"`
	NotBack     int            `json:"not_back"`
	Median      *int           `json:"median_seconds"` // null: nobody came back
	P90         *int           `json:"p90_seconds"`
	Reasons     map[string]int `json:"reasons"`
	Nobody      int            `json:"matched_nobody"`
}

func shown(env environment.Environment, r numbers.Report) shownNumbers {
	s := shownNumbers{
		Environment: env.Slug, Days: r.Days, CountedAt: stamp(r.CountedAt), Funnel: map[string]int{}, Reasons: map[string]int{},
		Alone: r.Alone, Helped: r.Helped, UnderWay: r.UnderWay, NotBack: r.NotBack,
		Nobody: r.Nobody,
	}
	if r.Alone+r.Helped > 0 {
		s.Median, s.P90 = new(int(r.Median.Seconds())), new(int(r.P90.Seconds()))
	}
	for _, step := range r.Funnel {
		s.Funnel[string(step.What)] = step.N
	}
	for _, why := range r.Reasons {
		s.Reasons[string(why.What)] = why.N
	}
	return s
}

func (c numbersCommand) Run(ctx context.Context, t *terminal, s *settings) error {
	all := []shownNumbers{}
	return c.each(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		r, err := core.Numbers.Show(ctx, access.Operator(), env, c.Days)
		all = append(all, shown(env, r))
		return err
	}, func() error {
		if c.JSON {
			return t.json(all)
		}
		var rows [][]string
		for _, n := range all {
			asked := n.Funnel[string(numbers.Asked)]
			rows = append(rows, []string{
				n.Environment, strconv.Itoa(asked), share(n.Alone, asked), share(n.Helped, asked), seconds(n.Median), seconds(n.P90),
			})
		}
		return t.table([]string{"ENVIRONMENT", "TRIES", "BACK ALONE", "WITH HELP", "MEDIAN", "P90"}, rows)
	})
}

func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d %%", (part*100+whole/2)/whole)
}

func seconds(n *int) string {
	if n == nil {
		return "-"
	}
	return (time.Duration(*n) * time.Second).String()
}
