package main

import (
	_ "embed" // the labels that we dispute
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// score counts.
type score struct {
	sets   map[string]*count
	misses []string
}

type count struct {
	all, family, class, lies, strictLies, hardly int
	answers, believed                            int
}

// disputedText are labels that are wrong by their own definitions, with the reason.
//
//go:embed disputed.tsv
var disputedText string

const withoutDisputed = "all but the disputed labels"

// disputed tells whether the label of a specimen is one of them.
func (s specimen) disputed() bool {
	for line := range strings.Lines(disputedText) {
		if cells := strings.Split(line, "\t"); len(cells) == 4 && cells[0] == s.name && cells[1] == fmt.Sprint(s.nth+1) && cells[2] == s.accepted[0] {
			return true
		}
	}
	return false
}

func newScore() *score { return &score{sets: map[string]*count{}} }

// judge compares what is said of one signal with what it means.
func (s *score) judge(one specimen, v verdictOn) {
	class, hard := "unknown", false
	for i, rc := range v.Recipients {
		if one.address == "" && i == one.nth || one.address != "" && strings.EqualFold(rc.Address, one.address) {
			class, hard = rc.Class, rc.Hard
		}
	}
	if one.accepted[0] == "forged" {
		// The command cannot tell: only who knows the return path can.
		s.misses = append(s.misses, fmt.Sprintf("%s: %s: forged, read as %s %s (not counted)", one.set, one.name, v.Kind, class))
		return
	}
	var right []string
	for _, a := range one.accepted {
		right = append(right, families[a])
	}
	family := families[class]
	names := []string{one.set, "all"}
	if !one.disputed() {
		names = append(names, withoutDisputed)
	}
	for _, name := range names {
		c := s.sets[name]
		if c == nil {
			c = &count{}
			s.sets[name] = c
		}
		c.all++
		c.family += oneIf(slices.Contains(right, family))
		c.class += oneIf(slices.Contains(one.accepted, class))
		c.lies += oneIf(family == "address" && !slices.Contains(right, "address"))
		c.strictLies += oneIf(family == "address" && !slices.Contains(one.accepted, class))
		c.hardly += oneIf(hard && one.hard == "soft")
		if one.accepted[0] == "auto-reply" {
			c.answers++
			c.believed += oneIf(v.Kind == "bounce" || v.Kind == "complaint" || family != "none" && family != "unknown")
		}
	}
	if !slices.Contains(one.accepted, class) || hard && one.hard == "soft" {
		note := ""
		if hard && one.hard == "soft" {
			note = " (hard, but it is soft)"
		}
		s.misses = append(s.misses, fmt.Sprintf("%s: %s#%d: %s, said %s%s  %.160s", one.set, one.name, one.nth+1, strings.Join(one.accepted, " or "), class, note, strings.ReplaceAll(one.text, "\n", " / ")))
	}
}

func ofAll(set string) bool { return set == "all" || set == withoutDisputed }

func (c count) met() bool {
	return c.family*100 >= 95*c.all && c.class*100 >= 85*c.all && c.strictLies*100 <= c.all && c.believed == 0
}

func oneIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

func share(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d (%.1f %%)", n, of, 100*float64(n)/float64(of))
}

// print writes the table and what was missed.
func (s *score) print(out io.Writer) error {
	var b strings.Builder
	b.WriteString("| set | family | class | lies | of them across families | hard said of soft | automatic answers believed |\n|---|---|---|---|---|---|---|\n")
	names := slices.Sorted(maps.Keys(s.sets))
	slices.SortStableFunc(names, func(a, b string) int { return oneIf(ofAll(a)) - oneIf(ofAll(b)) })
	for _, name := range names {
		c := s.sets[name]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %s |\n", name, share(c.family, c.all), share(c.class, c.all), share(c.strictLies, c.all), c.lies, c.hardly, share(c.believed, c.answers))
	}
	for _, name := range slices.DeleteFunc(names, func(name string) bool { return !ofAll(name) }) {
		fmt.Fprintf(&b, "\nTarget (family 95 %%, class 85 %%, lies 1 %%, no automatic answer believed), %s: %s\n", name, verdict(s.sets[name].met()))
	}
	if len(s.misses) > 0 {
		b.WriteString("\n" + strings.Join(s.misses, "\n") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
