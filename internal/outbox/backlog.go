package outbox

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
)

// Backlog is what waits of one kind of job.
type Backlog struct {
	Kind Kind `db:"kind"`
	All  int  `db:"all_jobs"` // those put off included
	Due  int  `db:"due"`      // due, and nobody works on them
	// OldestDue is since when the oldest of the latter is due; zero if there is none.
	OldestDue time.Time `db:"oldest_due"`
}

// Backlogs gives what waits, by kind.
func Backlogs(tx *db.Tx) ([]Backlog, error) {
	return db.All[Backlog](tx, `SELECT kind, count(*) AS all_jobs,
		count(*) FILTER (WHERE due_at <= $1 AND leased_until <= $1) AS due,
		min(CASE WHEN due_at <= $1 AND leased_until <= $1 THEN due_at END) AS oldest_due
		FROM jobs GROUP BY kind ORDER BY kind`, tx.Now())
}
