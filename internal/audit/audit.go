// Package audit writes down what happened: once, in order, never changed.
//
// Events carry who, to whom, from where and why; never a secret. A user's
// timeline is made of them.
package audit

import (
	"encoding/json"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Kind is what happened.
type Kind string

// The kinds of event. Their texts are stored: add, never rename.
const (
	Asked            Kind = "asked"             // for a reset
	AskedTooOften    Kind = "asked too often"   // recorded, no further mail
	AskedDeactivated Kind = "asked deactivated" // recorded, no mail
	TokenRevoked     Kind = "token revoked"
	LinkMade         Kind = "link made" // by an admin
	LinkShown        Kind = "link shown again"
	LinkEnded        Kind = "link ended"
	LinkOpened       Kind = "link opened"
	LinkScanned      Kind = "link scanned"
	CodeAccepted     Kind = "code accepted"
	ResetRefused     Kind = "reset refused"
	PasswordReset    Kind = "password reset"
	PasswordChanged  Kind = "password changed"
	SignedIn         Kind = "signed in"
	SignInRefused    Kind = "sign-in refused"
	SignedOut        Kind = "signed out"
	SessionsEnded    Kind = "sessions ended"
	NotMe            Kind = "this was not me"
	UserCreated      Kind = "user created"
	UserInvited      Kind = "user invited"
	UserRenamed      Kind = "user renamed"
	RoleChanged      Kind = "role changed"
	AddressAsked     Kind = "address change asked"
	AddressChanged   Kind = "address changed"
	AddressUndone    Kind = "address change undone"
	Deactivated      Kind = "user deactivated"
	Activated        Kind = "user activated"
	ApprovalAsked    Kind = "approval asked" // for an act on another Client Admin
	ApprovalGiven    Kind = "approval given"
	ApprovalDeclined Kind = "approval declined"
	UserDeleted      Kind = "user deleted"
	EnvironmentMade  Kind = "environment created"
	Suspended        Kind = "environment suspended"
	Resumed          Kind = "environment resumed"
	PolicyChanged    Kind = "policy changed"
	HelpWritten      Kind = "help article written"
	HelpDeleted      Kind = "help article deleted"
	CaseClosed       Kind = "case closed"  // by an administrator
	MailAllowed      Kind = "mail allowed" // to an address that got none
	MailStopped      Kind = "mail stopped" // an address gets no more mail
)

// Event is one thing that happened.
type Event struct {
	Kind   Kind
	Actor  access.Actor // who did it; zero for somebody unknown
	User   id.User      // about whom
	Detail Detail
}

// Detail holds what else is worth knowing, by short names. Never a secret.
type Detail map[string]string

// SinceAsked is the detail of PasswordReset, and of the SignedIn that follows it,
// that says how many seconds ago the token was asked for.
const SinceAsked = "seconds_since_asked"

// Record writes an event.
func Record(tx *db.Tx, env id.Environment, e Event) error {
	return RecordAll(tx, env, []Event{e})
}

// RecordAll writes events in one statement; for at most a few hundred.
func RecordAll(tx *db.Tx, env id.Environment, events []Event) error {
	const columns = 10
	args := make([]any, 0, len(events)*columns)
	for _, e := range events {
		detail := ""
		if len(e.Detail) > 0 {
			text, err := json.Marshal(e.Detail)
			if err != nil {
				return err
			}
			detail = string(text)
		}
		args = append(args, env, id.New[id.Event](), tx.Now(), e.Kind, e.Actor.ID(), e.Actor.Name, e.User, e.Actor.Network, e.Actor.Agent, detail)
	}
	_, err := tx.Exec(`INSERT INTO events (environment_id, id, at, kind, actor_id, actor_name, user_id, network, agent, detail)
		VALUES `+db.Values(len(events), columns), args...)
	tell(tx, events)
	return err
}

// ForgetName takes the name of a deleted user out of the events about that user;
// the id stays.
func ForgetName(tx *db.Tx, env id.Environment, user id.User) error {
	_, err := tx.Exec("UPDATE events SET actor_name = '' WHERE environment_id = $1 AND user_id = $2 AND actor_id = $3", env, user, string(user))
	return err
}

// Entry is an event as it is read back.
type Entry struct {
	At        time.Time `db:"at"`
	Kind      Kind      `db:"kind"`
	User      id.User   `db:"user_id"`  // about whom
	ActorID   string    `db:"actor_id"` // of access.Actor
	ActorName string    `db:"actor_name"`
	Network   string    `db:"network"`
	Agent     string    `db:"agent"`
	Stored    string    `db:"detail"`
}

const entryColumns = "at, kind, user_id, actor_id, actor_name, network, agent, detail"

// Detail gives the detail of an entry.
func (e Entry) Detail() Detail {
	d := Detail{}
	if e.Stored != "" {
		_ = json.Unmarshal([]byte(e.Stored), &d) // written by Record
	}
	return d
}

// OfUser gives the newest events about one user.
func OfUser(tx *db.Tx, env id.Environment, user id.User, limit int) ([]Entry, error) {
	return db.All[Entry](tx, "SELECT "+entryColumns+` FROM events
		WHERE environment_id = $1 AND user_id = $2 ORDER BY at DESC, id DESC LIMIT $3`, env, user, limit)
}

// keptOfKind bounds OfKind.
const keptOfKind = 500

// OfKind gives the events of a kind about these users since a time, newest first.
func OfKind(tx *db.Tx, env id.Environment, kind Kind, users []id.User, since time.Time) ([]Entry, error) {
	in, args := db.Among([]any{env, kind, since, keptOfKind}, users)
	return db.All[Entry](tx, "SELECT "+entryColumns+` FROM events
		WHERE environment_id = $1 AND kind = $2 AND at > $3 AND user_id IN (`+in+") ORDER BY at DESC, id DESC LIMIT $4", args...)
}
