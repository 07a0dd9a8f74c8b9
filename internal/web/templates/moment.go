package templates

import (
	"fmt"
	"strings"
	"time"
)

// Sentence is a sentence in words, and the times that it names.
type Sentence struct {
	Words string
	Times []Named // in the order of the words; what does not stand there is left out
}

// Named is a time as a sentence names it.
type Named struct {
	At    time.Time
	Words string
}

// parts cuts the sentence around its times; words between them have none.
func (s Sentence) parts() []Named {
	var all []Named
	rest := s.Words
	for _, t := range s.Times {
		before, after, ok := strings.Cut(rest, t.Words)
		if !ok || t.Words == "" {
			continue
		}
		if before != "" {
			all = append(all, Named{Words: before})
		}
		all, rest = append(all, t), after
	}
	return append(all, Named{Words: rest})
}

// ago says how far t lies from now, as people feel it.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < -time.Minute:
		return "in " + span(-d)
	case d < 45*time.Second:
		return "just now"
	case d < time.Hour-30*time.Second:
		return span(d) + " ago"
	case d < 36*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Round(time.Hour).Hours()))
	case d < 14*24*time.Hour:
		return fmt.Sprintf("%d days ago", days(t, now))
	default:
		return t.In(now.Location()).Format("2 Jan 2006")
	}
}

// span writes a duration with at most two units.
func span(d time.Duration) string {
	d = d.Round(time.Minute)
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 4*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 {
			return fmt.Sprintf("%d h", h)
		}
		return fmt.Sprintf("%d h %d min", h, m)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// left writes what remains until t to the minute.
func left(t, now time.Time) string {
	d := t.Sub(now).Round(time.Minute)
	if d < time.Minute {
		return "under a minute"
	}
	h, m := int(d.Hours()), int(d.Minutes())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d days", h/24)
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	default:
		return fmt.Sprintf("%d h %d min", h, m)
	}
}

func days(t, now time.Time) int {
	t = t.In(now.Location())
	a := time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC)
	b := time.Date(now.Year(), now.Month(), now.Day(), 12, 0, 0, 0, time.UTC)
	return int(b.Sub(a).Hours() / 24)
}

// exact is the moment with its zone.
func exact(t, now time.Time) string {
	return t.In(now.Location()).Format("Monday 2 January 2006, 15:04:05 MST")
}

// moment names t inside a sentence: "today at 14:05 UTC", "on Tuesday at 14:05 UTC".
func moment(t, now time.Time) string {
	t = t.In(now.Location())
	clock := t.Format("15:04 MST")
	switch n := days(t, now); {
	case n == 0:
		return "today at " + clock
	case n == 1:
		return "yesterday at " + clock
	case n == -1:
		return "tomorrow at " + clock
	case n > -7 && n < 7:
		return "on " + t.Format("Monday") + " at " + clock
	default:
		return "on " + t.Format("2 January 2006") + " at " + clock
	}
}

// day heads a group of a timeline.
func day(t, now time.Time) string {
	t = t.In(now.Location())
	switch n := days(t, now); {
	case n == 0:
		return "Today"
	case n == 1:
		return "Yesterday"
	case n > 0 && n < 7:
		return t.Format("Monday 2 January")
	default:
		return t.Format("2 January 2006")
	}
}
