package outbox

import (
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Report is what came back about a message after a server took it: a returned
// mail, or an event of a mail provider.
type Report struct {
	ID        id.Report  `db:"id"`
	Message   id.Message `db:"message"`
	User      id.User    `db:"user_id"`
	At        time.Time  `db:"at"`
	Source    string     `db:"source"` // "mail", or the provider
	Kind      string     `db:"kind"`   // bounce, delay, complaint, delivered, auto-reply
	Class     string     `db:"class"`  // a diagnosis.Class
	Hard      bool       `db:"hard"`
	Reporter  string     `db:"reporter"`  // the server that reports
	Recipient string     `db:"recipient"` // as it names the mailbox, which a forward may have changed
	Status    string     `db:"status"`
	Code      int        `db:"code"`
	Reply     string     `db:"reply"`
	// Fingerprint makes it the same report: a second copy is not taken.
	Fingerprint string `db:"fingerprint"`
}

const reportColumns = "id, message, user_id, at, source, kind, class, hard, reporter, recipient, status, code, reply, fingerprint"

// keepReports bounds how many of one kind a message can collect: many delays
// leave room for the last word.
const keepReports = 10

// RecordReport keeps a report; false if the same one was taken before or the
// message has collected enough.
func RecordReport(tx *db.Tx, env id.Environment, r Report) (bool, error) {
	r.ID = id.New[id.Report]()
	n, err := tx.Exec(`INSERT INTO reports (environment_id, `+reportColumns+`)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
		WHERE (SELECT count(*) FROM reports WHERE environment_id = $1 AND message = $3 AND kind = $7) < $16
		ON CONFLICT (environment_id, message, fingerprint) DO NOTHING`,
		env, r.ID, r.Message, r.User, r.At, r.Source, r.Kind, r.Class, r.Hard, r.Reporter, r.Recipient, r.Status, r.Code, r.Reply, r.Fingerprint, keepReports)
	return n == 1, err
}

// Reports gives the reports about these messages, oldest first.
func Reports(tx *db.Tx, env id.Environment, messages []id.Message) ([]Report, error) {
	in, args := db.Among([]any{env}, messages)
	return db.All[Report](tx, "SELECT "+reportColumns+" FROM reports WHERE environment_id = $1 AND message IN ("+in+") ORDER BY message, at, id", args...)
}

// DelayedBehind tells whether a server that took a mail of the user's has said
// since a time that it waits there, and nobody that it was delivered.
func DelayedBehind(tx *db.Tx, env id.Environment, user id.User, since time.Time) (bool, error) {
	n, err := db.One[int](tx, `SELECT count(*) FROM reports d WHERE d.environment_id = $1 AND d.user_id = $2 AND d.at > $3 AND d.kind = 'delay'
		AND NOT EXISTS (SELECT 1 FROM reports e WHERE e.environment_id = d.environment_id AND e.message = d.message AND e.kind = 'delivered')`, env, user, since)
	return n > 0, err
}

// CameBack tells whether a mail of the user's came back since a time, for good or
// with no delivery after it, or was complained about.
func CameBack(tx *db.Tx, env id.Environment, user id.User, since time.Time) (bool, error) {
	n, err := db.One[int](tx, `SELECT count(*) FROM reports b WHERE b.environment_id = $1 AND b.user_id = $2 AND b.at > $3 AND b.kind IN ('bounce', 'complaint')
		AND (b.hard OR b.kind = 'complaint' OR NOT EXISTS (SELECT 1 FROM reports d
			WHERE d.environment_id = b.environment_id AND d.message = b.message AND d.kind = 'delivered' AND d.at >= b.at))`, env, user, since)
	return n > 0, err
}

// A message with the environment it belongs to.
type placed struct {
	Environment id.Environment `db:"environment_id"`
	Message
}

// Locate finds a message of any environment by its id; db.ErrNone if it is gone.
func Locate(tx *db.Tx, message id.Message) (id.Environment, Message, error) {
	f, err := db.One[placed](tx, "SELECT m.environment_id, "+ofM+` FROM environments e
		JOIN messages m ON m.environment_id = e.id AND m.id = $1`, message)
	return f.Environment, f.Message, err
}

// NewestTo finds the newest message a server took for the user of an address
// since a time, in any environment: for reports that name nothing else.
func NewestTo(tx *db.Tx, emailKey string, since time.Time) (id.Environment, Message, error) {
	f, err := db.One[placed](tx, "SELECT m.environment_id, "+ofM+` FROM environments e
		JOIN users u ON u.environment_id = e.id AND u.email_key = $1
		JOIN messages m ON m.environment_id = u.environment_id AND m.user_id = u.id
		WHERE m.made_at > $2 AND m.accepted_at IS NOT NULL ORDER BY m.made_at DESC LIMIT 1`, emailKey, since)
	return f.Environment, f.Message, err
}

var ofM = "m." + strings.ReplaceAll(messageColumns, ", ", ", m.")
