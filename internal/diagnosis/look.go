package diagnosis

import (
	"time"

	"github.com/sparekey/sparekey/internal/agent"
)

// Around is what happened around an opening.
type Around struct {
	AcceptedAt time.Time // when a server took the link's mail; zero if none did or the link was not mailed
	Opens      []Open    // all of the same link, this one included
	// FormAt is when a form with a new password was last sent from it, zero if none was.
	FormAt time.Time
	Now    time.Time
}

// sign is one thing that tells a scanner from a person. The figures are judgement
// from public reports: never used to allow or forbid, only to word a sentence.
type sign struct {
	by         By
	confidence float64
	words      string
	shows      func(Open, Around) bool
}

// The times of the signs.
const (
	inLine        = 5 * time.Minute // a longer time before is that of an earlier copy
	atOnce        = 5 * time.Second
	soon          = time.Minute
	sheetFollows  = 10 * time.Second
	sameBurst     = time.Minute
	personReturns = 2 * time.Minute
)

var signs = []sign{
	{ByPerson, 1, "sent the form", Open.isSenders},
	{ByScanner, 1, "before the server had taken the mail", func(o Open, a Around) bool {
		return o.At.Before(a.AcceptedAt) && a.AcceptedAt.Sub(o.At) < inLine
	}},
	{ByScanner, 0.95, "asked for the head of the page only", func(o Open, _ Around) bool { return o.Method != "GET" && o.Method != "" }},
	{ByPerson, 0.95, "the browser that asked, or that has signed in before", func(o Open, _ Around) bool { return o.Known }},
	{ByScanner, 0.9, "a program, not a browser", func(o Open, _ Around) bool { return agent.Scanner(o.Agent) }},
	{ByScanner, 0.9, "several networks or programs within a minute", Open.isOneOfMany},
	{ByScanner, 0.85, "within seconds of the mail being taken", func(o Open, a Around) bool {
		return after(a.AcceptedAt, o.At, atOnce)
	}},
	{ByPerson, 0.75, "the page was shown in a browser", func(o Open, a Around) bool {
		return !o.StyledAt.IsZero() && (a.AcceptedAt.IsZero() || o.At.Sub(a.AcceptedAt) >= soon)
	}},
	{ByPerson, 0.7, "came back later from the same network", Open.isReturn},
	{ByScanner, 0.7, "the page was never shown", func(o Open, a Around) bool {
		return o.StyledAt.IsZero() && a.Now.Sub(o.At) > sheetFollows
	}},
	{ByScanner, 0.7, "names no language", func(o Open, _ Around) bool { return !o.Language }},
	{ByPerson, 0.6, "the page was shown in a browser", func(o Open, _ Around) bool { return !o.StyledAt.IsZero() }},
	{ByScanner, 0.55, "within a minute of the mail being taken", func(o Open, a Around) bool {
		return after(a.AcceptedAt, o.At, soon)
	}},
}

// Look guesses who opened a link: the strongest sign counts, they are not added.
func Look(o Open, a Around) Guess {
	g := Guess{Vendor: agent.Vendor(o.Agent)}
	for _, s := range signs {
		if s.confidence > g.Confidence && s.shows(o, a) {
			g.By, g.Confidence, g.Sign = s.by, s.confidence, s.words
		}
	}
	return g
}

// after tells whether a moment came within a span after another that is known.
func after(start, at time.Time, within time.Duration) bool {
	return !start.IsZero() && !at.Before(start) && at.Sub(start) < within
}

// isSenders: a form settles what the last opening before it was.
func (o Open) isSenders(a Around) bool {
	if a.FormAt.IsZero() || o.At.After(a.FormAt) {
		return false
	}
	for _, other := range a.Opens {
		if other.At.After(o.At) && !other.At.After(a.FormAt) {
			return false
		}
	}
	return true
}

// isOneOfMany: the same link fetched by two or more unrelated networks or
// programs within a minute is a scanner's work, but perhaps for the last.
func (o Open) isOneOfMany(a Around) bool {
	if !o.StyledAt.IsZero() {
		return false
	}
	for _, other := range a.Opens {
		apart := other.At.Sub(o.At)
		if apart > 0 && apart <= sameBurst && (other.Network != o.Network || other.Agent != o.Agent) {
			return true
		}
	}
	return false
}

// isReturn: somebody who comes back from the same network minutes later.
func (o Open) isReturn(a Around) bool {
	for _, other := range a.Opens {
		if other.Network == o.Network && o.At.Sub(other.At) > personReturns {
			return true
		}
	}
	return false
}
