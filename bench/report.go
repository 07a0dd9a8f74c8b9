package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	Operation string             `json:"operation"`
	Figure    string             `json:"figure"`
	Raw       string             `json:"raw"`
	Ratio     string             `json:"ratio"`
	Target    string             `json:"target"`
	Verdict   string             `json:"verdict"` // "met", "missed" or "" without a target
	Numbers   map[string]float64 `json:"numbers"`
}

// verdict of a target.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// failedNote tells of requests that failed: figures beside failures prove little.
func (r *row) failedNote(failed int, why error) {
	if failed == 0 {
		return
	}
	r.Figure += fmt.Sprintf("; %d failed (%v)", failed, why)
	r.Numbers["failed"] = float64(failed)
	if r.Verdict != "" {
		r.Verdict = "missed"
	}
}

// report collects rows and says on standard error how far it is.
type report struct {
	started time.Time
	rows    []row
	json    bool
}

func (r *report) add(rows ...row) {
	for _, line := range rows {
		r.say("%s: %s | %s | %s %s", line.Operation, line.Figure, line.Raw, line.Ratio, line.Verdict)
		r.rows = append(r.rows, line)
	}
}

func (r *report) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(r.started).Seconds(), fmt.Sprintf(format, a...))
}

// print writes the table, or one JSON object.
func (r *report) print(w io.Writer, heading string) error {
	if r.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"run": heading, "rows": r.rows})
	}
	lines := [][]string{{"operation", "figure", "raw beside it", "ratio", "target", ""}}
	for _, l := range r.rows {
		lines = append(lines, []string{l.Operation, l.Figure, l.Raw, l.Ratio, l.Target, l.Verdict})
	}
	var b strings.Builder
	b.WriteString(heading + "\n\n")
	for i, l := range lines {
		b.WriteString("| " + strings.Join(l, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(l)) + "|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rate writes a number of things a second.
func rate(perSecond float64) string {
	digits := fmt.Sprintf("%.0f", perSecond)
	switch {
	case perSecond < 100:
		return fmt.Sprintf("%.1f/s", perSecond)
	case len(digits) > 3:
		return digits[:len(digits)-3] + "," + digits[len(digits)-3:] + "/s"
	default:
		return digits + "/s"
	}
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func times(n float64) string { return fmt.Sprintf("%.1f×", n) }

// spread writes p50 / p99 in milliseconds.
func spread(p50, p99 float64) string { return fmt.Sprintf("p50 %.2f / p99 %.2f ms", p50, p99) }

// spreadOf takes the medians over rounds of both percentiles.
func spreadOf(rounds []outcome) (p50, p99 float64) {
	return medians(rounds, func(o outcome) float64 { return o.ms(0.50) }),
		medians(rounds, func(o outcome) float64 { return o.ms(0.99) })
}
