package help

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// What readers say is kept for as long as the numbers of recovery, and the
// newest of an environment only: strangers may say something too.
const (
	keepFeedback = 400 * 24 * time.Hour
	mostFeedback = 10_000
)

// Forget removes up to limit answers of readers that are too old or too many, and
// tells how many.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	before := tx.Now().Add(-keepFeedback)
	oldest, err := db.One[time.Time](tx, "SELECT at FROM help_feedback WHERE environment_id = $1 ORDER BY at DESC LIMIT 1 OFFSET $2", env, mostFeedback-1)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return 0, err
	}
	if oldest.After(before) {
		before = oldest
	}
	return tx.Exec(`DELETE FROM help_feedback WHERE environment_id = $1 AND (article, reader) IN (
		SELECT article, reader FROM help_feedback WHERE environment_id = $1 AND at < $2 LIMIT $3)`, env, before, limit)
}
