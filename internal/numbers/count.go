package numbers

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
)

// Measures besides the steps, the times and the reasons. Their texts are stored.
const (
	alone    = "alone"
	helped   = "helped"
	underWay = "under way"
	nobody   = "nobody"
	why      = "why:"
)

const (
	// settledAfter is how long after its end a day may still change: links live for
	// a day at most, and who set a password signs in soon.
	settledAfter = 2 * day
	// farthest is how far back the first counting goes: older tokens are gone.
	farthest = 90
	// keep is how long counted days are kept.
	keep = 400
	// patience is how long somebody is under way before anything is called a reason.
	patience = time.Hour
	// slice is how many tries are read at once.
	slice = 500
)

// Count counts the days of an environment that may still change; a job calls it
// now and then. Counting a day again is harmless: its rows are replaced.
func (n *Numbers) Count(ctx context.Context, env environment.Environment) error {
	p, err := n.howFar(ctx, env.ID)
	if err != nil {
		return err
	}
	now := n.DB.Now()
	first, err := n.first(ctx, env.ID, max(p.OpenDay, dayOf(now)-farthest))
	if err != nil {
		return err
	}
	if err := n.count(ctx, env.ID, first, dayOf(now)); err != nil {
		return err
	}
	open := dayOf(now.Add(-settledAfter))
	return n.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("DELETE FROM recovery_days WHERE environment_id = $1 AND day < $2", env.ID, dayOf(now)-keep)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE recovery_counts SET open_day = $2 WHERE environment_id = $1 AND open_day < $2", env.ID, open)
		return err
	})
}

// first skips the days before anybody asked.
func (n *Numbers) first(ctx context.Context, env id.Environment, from int) (int, error) {
	var at time.Time
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		at, err = db.One[time.Time](tx, "SELECT min(made_at) FROM tokens WHERE environment_id = $1 AND made_at >= $2", env, beginning(from))
		return err
	})
	if at.IsZero() {
		return max(from, dayOf(n.DB.Now())-1), err
	}
	return max(from, dayOf(at)), err
}

// lately is what somebody who looks wants to be new.
const lately = 12 * time.Hour

// refresh counts the last hours for somebody who looks, unless that has just been
// done or is being done for somebody else, who looks too.
func (n *Numbers) refresh(ctx context.Context, env id.Environment) error {
	p, err := n.howFar(ctx, env)
	now := n.DB.Now()
	if err != nil || now.Sub(p.CountedAt) < fresh && !p.CountedAt.After(now) {
		return err
	}
	if _, busy := n.counting.LoadOrStore(env, true); busy {
		return nil
	}
	defer n.counting.Delete(env)
	return n.count(ctx, env, dayOf(now.Add(-lately)), dayOf(now))
}

func (n *Numbers) howFar(ctx context.Context, env id.Environment) (progress, error) {
	var p progress
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		p, err = howFar(tx, env)
		return err
	})
	return p, err
}

// count counts the days from first to last and notes that it did.
func (n *Numbers) count(ctx context.Context, env id.Environment, first, last int) error {
	for d := first; d <= last; d++ {
		total, err := n.countDay(ctx, env, d)
		if err != nil {
			return err
		}
		if err := n.DB.Update(ctx, func(tx *db.Tx) error { return store(tx, env, d, total) }); err != nil {
			return err
		}
	}
	return n.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO recovery_counts (environment_id, open_day, counted_at) VALUES ($1, 0, $2)
			ON CONFLICT (environment_id) DO UPDATE SET counted_at = excluded.counted_at`, env, tx.Now())
		return err
	})
}

// countDay reads the tries of a day, a few hundred at a time so that no
// transaction is long.
func (n *Numbers) countDay(ctx context.Context, env id.Environment, d int) (map[string]int, error) {
	total := map[string]int{}
	now := n.DB.Now()
	after := attempt{MadeAt: beginning(d)}
	for more := true; more; {
		var some []attempt
		err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
			some, err = attempts(tx, env, after, beginning(d+1))
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, a := range some {
			a.count(total, now)
		}
		if more = len(some) == slice; more {
			after = some[len(some)-1]
		}
	}
	return total, n.DB.View(ctx, func(tx *db.Tx) (err error) {
		total[nobody], err = db.One[int](tx, "SELECT count(*) FROM requests WHERE environment_id = $1 AND made_at >= $2 AND made_at < $3 AND outcome = 'matched nobody'",
			env, beginning(d), beginning(d+1))
		return err
	})
}

// store replaces the rows of a day.
func store(tx *db.Tx, env id.Environment, d int, total map[string]int) error {
	if _, err := tx.Exec("UPDATE recovery_days SET n = 0 WHERE environment_id = $1 AND day = $2", env, d); err != nil {
		return err
	}
	for measure, n := range total {
		if n == 0 {
			continue
		}
		_, err := tx.Exec(`INSERT INTO recovery_days (environment_id, day, measure, n) VALUES ($1, $2, $3, $4)
			ON CONFLICT (environment_id, day, measure) DO UPDATE SET n = excluded.n`, env, d, measure, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// count adds one try to the measures.
func (a attempt) count(total map[string]int, now time.Time) {
	for _, s := range Steps {
		total[string(s)]++
		if s == a.step {
			break
		}
	}
	switch {
	case !a.UsedAt.IsZero() && a.helped:
		total[helped]++
	case !a.UsedAt.IsZero():
		total[alone]++
	case now.Sub(a.MadeAt) < patience:
		total[underWay]++
	default:
		total[why+string(a.class)]++
	}
	if a.step == SignedIn {
		total[bucket(a.signedInAt.Sub(a.askedAt))]++
	}
}

// unfinished says why somebody who asked set no password, by the newest evidence.
func (a attempt) unfinished() diagnosis.Class {
	switch {
	case a.step == Sent:
		return diagnosis.FormRefused
	case a.step == Opened:
		return diagnosis.Opened
	case a.reported != "":
		return a.reported
	case a.step == Reached && a.scanned:
		return diagnosis.ScannerOnly
	case a.step == Reached:
		return diagnosis.NotOpened
	case a.answered != "":
		return a.answered
	default:
		return diagnosis.Queued
	}
}
