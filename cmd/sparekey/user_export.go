package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/porting"
)

type userExport struct {
	inEnvironment
	File       string `arg:"" default:"-" help:"The file to write, readable by you alone; - is standard output."`
	Format     string `enum:",csv,jsonl" default:"" placeholder:"csv|jsonl" help:"How to write it. Without it the name of the file tells, and standard output gets CSV."`
	JSON       bool   `name:"json" help:"The same as --format jsonl."`
	WithHashes bool   `help:"Add the password hashes, for a move to another server. Keep the file like the passwords themselves."`
}

func (userExport) Help() string {
	return "user import reads the same file back. In CSV a cell that a spreadsheet might run as a formula begins with an apostrophe, which user import takes off again."
}

func (c userExport) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		if c.File == "-" {
			_, err := c.export(ctx, t, core, env, t.out)
			return err
		}
		n, err := c.toFile(ctx, t, core, env)
		if err != nil {
			return err
		}
		return t.say(fmt.Sprintf("Wrote %d %s to %s.", n, plural(n, "user", "users"), c.File))
	})
}

func (c userExport) export(ctx context.Context, t *terminal, core *app.Core, env environment.Environment, w io.Writer) (int, error) {
	o := porting.ExportOptions{Format: porting.Format(c.Format), WithHashes: c.WithHashes}
	switch {
	case o.Format != "":
	case c.JSON:
		o.Format = porting.JSONLines
	default:
		o.Format = porting.FormatOf(c.File)
	}
	if !isTerminal(w) { // else the users themselves are the progress
		bar := newProgress(t, "users", 0)
		defer bar.clear()
		o.Progress = bar.show
	}
	return core.Porting.Export(ctx, access.Operator(), env, w, o)
}

// toFile writes beside the file and renames, so that nobody ever reads half an
// export or one that others may read.
func (c userExport) toFile(ctx context.Context, t *terminal, core *app.Core, env environment.Environment) (int, error) {
	f, err := os.CreateTemp(filepath.Dir(c.File), ".sparekey-export-*") // mode 0600
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, fmt.Sprintf("The file %s cannot be written.", c.File))
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename there is nothing left
	n, err := c.export(ctx, t, core, env, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), c.File)
}
