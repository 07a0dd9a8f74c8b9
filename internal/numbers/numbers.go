// Package numbers says how recovery goes: how many tries lead back in, how many
// of them without an administrator, how long it takes, where they stop and why.
//
// What is counted is one try of one person to get back in: a reset token, from
// the asking that made it to the sign-in after it was used. Days are counted once
// they are over (count.go) and kept; a page adds up a few hundred small rows,
// however large the environment is.
package numbers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Numbers holds what its verbs need.
type Numbers struct {
	DB *db.DB

	counting sync.Map // the environments that are just being counted
}

// Step is how far a person came.
type Step string

// The steps, each of which includes those before: who opened an administrator's
// link has been reached, though no mail was taken.
const (
	Asked    Step = "asked"
	Reached  Step = "reached" // a mail server took the mail, or the link came another way
	Opened   Step = "opened"
	Sent     Step = "sent" // the form with a new password, refused or not
	Used     Step = "used" // a new password is set
	SignedIn Step = "signed in"
)

// Steps lists them in order.
var Steps = []Step{Asked, Reached, Opened, Sent, Used, SignedIn}

// Report is what a period says.
type Report struct {
	Days      int
	CountedAt time.Time // how new the numbers are; zero if nothing was counted yet

	Funnel []Count[Step]
	// What became of those who asked: they add up to Funnel's first.
	Alone    int // set a password without an administrator
	Helped   int // with one
	UnderWay int // asked within the last hour
	NotBack  int

	Median, P90 time.Duration            // from asking to signed in; zero if nobody was
	Times       []Count[Span]            // how long it took
	Reasons     []Count[diagnosis.Class] // why the others did not set a password, most first
	Nobody      int                      // askings for addresses that nobody has
	ByDay       []Day                    // every day of the period, oldest first
}

// Count is how often something happened.
type Count[T any] struct {
	What T
	N    int
}

// Day is one day of a report.
type Day struct {
	At time.Time // its beginning, UTC
	// What became of those who asked, as in the report; the rest is not back in.
	Asked, Alone, Helped, UnderWay int
}

// Periods are those that may be asked for, in days.
var Periods = []int{7, 30, 90}

// fresh is how old the counts of the last hours may be.
const fresh = time.Minute

// Show gives the numbers of the last days of an environment, today included, to
// those who may see them. Invalid for a period that is not offered.
func (n *Numbers) Show(ctx context.Context, actor access.Actor, env environment.Environment, days int) (Report, error) {
	if err := access.Check(actor, env.ID, access.SeeNumbers); err != nil {
		return Report{}, err
	}
	if !slices.Contains(Periods, days) {
		return Report{}, fault.New(fault.Invalid, "Numbers are kept for the last 7, 30 or 90 days.")
	}
	if err := n.refresh(ctx, env.ID); err != nil && !fault.Is(err, fault.Unavailable) { // then the older ones do
		return Report{}, err
	}
	var report Report
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		report, err = add(tx, env.ID, days)
		return err
	})
	return report, err
}

type progress struct {
	OpenDay   int       `db:"open_day"`
	CountedAt time.Time `db:"counted_at"`
}

func howFar(tx *db.Tx, env id.Environment) (progress, error) {
	p, err := db.One[progress](tx, "SELECT open_day, counted_at FROM recovery_counts WHERE environment_id = $1", env)
	if errors.Is(err, db.ErrNone) {
		return progress{}, nil
	}
	return p, err
}

type dayRow struct {
	Day     int    `db:"day"`
	Measure string `db:"measure"`
	N       int    `db:"n"`
}

// add sums the days up.
func add(tx *db.Tx, env id.Environment, days int) (Report, error) {
	p, err := howFar(tx, env)
	if err != nil {
		return Report{}, err
	}
	today := dayOf(tx.Now())
	first := today - days + 1
	rows, err := db.All[dayRow](tx, "SELECT day, measure, n FROM recovery_days WHERE environment_id = $1 AND day >= $2 AND day <= $3 AND n > 0", env, first, today)
	if err != nil {
		return Report{}, err
	}
	r := Report{Days: days, CountedAt: p.CountedAt, ByDay: make([]Day, days)}
	for i := range r.ByDay {
		r.ByDay[i].At = beginning(first + i)
	}
	total := map[string]int{}
	for _, row := range rows {
		total[row.Measure] += row.N
		d := &r.ByDay[row.Day-first]
		switch row.Measure {
		case string(Asked):
			d.Asked = row.N
		case alone:
			d.Alone = row.N
		case helped:
			d.Helped = row.N
		case underWay:
			d.UnderWay = row.N
		}
	}
	r.fill(total)
	return r, nil
}

func (r *Report) fill(total map[string]int) {
	for _, s := range Steps {
		r.Funnel = append(r.Funnel, Count[Step]{s, total[string(s)]})
	}
	r.Alone, r.Helped, r.UnderWay, r.Nobody = total[alone], total[helped], total[underWay], total[nobody]
	r.NotBack = max(0, total[string(Asked)]-r.Alone-r.Helped-r.UnderWay)
	r.Median, r.P90, r.Times = spread(total)
	for measure, n := range total {
		if class, ok := strings.CutPrefix(measure, why); ok && n > 0 {
			r.Reasons = append(r.Reasons, Count[diagnosis.Class]{diagnosis.Class(class), n})
		}
	}
	slices.SortFunc(r.Reasons, func(a, b Count[diagnosis.Class]) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.What, b.What))
	})
}

const day = 24 * time.Hour

func dayOf(t time.Time) int { return int(t.Unix() / int64(day/time.Second)) }

func beginning(d int) time.Time { return time.Unix(int64(d)*int64(day/time.Second), 0).UTC() }
