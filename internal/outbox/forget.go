package outbox

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// keep is how long mails and what servers said about them are remembered.
const keep = 90 * 24 * time.Hour

// Forget removes up to limit settled messages with their attempts, and the
// links that only they carried; it tells how many messages.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	old, err := db.All[Message](tx, "SELECT "+messageColumns+` FROM messages
		WHERE environment_id = $1 AND id < $2 AND settled_at IS NOT NULL LIMIT $3`, env, id.Before[id.Message](tx.Now().Add(-keep)), limit)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	var messages []id.Message
	var links []string
	for _, m := range old {
		messages = append(messages, m.ID)
		links = append(links, m.Link, m.NotMe)
	}
	in, args := db.Among([]any{env}, links)
	// Those of a token go with it.
	if _, err := tx.Exec("DELETE FROM links WHERE environment_id = $1 AND token_id = '' AND id IN ("+in+")", args...); err != nil {
		return 0, err
	}
	in, args = db.Among([]any{env}, messages)
	return tx.Exec("DELETE FROM messages WHERE environment_id = $1 AND id IN ("+in+")", args...)
}
