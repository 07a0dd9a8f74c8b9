package outbox

import (
	"context"
	"errors"
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
		select {
		case <-ctx.Done():
		case <-tick.C:
			Begin(d.DB, d.Kind)
		}
	}
	workers.Wait()
}

func (d *Drain) work(ctx context.Context) {
	for {
		for d.one(ctx) {
		}
		select {
		case <-ctx.Done():
			return
		case <-d.DB.Notified(topic(d.Kind)):
		}
	}
}

// one does the job that waits longest; it tells false if there was none, or no
// database to ask.
func (d *Drain) one(ctx context.Context) bool {
	var j due
	err := guarded(func() error {
		return d.DB.Update(ctx, func(tx *db.Tx) (err error) {
			j = due{}
			if j, err = take(tx, d.Kind); err != nil {
				return err
			}
			if tx.Now().Sub(j.DueAt) > backlogAfter {
				tx.Notify(topic(d.Kind)) // one more worker may help
			}
			return d.Do(tx, j.Job)
		})
	})
	switch {
	case err == nil:
		return true
	case errors.Is(err, db.ErrNone) && j.ID == "", ctx.Err() != nil:
		return false
	}
	d.Log.Error("job", "kind", d.Kind, "job", j.ID, "try", j.Tries, "error", err)
	return j.ID != "" && d.putOff(ctx, j.Job)
}

// putOff lets a failed job rest.
func (d *Drain) putOff(ctx context.Context, j Job) bool {
	err := d.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE jobs SET due_at = $3, tries = $4 WHERE environment_id = $1 AND id = $2",
			j.Environment, j.ID, tx.Now().Add(Backoff(j.Tries)), j.Tries)
		return err
	})
	if err != nil && ctx.Err() == nil {
		d.Log.Error("put off job", "kind", d.Kind, "job", j.ID, "error", err)
	}
	return err == nil
}

// backlogAfter is how long a job waits before its worker calls another.
const backlogAfter = 20 * time.Millisecond

type due struct {
	Job
	DueAt time.Time `db:"due_at"`
}

// take ends the job that has waited longest, for a transaction that does it;
// db.ErrNone if none is due. On PostgreSQL it passes over those that others have
// taken and not yet committed.
func take(tx *db.Tx, kind Kind) (due, error) {
	jobs, err := db.All[due](tx, `DELETE FROM jobs WHERE (environment_id, id) IN (
		SELECT environment_id, id FROM jobs WHERE kind = $1 AND due_at <= $2 AND leased_until <= $2
		ORDER BY due_at LIMIT 1`+tx.Dialect().SkipLocked+`) RETURNING environment_id, id, subject, tries, due_at`, kind, tx.Now())
	if err != nil {
		return due{}, err
	}
	if len(jobs) == 0 {
		return due{}, db.ErrNone
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
