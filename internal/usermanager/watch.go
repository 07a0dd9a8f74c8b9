package usermanager

import (
	"context"
	"fmt"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// Version names how much is known of a user at this moment: it changes with
// every event, mail, answer, report and opening. For whoever watches a page.
func (m *UserManager) Version(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (string, error) {
	if err := within(actor, env); err != nil {
		return "", err
	}
	type sums struct {
		Events   time.Time `db:"events"`
		Messages int       `db:"messages"`
		Settled  time.Time `db:"settled"`
		Tried    time.Time `db:"tried"`
		Next     time.Time `db:"next"`
		Reports  int       `db:"reports"`
		Opens    int       `db:"opens"`
		Styled   int       `db:"styled"`
	}
	var s sums
	err := m.DB.View(ctx, func(tx *db.Tx) error {
		u, err := user.Find(tx, env.ID, userID)
		if err != nil {
			return err
		}
		if err := access.CheckOn(actor, env.ID, access.SeeTimeline, u.Target()); err != nil {
			return err
		}
		s, err = db.One[sums](tx, `SELECT
			(SELECT max(e.at) FROM events e WHERE e.environment_id = $1 AND e.user_id = $2) AS events,
			(SELECT count(*) FROM messages m WHERE m.environment_id = $1 AND m.user_id = $2) AS messages,
			(SELECT max(m.settled_at) FROM messages m WHERE m.environment_id = $1 AND m.user_id = $2) AS settled,
			(SELECT max(m.next_try_at) FROM messages m WHERE m.environment_id = $1 AND m.user_id = $2) AS next,
			(SELECT max(a.at) FROM messages m JOIN attempts a ON a.environment_id = m.environment_id AND a.message = m.id
				WHERE m.environment_id = $1 AND m.user_id = $2) AS tried,
			(SELECT count(*) FROM reports r WHERE r.environment_id = $1 AND r.user_id = $2) AS reports,
			(SELECT count(*) FROM links l JOIN opens o ON o.environment_id = l.environment_id AND o.link_id = l.id
				WHERE l.environment_id = $1 AND l.user_id = $2) AS opens,
			(SELECT count(o.styled_at) FROM links l JOIN opens o ON o.environment_id = l.environment_id AND o.link_id = l.id
				WHERE l.environment_id = $1 AND l.user_id = $2) AS styled`, env.ID, userID)
		return err
	})
	return fmt.Sprint(s), err
}
