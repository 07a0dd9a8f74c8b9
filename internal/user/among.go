package user

import (
	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// TakenAmong tells which of some canonical addresses belong to users.
func TakenAmong(tx *db.Tx, env id.Environment, keys []string) (map[string]bool, error) {
	taken := map[string]bool{}
	in, args := db.Among([]any{env}, keys)
	found, err := db.All[string](tx, "SELECT u.email_key FROM users u WHERE u.environment_id = $1 AND u.email_key IN ("+in+")", args...)
	for _, key := range found {
		taken[key] = true
	}
	return taken, err
}

// IsLastAdmin tells whether a user is an active Client Admin and nobody else is.
// It locks the rows of all active ones, so that two who remove each other at
// once do not both find the other still there.
func IsLastAdmin(tx *db.Tx, env id.Environment, u User) (bool, error) {
	if u.Role != access.ClientAdmin || u.State != Active {
		return false, nil
	}
	admins, err := db.All[id.User](tx, `SELECT u.id FROM users u
		WHERE u.environment_id = $1 AND u.role = 'client-admin' AND u.state = 'active' ORDER BY u.id`+tx.Dialect().ForUpdate, env)
	return len(admins) <= 1, err
}

// Among gives the users of these ids.
func Among(tx *db.Tx, env id.Environment, ids []id.User) (map[id.User]User, error) {
	in, args := db.Among([]any{env}, ids)
	found, err := db.All[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 AND u.id IN ("+in+")", args...)
	users := make(map[id.User]User, len(found))
	for _, u := range found {
		users[u.ID] = u
	}
	return users, err
}
