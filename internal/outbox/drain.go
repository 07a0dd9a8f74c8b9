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
			if j, err = take(tx, d.Kind); err != nil || j.ID == "" {
				return err
			}
			if err := d.wakeIfMore(tx); err != nil {
				return err
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

func (d *Drain) wakeIfMore(tx *db.Tx) error {
	more, err := db.One[bool](tx, "SELECT EXISTS (SELECT 1 FROM jobs WHERE kind = $1 AND due_at <= $2 AND leased_until <= $2)", d.Kind, tx.Now())
	if more {
		Begin(d.DB, d.Kind)
	}
	return err
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

// take ends the job that has waited longest, for a transaction that does it; none
// has no id. On PostgreSQL it passes over those that others have taken and not yet
// committed.
func take(tx *db.Tx, kind Kind) (Job, error) {
	jobs, err := db.All[Job](tx, `DELETE FROM jobs WHERE (environment_id, id) IN (
		SELECT environment_id, id FROM jobs WHERE kind = $1 AND due_at <= $2 AND leased_until <= $2
		ORDER BY due_at LIMIT 1`+tx.Dialect().SkipLocked+`) RETURNING environment_id, id, subject, tries`, kind, tx.Now())
	if err != nil || len(jobs) == 0 {
		return Job{}, err
	}
	jobs[0].Tries++
	return jobs[0], nil
}

// Promise records work for a Drain, due now. It is begun when somebody calls
// Begin, and within a second in any case.
func Promise(tx *db.Tx, env id.Environment, kind Kind, subject string) error {
	return insert(tx, Job{Environment: env, ID: id.New[id.Job](), Subject: subject}, kind, 0)
}

// Begin lets what was promised begin at once. Who must not feel what the work
// costs calls it last.
func Begin(d *db.DB, kind Kind) { d.Wake(topic(kind)) }
