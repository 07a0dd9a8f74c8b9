// Package suppression holds the addresses that get no mail until somebody clears
// them: writing there again would fail, or was reported as spam.
//
// Only administrators see it; who asks for a reset never does.
package suppression

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Entry is one address that gets no mail.
type Entry struct {
	AddressKey string    `db:"address_key"`
	Class      string    `db:"class"` // a diagnosis.Class
	Since      time.Time `db:"since"`
	Provider   string    `db:"provider"` // whose own list it is, or ""
	Reply      string    `db:"reply"`
}

const columns = "address_key, class, since, provider, reply"

// Add stops mail to an address; the first reason stays.
func Add(tx *db.Tx, env id.Environment, e Entry) error {
	_, err := tx.Exec(`INSERT INTO suppressions (environment_id, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (environment_id, address_key) DO NOTHING`, env, e.AddressKey, e.Class, e.Since, e.Provider, e.Reply)
	return err
}

// Of tells whether an address gets no mail, and why.
func Of(tx *db.Tx, env id.Environment, addressKey string) (Entry, bool, error) {
	e, err := db.One[Entry](tx, "SELECT "+columns+" FROM suppressions WHERE environment_id = $1 AND address_key = $2", env, addressKey)
	if errors.Is(err, db.ErrNone) {
		return e, false, nil
	}
	return e, err == nil, err
}

// Among gives the entries of these addresses.
func Among(tx *db.Tx, env id.Environment, addressKeys []string) ([]Entry, error) {
	in, args := db.Among([]any{env}, addressKeys)
	return db.All[Entry](tx, "SELECT "+columns+" FROM suppressions WHERE environment_id = $1 AND address_key IN ("+in+")", args...)
}

// keep is how long an address that is no user's is remembered: somebody made
// anew with it within a month is not written to in vain.
const keep = 30 * 24 * time.Hour

// Forget removes up to limit entries whose address is nobody's any more, and
// tells how many. A user's stays until somebody clears it.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM suppressions WHERE environment_id = $1 AND address_key IN (
		SELECT s.address_key FROM suppressions s WHERE s.environment_id = $1 AND s.since < $2 AND NOT EXISTS (
			SELECT 1 FROM users u WHERE u.environment_id = s.environment_id AND u.email_key = s.address_key) LIMIT $3)`,
		env, tx.Now().Add(-keep), limit)
}

// Clear allows mail again; false if it was allowed.
func Clear(tx *db.Tx, env id.Environment, addressKey string) (bool, error) {
	n, err := tx.Exec("DELETE FROM suppressions WHERE environment_id = $1 AND address_key = $2", env, addressKey)
	return n > 0, err
}
