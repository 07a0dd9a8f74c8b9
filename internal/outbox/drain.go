package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Drain does the jobs of a kind whose whole work is one transaction: a job is
// taken, done and ended in it. Nothing is leased, and a kill undoes all of it.
type Drain struct {
	DB   *db.DB
	Kind Kind
	Size int // jobs at a time
	Log  *slog.Logger
	// Do does a job. Its error undoes what it did, and the job is tried again later.
	Do func(tx *db.Tx, j Job) error
}

// Run works until ctx ends, and finishes the jobs under way.
func (d *Drain) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range d.Size {
		workers.Go(func() { d.work(ctx) })
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		Begin(d.DB, d.Kind)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	workers.Wait()
}

func (d *Drain) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.DB.Notified(topic(d.Kind)):
			d.one(ctx)
		}
	}
}

// one does the job that waits longest, and wakes another worker if there are more.
func (d *Drain) one(ctx context.Context) {
	var j Job
	err := guarded(func() error {
		return d.DB.Update(ctx, func(tx *db.Tx) (err error) {
			var more bool
			if j, more, err = take(tx, d.Kind); err != nil || j.ID == "" {
				return err
			}
			if more {
				Begin(d.DB, d.Kind)
				tx.Notify(topic(d.Kind)) // what was passed over is free again
			}
			return d.Do(tx, j)
		})
	})
	if err == nil || ctx.Err() != nil {
		return
	}
	d.Log.Error("job", "kind", d.Kind, "job", j.ID, "try", j.Tries, "error", err)
	if j.ID != "" {
		d.putOff(ctx, j)
	}
}

// putOff lets a failed job rest.
func (d *Drain) putOff(ctx context.Context, j Job) {
	err := d.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE jobs SET due_at = $3, tries = $4 WHERE environment_id = $1 AND id = $2",
			j.Environment, j.ID, tx.Now().Add(Backoff(j.Tries)), j.Tries)
		return err
	})
	if err != nil && ctx.Err() == nil {
		d.Log.Error("put off job", "kind", d.Kind, "job", j.ID, "error", err) // it is tried again within a second
	}
}

// take ends the job that has waited longest, for a transaction that does it, and
// tells whether there are more; none has no id. On PostgreSQL it passes over those
// that others have taken and not yet committed.
func take(tx *db.Tx, kind Kind) (j Job, more bool, err error) {
	jobs, err := db.All[Job](tx, `SELECT environment_id, id, subject, tries FROM jobs WHERE kind = $1 AND due_at <= $2 AND leased_until <= $2
		ORDER BY due_at LIMIT 2`+tx.Dialect().SkipLocked, kind, tx.Now())
	if err != nil || len(jobs) == 0 {
		return Job{}, false, err
	}
	j = jobs[0]
	j.Tries++
	_, err = tx.Exec("DELETE FROM jobs WHERE environment_id = $1 AND id = $2", j.Environment, j.ID)
	return j, len(jobs) > 1, err
}

// Promise records work for a Drain, due now. It is begun when somebody calls
// Begin, and within a second in any case.
func Promise(tx *db.Tx, env id.Environment, kind Kind, subject string) error {
	return insert(tx, Job{Environment: env, ID: id.New[id.Job](), Subject: subject}, kind, 0)
}

// Begin lets what was promised begin at once. Who must not feel what the work
// costs calls it last.
func Begin(d *db.DB, kind Kind) { d.Wake(topic(kind)) }
