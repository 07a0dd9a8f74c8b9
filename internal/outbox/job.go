// Package outbox holds work that was promised together with the change that
// caused it: jobs, and the mails some of them send.
//
// A job commits with its cause, is claimed with a lease and is done at least
// once, also after a kill. Handlers end a job in the transaction that holds its
// effect. What a mail says is not stored here: it is rendered when it is sent.
package outbox

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Kind says which pool works on a job.
type Kind string

// The kinds of job.
const (
	Resolve Kind = "resolve" // subject: a reset request
	Send    Kind = "send"    // subject: a message
)

// Job is a claimed piece of work.
type Job struct {
	Environment id.Environment `db:"environment_id"`
	ID          id.Job         `db:"id"`
	Subject     string         `db:"subject"`
	Tries       int            `db:"tries"` // this one included
	Loaded      any            // what Pool.Load gave, or would give
	holder      string
	promise     *promise // of a job that starts at once
}

// promise is what becomes of the transaction that promises a job.
type promise struct {
	settled chan struct{}
	kept    bool
	stop    <-chan struct{} // the worker may wait no longer
}

// Committed waits until a job that starts at once is promised for good. It tells
// false if the transaction came to nothing: then there is no such job; and when the
// server stops: then its lease runs out, and somebody else does it.
func (j Job) Committed() bool {
	if j.promise == nil {
		return true
	}
	select {
	case <-j.promise.settled:
		return j.promise.kept
	default:
	}
	select {
	case <-j.promise.settled:
		return j.promise.kept
	case <-j.promise.stop:
		return false
	}
}

// Enqueue promises work, due now. If a worker of this process is free, the job is
// leased to it and starts now or soon after the commit; that spares the commit of a
// claim. Otherwise whoever looks next claims it. Loaded is what Pool.Load would read,
// or nil: then it reads, after the commit.
func Enqueue(tx *db.Tx, env id.Environment, kind Kind, subject string, loaded any) error {
	j := Job{Environment: env, ID: id.New[id.Job](), Subject: subject, Loaded: loaded}
	leasedUntil := int64(0)
	if p, ok := tx.Attached(topic(kind)).(*Pool); ok && p.reserve() {
		j.Tries, j.holder = 1, p.holder
		leasedUntil = tx.Now().Add(Lease).UnixMicro()
		p.startWith(tx, j)
	} else {
		tx.Notify(topic(kind))
	}
	_, err := tx.Exec(`INSERT INTO jobs (environment_id, id, kind, subject, due_at, leased_until, lease_holder, tries)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, env, j.ID, kind, subject, tx.Now(), leasedUntil, j.holder, j.Tries)
	return err
}

func topic(kind Kind) string { return "jobs:" + string(kind) }

// claim takes up to n jobs that are due and that nobody holds, except some.
//
// The condition on the lease stands in the outer WHERE too. On PostgreSQL two
// claimers may both find a row in the sub-select; the second then waits for the
// row, and only the outer condition makes it look again.
func claim(tx *db.Tx, kind Kind, holder string, n int, lease time.Duration, except []Job) ([]Job, error) {
	args, others := []any{tx.Now().Add(lease), holder, tx.Now(), kind, n}, ""
	if len(except) > 0 {
		ids := make([]id.Job, len(except))
		for i, j := range except {
			ids[i] = j.ID
		}
		var in string
		in, args = db.Among(args, ids)
		others = " AND id NOT IN (" + in + ")"
	}
	jobs, err := db.All[Job](tx, `UPDATE jobs SET leased_until = $1, lease_holder = $2, tries = tries + 1
		WHERE leased_until <= $3 AND due_at <= $3 AND (environment_id, id) IN (
			SELECT environment_id, id FROM jobs WHERE kind = $4 AND due_at <= $3 AND leased_until <= $3`+others+`
			ORDER BY due_at LIMIT $5)
		RETURNING environment_id, id, subject, tries`, args...)
	for i := range jobs {
		jobs[i].holder = holder
	}
	return jobs, err
}

// renew keeps the leases of jobs that are under way.
func renew(tx *db.Tx, jobs []Job, lease time.Duration) error {
	for _, j := range jobs {
		_, err := tx.Exec("UPDATE jobs SET leased_until = $1 WHERE environment_id = $2 AND id = $3 AND lease_holder = $4",
			tx.Now().Add(lease), j.Environment, j.ID, j.holder)
		if err != nil {
			return err
		}
	}
	return nil
}

// Done ends a job. It tells false if the lease was lost to somebody else, whose
// result then counts.
func Done(tx *db.Tx, j Job) (bool, error) {
	n, err := tx.Exec("DELETE FROM jobs WHERE environment_id = $1 AND id = $2 AND lease_holder = $3", j.Environment, j.ID, j.holder)
	return n == 1, err
}

// Postpone gives a job back until later. Like Done it tells false if the lease
// was lost.
func Postpone(tx *db.Tx, j Job, until time.Time) (bool, error) {
	n, err := tx.Exec("UPDATE jobs SET due_at = $4, leased_until = 0, lease_holder = '' WHERE environment_id = $1 AND id = $2 AND lease_holder = $3",
		j.Environment, j.ID, j.holder, until)
	return n == 1, err
}

// Hold gives a job back untried until later: it is no try. Like Done it tells
// false if the lease was lost.
func Hold(tx *db.Tx, j Job, until time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET due_at = $4, leased_until = 0, lease_holder = '', tries = tries - 1
		WHERE environment_id = $1 AND id = $2 AND lease_holder = $3`, j.Environment, j.ID, j.holder, until)
	return n == 1, err
}

// Waiting counts the jobs of a kind, for metrics.
func Waiting(tx *db.Tx, kind Kind) (int, error) {
	return db.One[int](tx, "SELECT count(*) FROM jobs WHERE kind = $1", kind)
}
