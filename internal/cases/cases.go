// Package cases holds the people whose recovery is stuck: the administrators'
// queue. A case opens by itself and goes when the person is back in, when what it
// waited for has come, or when nobody has seen to it for a month.
package cases

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Why a case was opened.
type Why string

// The reasons; people read them where nothing better is known.
const (
	Bounced     Why = "the mail came back"
	Refused     Why = "the mail was refused"
	Waiting     Why = "the mail is still waiting"
	NeverOpened Why = "somebody asked three times and opened nothing"
	Stopped     Why = "no mail goes to this address"
)

// Case is one person who needs help.
type Case struct {
	User  id.User   `db:"user_id"`
	Since time.Time `db:"since"`
	Why   Why       `db:"why"`
}

// Open puts a user in the queue; one who stands there already stays where they
// are. Any reason takes the place of a mail that waits: that one may go by itself.
func Open(tx *db.Tx, env id.Environment, user id.User, why Why) error {
	_, err := tx.Exec(`INSERT INTO cases (environment_id, user_id, since, why) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment_id, user_id) DO UPDATE SET why = excluded.why WHERE cases.why = $5`, env, user, tx.Now(), why, Waiting)
	return err
}

// Arrived takes a user out of the queue who stands there for this reason only,
// which has passed: a mail arrived.
func Arrived(tx *db.Tx, env id.Environment, user id.User, why Why) error {
	_, err := tx.Exec("DELETE FROM cases WHERE environment_id = $1 AND user_id = $2 AND why = $3", env, user, why)
	return err
}

// Close takes a user out of the queue; false if they were not in it.
func Close(tx *db.Tx, env id.Environment, user id.User) (bool, error) {
	n, err := tx.Exec("DELETE FROM cases WHERE environment_id = $1 AND user_id = $2", env, user)
	return n == 1, err
}

// Count tells how many stand in the queue, at most limit; a help desk helps
// members only.
func Count(tx *db.Tx, env id.Environment, membersOnly bool, limit int) (int, error) {
	return db.One[int](tx, "SELECT count(*) FROM (SELECT 1 "+fromCases+whose(membersOnly)+" LIMIT $2) AS found", env, limit)
}

// Among gives the cases of these users.
func Among(tx *db.Tx, env id.Environment, users []id.User) ([]Case, error) {
	in, args := db.Among([]any{env}, users)
	return db.All[Case](tx, "SELECT user_id, since, why FROM cases WHERE environment_id = $1 AND user_id IN ("+in+")", args...)
}

// Longest gives those who have waited longest.
func Longest(tx *db.Tx, env id.Environment, membersOnly bool, limit int) ([]Case, error) {
	return db.All[Case](tx, "SELECT c.user_id, c.since, c.why "+fromCases+whose(membersOnly)+" ORDER BY c.since, c.user_id LIMIT $2", env, limit)
}

const fromCases = "FROM cases c JOIN users u ON u.environment_id = c.environment_id AND u.id = c.user_id WHERE c.environment_id = $1"

func whose(membersOnly bool) string {
	if membersOnly {
		return " AND u.role = 'member'"
	}
	return ""
}

// keep is how long somebody stands in the queue: links and codes are long dead
// by then, and whoever still cannot sign in asks again.
const keep = 30 * 24 * time.Hour

// Forget takes up to limit people out of the queue who have stood there for a
// month, and tells how many.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM cases WHERE environment_id = $1 AND user_id IN (
		SELECT user_id FROM cases WHERE environment_id = $1 AND since < $2 LIMIT $3)`, env, tx.Now().Add(-keep), limit)
}
