package outbox

import (
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// State is how far a message has come. The words are those of the screen.
type State string

// The states of a message.
const (
	Queued    State = "queued"
	Sent      State = "sent"       // a server took it; not: delivered
	Deferred  State = "deferred"   // a server, or the way to it, asked for patience
	Refused   State = "refused"    // a server said no for good
	GivenUp   State = "given up"   // tried for too long
	NotNeeded State = "not needed" // its link was dead when its turn came
	Held      State = "held back"  // its address gets no mail until somebody clears it
)

// Message is one mail, without its text: that is rendered when it is sent.
type Message struct {
	ID        id.Message `db:"id"`
	User      id.User    `db:"user_id"`
	Kind      string     `db:"kind"` // a mail.Kind
	ToName    string     `db:"to_name"`
	ToEmail   string     `db:"to_email"`
	MessageID string     `db:"message_id"` // of the header; set at the first try
	Link      string     `db:"link_id"`
	NotMe     string     `db:"not_me_id"`
	Detail    string     `db:"detail"`
	State     State      `db:"state"`
	MadeAt    time.Time  `db:"made_at"`
	SettledAt time.Time  `db:"settled_at"`
	NextTryAt time.Time  `db:"next_try_at"`
	// AcceptedAt is when a server took it; not: delivered.
	AcceptedAt time.Time `db:"accepted_at"`
}

const messageColumns = "id, user_id, kind, to_name, to_email, message_id, link_id, not_me_id, detail, state, made_at, settled_at, next_try_at, accepted_at"

// NewMessage is a message that is queued now, to be filled in.
func NewMessage(tx *db.Tx) Message {
	return Message{ID: id.New[id.Message](), State: Queued, MadeAt: tx.Now()}
}

// Queue stores a new message and the job that sends it, with what Pool.Load would
// read for that job, or nil: then that is read after the commit. The recipient is
// fixed now.
func Queue(tx *db.Tx, env id.Environment, m Message, loaded any) error {
	_, err := tx.Exec(`INSERT INTO messages (environment_id, id, user_id, kind, to_name, to_email, message_id, link_id, not_me_id, detail, state, made_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10, $11)`,
		env, m.ID, m.User, m.Kind, m.ToName, m.ToEmail, m.Link, m.NotMe, m.Detail, m.State, m.MadeAt)
	if err != nil {
		return err
	}
	return Enqueue(tx, env, Send, string(m.ID), loaded)
}

// Find gives a message; db.ErrNone if it is gone.
func Find(tx *db.Tx, env id.Environment, message id.Message) (Message, error) {
	return db.One[Message](tx, "SELECT "+messageColumns+" FROM messages WHERE environment_id = $1 AND id = $2", env, message)
}

// OfUser gives the newest messages about a user.
func OfUser(tx *db.Tx, env id.Environment, user id.User, limit int) ([]Message, error) {
	return db.All[Message](tx, "SELECT "+messageColumns+` FROM messages WHERE environment_id = $1 AND user_id = $2
		ORDER BY made_at DESC, id DESC LIMIT $3`, env, user, limit)
}

// Settle writes down how a message stands after a try.
func Settle(tx *db.Tx, env id.Environment, m Message) error {
	_, err := tx.Exec(`UPDATE messages SET state = $3, message_id = $4, settled_at = $5, next_try_at = $6, accepted_at = $7
		WHERE environment_id = $1 AND id = $2`, env, m.ID, m.State, m.MessageID, m.SettledAt, m.NextTryAt, m.AcceptedAt)
	return err
}

// OfLinks gives how the mails with these links of a user stand, by link.
func OfLinks(tx *db.Tx, env id.Environment, user id.User, links []string) (map[string]State, error) {
	type mail struct {
		Link  string `db:"link_id"`
		State State  `db:"state"`
	}
	in, args := db.Among([]any{env, user}, links)
	found, err := db.All[mail](tx, "SELECT link_id, state FROM messages WHERE environment_id = $1 AND user_id = $2 AND link_id IN ("+in+")", args...)
	all := make(map[string]State, len(found))
	for _, m := range found {
		all[m.Link] = m.State
	}
	return all, err
}

// Took settles a message of which it was not known that a server took it, and
// ends its job, also one that is under way.
func Took(tx *db.Tx, env id.Environment, m Message, at time.Time) error {
	m.State, m.AcceptedAt, m.SettledAt, m.NextTryAt = Sent, at, tx.Now(), time.Time{}
	if err := Settle(tx, env, m); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM jobs WHERE environment_id = $1 AND kind = $2 AND subject = $3", env, Send, m.ID)
	return err
}

// Attempt is one conversation with one server about a message.
type Attempt struct {
	Message      id.Message `db:"message"`
	At           time.Time  `db:"at"`
	Server       string     `db:"server"`
	Stage        string     `db:"stage"`
	Code         int        `db:"code"`
	Enhanced     string     `db:"enhanced"`
	Reply        string     `db:"reply"`
	Outcome      string     `db:"outcome"`
	Conversation string     `db:"conversation"`
	Took         int64      `db:"took"`  // microseconds
	Class        string     `db:"class"` // a diagnosis.Class; "" for an acceptance
	Hard         bool       `db:"hard"`  // writing to this address again can never work
}

const attemptColumns = "message, at, server, stage, code, enhanced, reply, outcome, conversation, took, class, hard"

// keepAttempts bounds what a message that is deferred for days leaves behind:
// the first ones and, overwritten each time, the last.
const keepAttempts = 40

// RecordAttempt keeps an attempt; db.ErrNone if its message is gone.
func RecordAttempt(tx *db.Tx, env id.Environment, a Attempt) error {
	last, err := db.One[int](tx, `SELECT (SELECT COALESCE(max(number), 0) FROM attempts WHERE environment_id = $1 AND message = $2)
		FROM messages WHERE environment_id = $1 AND id = $2`, env, a.Message)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO attempts (environment_id, number, `+attemptColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (environment_id, message, number) DO UPDATE SET at = excluded.at, server = excluded.server, stage = excluded.stage,
			code = excluded.code, enhanced = excluded.enhanced, reply = excluded.reply, outcome = excluded.outcome,
			conversation = excluded.conversation, took = excluded.took, class = excluded.class, hard = excluded.hard`,
		env, min(last+1, keepAttempts), a.Message, a.At, a.Server, a.Stage, a.Code, a.Enhanced, a.Reply, a.Outcome, a.Conversation, a.Took, a.Class, a.Hard)
	return err
}

// Attempts gives the attempts of these messages, oldest first.
func Attempts(tx *db.Tx, env id.Environment, messages []id.Message) ([]Attempt, error) {
	in, args := db.Among([]any{env}, messages)
	return db.All[Attempt](tx, "SELECT "+attemptColumns+` FROM attempts
		WHERE environment_id = $1 AND message IN (`+in+`) ORDER BY message, number`, args...)
}
