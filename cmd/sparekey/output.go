package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/mattn/go-isatty"

	"github.com/sparekey/sparekey/internal/fault"
)

// say prints one text to standard output.
func (t *terminal) say(text string) error {
	_, err := fmt.Fprintln(t.out, text)
	return err
}

// json prints one value as JSON.
func (t *terminal) json(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false) // this is no web page: links stay readable
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows under a head, in columns as wide as they need to be.
func (t *terminal) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// facts prints names and values, one a line.
func (t *terminal) facts(all [][2]string) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, f := range all {
		if _, err := fmt.Fprintf(w, "%s:\t%s\n", f[0], printable(f[1])); err != nil {
			return err
		}
	}
	return w.Flush()
}

// confirm asks a person to type a word before something is gone for ever. A
// script, which has no terminal, has said what it wants.
func (t *terminal) confirm(warning, word string) error {
	if !isTerminal(t.in) {
		return nil
	}
	if _, err := fmt.Fprintf(t.err, "%s\nType %s to go on: ", warning, word); err != nil {
		return err
	}
	answer, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != word {
		return fault.New(fault.Invalid, "Nothing was changed.")
	}
	return nil
}

func isTerminal(of any) bool {
	f, ok := of.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// printable keeps names and replies of strangers from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

// stamp is a time in JSON: RFC 3339, UTC; nil for none.
func stamp(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// when is a time as people read it; none is the word for no time.
func when(at time.Time, none string) string {
	if at.IsZero() {
		return none
	}
	return at.UTC().Format("2006-01-02 15:04:05 UTC")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
