package token

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Look is one opening of a link, with what tells a scanner from a person.
type Look struct {
	ID       id.Open   `db:"id"`
	Link     string    `db:"link_id"`
	User     id.User   `db:"user_id"`
	At       time.Time `db:"at"`
	Method   string    `db:"method"`
	Network  string    `db:"network"`
	Agent    string    `db:"agent"`
	Language bool      `db:"language"`  // a language header came with it
	Known    bool      `db:"known"`     // from a browser that asked for this address or signed in with it
	StyledAt time.Time `db:"styled_at"` // when the page's style sheet was fetched
}

const lookColumns = "id, link_id, user_id, at, method, network, agent, language, known, styled_at"

// keepLooks bounds what a scanner that comes again and again leaves behind.
const keepLooks = 40

// RecordLook writes down an opening; beyond the first 40 of a link they are
// only counted (RecordOpen).
func RecordLook(tx *db.Tx, env id.Environment, l Look) error {
	_, err := tx.Exec(`INSERT INTO opens (environment_id, id, link_id, user_id, at, method, network, agent, language, known)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
		WHERE (SELECT count(*) FROM opens WHERE environment_id = $1 AND link_id = $3) < $11`,
		env, l.ID, l.Link, l.User, tx.Now(), l.Method, l.Network, l.Agent, l.Language, l.Known, keepLooks)
	return err
}

// RecordStyled writes down that the page of an opening fetched its style sheet.
func RecordStyled(tx *db.Tx, env id.Environment, open id.Open) error {
	_, err := tx.Exec("UPDATE opens SET styled_at = $3 WHERE environment_id = $1 AND id = $2 AND styled_at IS NULL", env, open, tx.Now())
	return err
}

// Looks gives the openings of these links, oldest first.
func Looks(tx *db.Tx, env id.Environment, links []string) ([]Look, error) {
	in, args := db.Among([]any{env}, links)
	return db.All[Look](tx, "SELECT "+lookColumns+" FROM opens WHERE environment_id = $1 AND link_id IN ("+in+") ORDER BY at, id", args...)
}
