package outbox

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Last is the newest attempt of a message, without its conversation.
type Last struct {
	Message id.Message `db:"message"`
	At      time.Time  `db:"at"`   // its start
	Took    int64      `db:"took"` // microseconds
	Server  string     `db:"server"`
	Stage   string     `db:"stage"` // the step of the last word
	Code    int        `db:"code"`  // 0: there was no answer
	Reply   string     `db:"reply"`
	Outcome string     `db:"outcome"` // a relay.Outcome
	Class   string     `db:"class"`   // a diagnosis.Class, "" for an acceptance
	Hard    bool       `db:"hard"`
}

// Ended gives when its last word was heard, or waiting for one was given up.
func (l Last) Ended() time.Time { return l.At.Add(time.Duration(l.Took) * time.Microsecond) }

// LastAttempts gives the newest attempt of each of these messages.
func LastAttempts(tx *db.Tx, env id.Environment, messages []id.Message) (map[id.Message]Last, error) {
	in, args := db.Among([]any{env}, messages)
	found, err := db.All[Last](tx, `SELECT a.message, a.at, a.took, a.server, a.stage, a.code, a.reply, a.outcome, a.class, a.hard FROM attempts a
		WHERE a.environment_id = $1 AND a.message IN (`+in+`) AND a.number = (
			SELECT max(b.number) FROM attempts b WHERE b.environment_id = a.environment_id AND b.message = a.message)`, args...)
	last := make(map[id.Message]Last, len(found))
	for _, l := range found {
		last[l.Message] = l
	}
	return last, err
}

// WithToken is a message together with the token its link belongs to.
type WithToken struct {
	Message
	Token id.Token `db:"token_id"`
}

// newestRecovery is how many mails of one recovery a story needs.
const newestRecovery = 5

// RecoveryMails gives the newest messages with a link to set a password of each
// of these users, made since a time, newest first.
func RecoveryMails(tx *db.Tx, env id.Environment, users []id.User, since time.Time) ([]WithToken, error) {
	in, args := db.Among([]any{env, since, newestRecovery}, users)
	return db.All[WithToken](tx, "SELECT "+messageColumns+`, token_id FROM (
		SELECT `+ofM+`, l.token_id, row_number() OVER (PARTITION BY m.user_id ORDER BY m.made_at DESC, m.id DESC) AS place
		FROM messages m JOIN links l ON l.environment_id = m.environment_id AND l.id = m.link_id AND l.token_id <> ''
		WHERE m.environment_id = $1 AND m.made_at > $2 AND m.user_id IN (`+in+`)) AS recent
		WHERE place <= $3 ORDER BY made_at DESC, id DESC`, args...)
}

// UnderWay tells which of these messages somebody is handing over just now.
func UnderWay(tx *db.Tx, env id.Environment, messages []id.Message) (map[id.Message]bool, error) {
	in, args := db.Among([]any{env, Send, tx.Now()}, messages)
	found, err := db.All[id.Message](tx, "SELECT subject FROM jobs WHERE environment_id = $1 AND kind = $2 AND leased_until > $3 AND subject IN ("+in+")", args...)
	now := make(map[id.Message]bool, len(found))
	for _, m := range found {
		now[m] = true
	}
	return now, err
}
