package main

import (
	"fmt"
	"io"
	"strings"
)

// progress is a bar on a person's terminal; elsewhere it shows nothing.
type progress struct {
	to    io.Writer // nil where nobody is watching
	what  string
	total int // about how many; 0 if unknown
	last  int
	phase int // an import that is all or nothing counts twice
	shown bool
}

func newProgress(t *terminal, what string, total int) *progress {
	p := &progress{what: what, total: total, phase: 1}
	if isTerminal(t.err) {
		p.to = t.err
	}
	return p
}

const barWidth = 30

// show draws the bar anew.
func (p *progress) show(n int) {
	if p.to == nil {
		return
	}
	if n < p.last {
		p.phase++
	}
	p.last, p.shown = n, true
	_, _ = io.WriteString(p.to, "\r\x1b[K"+p.text(n))
}

func (p *progress) text(n int) string {
	verb := []string{"", "Reading", "Writing"}[min(p.phase, 2)]
	if p.total == 0 {
		return fmt.Sprintf("%s: %d %s", verb, n, p.what)
	}
	n = min(n, p.total) // a cell may hold line breaks, and the head of the file counts, too
	full := barWidth * n / p.total
	return fmt.Sprintf("%s [%s%s] %d of %d %s", verb, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), n, p.total, p.what)
}

// clear takes the bar away, for what is printed next.
func (p *progress) clear() {
	if p.shown {
		_, _ = io.WriteString(p.to, "\r\x1b[K")
		p.shown = false
	}
}
