package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
)

// configurationGroup keeps what every command shares apart from its own flags.
var configurationGroup = kong.Group{
	Key: "configuration", Title: "Configuration:",
	Description: "Each flag can also be an environment variable (SPAREKEY_LISTEN for --listen) or a key of the configuration file (listen).",
}

// settings are the flags of every command that opens the database. The type of
// the struct behind them is made from the table in package config, so that no
// setting can be forgotten here.
type settings struct{ flags reflect.Value }

func newSettings() *settings {
	fields := []reflect.StructField{{
		Name: "Config", Type: reflect.TypeFor[string](),
		Tag: flagTag("config", "FILE", "The configuration file; without it "+config.DefaultFile+" in this folder, if there is one."),
	}}
	for _, s := range config.Settings() {
		name := strings.TrimPrefix(s.Flag, "--")
		fields = append(fields, reflect.StructField{
			Name: "Setting_" + s.Key, Type: reflect.TypeFor[string](),
			Tag: flagTag(name, "VALUE", fmt.Sprintf("%s Default: %s.", s.Meaning, s.Default)),
		})
	}
	return &settings{reflect.New(reflect.StructOf(fields))}
}

func flagTag(name, placeholder, help string) reflect.StructTag {
	return reflect.StructTag(fmt.Sprintf("name:%q placeholder:%q help:%q group:%q", name, placeholder, help, configurationGroup.Key))
}

// plugins puts the flags into a command's struct; all commands share them.
func (s *settings) plugins() kong.Plugins { return kong.Plugins{s.flags.Interface()} }

// load reads the configuration: flags, then variables, then the file.
func (s *settings) load(t *terminal) (config.Config, error) {
	given := map[string]string{}
	for i, one := range config.Settings() {
		given[strings.TrimPrefix(one.Flag, "--")] = s.flags.Elem().Field(i + 1).String()
	}
	return config.Load(given, t.environ, s.flags.Elem().Field(0).String())
}

// open opens the database and the keys for a command.
func (s *settings) open(ctx context.Context, t *terminal) (*app.Core, error) {
	c, err := s.load(t)
	if err != nil {
		return nil, err
	}
	return app.Open(ctx, c, options(c, t))
}

// options are what this program decides: the real clock, and a log on standard error.
func options(c config.Config, t *terminal) app.Options {
	how := &slog.HandlerOptions{Level: c.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(t.err, how)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(t.err, how)
	}
	return app.Options{Clock: time.Now, Log: slog.New(handler)}
}

// newCommands gives the shared flags to each command that opens the database.
func newCommands(s *settings) *commands {
	c := &commands{}
	for _, at := range []*kong.Plugins{
		&c.Serve.Settings, &c.Migrate.Settings, &c.Environment.Settings, &c.User.Settings, &c.Reset.Settings, &c.Keys.Settings, &c.Help.Settings, &c.Numbers.Settings, &c.Doctor.Settings, &c.DKIM.Settings,
	} {
		*at = s.plugins()
	}
	return c
}

// withCore runs a command on an open database and closes it.
func (s *settings) withCore(ctx context.Context, t *terminal, do func(*app.Core) error) error {
	core, err := s.open(ctx, t)
	if err != nil {
		return err
	}
	return errors.Join(do(core), core.Close())
}
