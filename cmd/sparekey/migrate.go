package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/db"
)

type migrateCommand struct {
	JSON     bool         `name:"json" help:"Print JSON."`
	Settings kong.Plugins `embed:""`
}

func (c migrateCommand) Run(ctx context.Context, t *terminal, s *settings) error {
	conf, err := s.load(t)
	if err != nil {
		return err
	}
	o := options(conf, t)
	d, err := db.Open(ctx, db.Config{Engine: conf.Database.Engine, DSN: conf.Database.DSN, Clock: o.Clock})
	if err != nil {
		return err
	}
	steps, err := d.Migrate(ctx)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	if c.JSON {
		return t.json(map[string]int{"steps": steps})
	}
	if steps == 0 {
		return t.say("The database is up to date.")
	}
	return t.say(fmt.Sprintf("The database is up to date now, after %d %s.", steps, plural(steps, "step", "steps")))
}
