package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/porting"
)

type userImport struct {
	inEnvironment
	File    string `arg:"" help:"The file; - is standard input."`
	Format  string `enum:",csv,jsonl" default:"" placeholder:"csv|jsonl" help:"How the file is written. Without it the name tells: .jsonl, .ndjson and .json are JSON Lines, all others CSV."`
	DryRun  bool   `help:"Look at every line and change nothing."`
	Partial bool   `help:"Add the good lines although others are refused."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

func (userImport) Help() string {
	return "The fields are email, name, role (member unless it says otherwise), state, external_id and password_hash. " +
		"Without a password hash a user is invited when somebody sends the invitation. " +
		"Users who are there already are never changed. One refused line is enough for nothing to be added, unless --partial is given; " +
		"the exit status is 1 then, too."
}

// imported is what came of an import as scripts read it.
type imported struct {
	Read    int           `json:"read"`
	Added   int           `json:"added"` // in a dry run those that would be
	Refused int           `json:"refused"`
	DryRun  bool          `json:"dry_run"`
	Lines   []refusedLine `json:"lines"` // those refused
}

type refusedLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (c userImport) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		in, total, closeFile, err := c.open(t)
		if err != nil {
			return err
		}
		defer func() { _ = closeFile() }() // it was only read
		out := imported{DryRun: c.DryRun, Lines: []refusedLine{}}
		bar := newProgress(t, "lines", total)
		o := porting.ImportOptions{Format: c.format(), DryRun: c.DryRun, Partial: c.Partial, Progress: bar.show}
		o.Report = func(line int, reason string) {
			if c.JSON {
				out.Lines = append(out.Lines, refusedLine{line, reason})
				return
			}
			bar.clear()
			_, _ = fmt.Fprintf(t.out, "line %d: %s\n", line, printable(reason)) // the end of the import says whether it worked
		}
		sum, refused := core.Porting.Import(ctx, access.Operator(), env, in, o)
		bar.clear()
		if refused != nil && !fault.Is(refused, fault.Invalid) {
			return refused
		}
		out.Read, out.Added, out.Refused = sum.Read, sum.Added, sum.Refused
		return errors.Join(c.print(t, out), refused, c.leftOut(out))
	})
}

// leftOut is the failure of an import that is partial: scripts must notice.
func (c userImport) leftOut(out imported) error {
	if !c.Partial || out.Refused == 0 {
		return nil
	}
	verb := "were not"
	switch {
	case c.DryRun:
		verb = "would not be"
	case out.Refused == 1:
		verb = "was not"
	}
	return fault.New(fault.Invalid, "%d of %d lines %s imported; see the report above.", out.Refused, out.Read, verb)
}

func (c userImport) print(t *terminal, out imported) error {
	if c.JSON {
		return t.json(out)
	}
	verb := "added"
	if c.DryRun {
		verb = "would be added"
	}
	return t.say(fmt.Sprintf("%d read, %d %s, %d refused.", out.Read, out.Added, verb, out.Refused))
}

func (c userImport) format() porting.Format {
	if c.Format != "" {
		return porting.Format(c.Format)
	}
	return porting.FormatOf(c.File)
}

// open gives the file and, for a progress bar, about how many lines it has.
func (c userImport) open(t *terminal) (in io.Reader, lines int, closeFile func() error, err error) {
	if c.File == "-" {
		return t.in, 0, func() error { return nil }, nil
	}
	f, err := os.Open(c.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, 0, nil, fault.New(fault.NotFound, "There is no file %s.", c.File)
	case err != nil:
		return nil, 0, nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("The file %s cannot be read.", c.File))
	}
	if isTerminal(t.err) {
		if lines, err = countLines(f); err != nil {
			lines = 0 // a pipe, or what will fail again below: no bar, only a number
		}
	}
	return f, lines, f.Close, nil
}

func countLines(f *os.File) (int, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	n, block := 0, make([]byte, 64<<10)
	for {
		got, err := f.Read(block)
		n += bytes.Count(block[:got], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			_, err = f.Seek(0, io.SeekStart)
			return n, err
		}
		if err != nil {
			return 0, err
		}
	}
}
