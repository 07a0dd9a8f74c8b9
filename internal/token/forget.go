package token

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// keep is how long tokens and links are remembered: a link in an old mail still
// says why it does not work.
const keep = 90 * 24 * time.Hour

// Forget removes up to limit old tokens with their links, and tells how many.
// An open one goes too: all its links ended long ago.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	old, err := db.All[id.Token](tx, `SELECT t.id FROM tokens t WHERE t.environment_id = $1 AND t.id < $2
		AND NOT EXISTS (SELECT 1 FROM links l WHERE l.environment_id = t.environment_id AND l.token_id = t.id AND l.ends_at > $3) LIMIT $4`,
		env, id.Before[id.Token](tx.Now().Add(-keep)), tx.Now().Add(-keep), limit)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	in, args := db.Among([]any{env}, old)
	if _, err := tx.Exec("DELETE FROM links WHERE environment_id = $1 AND token_id IN ("+in+")", args...); err != nil {
		return 0, err
	}
	return tx.Exec("DELETE FROM tokens WHERE environment_id = $1 AND id IN ("+in+")", args...)
}
