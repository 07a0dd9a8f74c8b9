// Package alarm holds what the people who run the server must see to.
//
// An alarm is raised again as long as its cause goes on; a row counts and dates
// that. Nobody has to end one: it ends when it has not been raised for a while.
// So any number of nodes may raise the same one, and a node that dies leaves
// none behind. The log hears of the first time and of the end.
//
// notice.go turns what mail servers say into alarms, lately.go what can only be
// seen over a day. unknown.go collects answers that nobody knows.
package alarm

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Name is the kind of an alarm, as metrics and the log call it.
type Name string

// The names. Those of mail are the classes they come from.
const (
	OwnSetup              Name = "own-setup"
	NoMailServer          Name = "no-mail-server"
	AllServersDown        Name = "all-servers-down"
	Stuck                 Name = "stuck"
	Canary                Name = "canary"
	Forged                Name = "forged"
	RefusedReputation     Name = "refused-reputation"
	RefusedAuthentication Name = "refused-authentication"
	SenderRefused         Name = "sender-refused"
	RefusedPolicy         Name = "refused-policy"
	RefusedContent        Name = "refused-content"
	TLSFailed             Name = "tls-failed"
	RelayDenied           Name = "relay-denied"
	RateLimited           Name = "rate-limited"
	Unreachable           Name = "unreachable"
	Complaints            Name = "complaints"
	NeverOpened           Name = "never-opened"
	FormRefused           Name = "form-refused"
)

// Names lists them all.
var Names = []Name{
	OwnSetup, NoMailServer, AllServersDown, Stuck, Canary, Forged, RefusedReputation, RefusedAuthentication,
	SenderRefused, RefusedPolicy, RefusedContent, TLSFailed, RelayDenied, RateLimited, Unreachable, Complaints, NeverOpened, FormRefused,
}

// quietFor is how long an alarm stands after it was raised for the last time.
// What is looked at every few seconds ends soon; what mails tell stands longer,
// because there may be none for a while.
func (n Name) quietFor() time.Duration {
	switch n {
	case NoMailServer, AllServersDown, Stuck, Canary:
		return time.Minute
	case OwnSetup:
		return 15 * time.Minute
	case Complaints, NeverOpened, FormRefused: // looked at every ten minutes
		return 30 * time.Minute
	case Forged, Unreachable:
		return time.Hour
	case RateLimited:
		return 2 * time.Hour
	default:
		return 24 * time.Hour
	}
}

// Severity says how soon somebody should look.
type Severity string

// The severities.
const (
	Urgent  Severity = "urgent"  // people do not get their mail
	Warning Severity = "warning" // it will hurt if it goes on
)

// Alarm is one thing to see to.
type Alarm struct {
	Environment id.Environment `db:"environment_id"` // "" when raised: the whole server
	Name        Name           `db:"name"`
	About       string         `db:"about"` // a server, a domain, a list, or ""
	Severity    Severity       `db:"severity"`
	Sentence    string         `db:"sentence"` // what happened and what to do
	Detail      string         `db:"detail"`   // what a server said
	Noticed     int            `db:"noticed"`  // times, at most one a second
	Since       time.Time      `db:"since"`    // of its cause, if whoever raises it knows; else of the first time
	LastAt      time.Time      `db:"last_at"`
}

const columns = "environment_id, name, about, severity, sentence, detail, noticed, since, last_at"

// The bounds: strangers choose domains and what their servers say.
const (
	most       = 200
	longAbout  = 253 // a domain name (RFC 1035 section 2.3.4)
	longDetail = 2000
)

// Raise says that the cause of an alarm is there. Past 200 alarms new ones are
// dropped: nobody reads more.
func Raise(tx *db.Tx, a Alarm) error {
	if a.Environment == "" {
		a.Environment = id.OperatorEnvironment
	}
	a.About, a.Detail = clip(a.About, longAbout), clip(a.Detail, longDetail)
	old, err := db.One[Alarm](tx, "SELECT "+columns+" FROM alarms WHERE environment_id = $1 AND name = $2 AND about = $3", a.Environment, a.Name, a.About)
	switch {
	case errors.Is(err, db.ErrNone):
		return first(tx, a)
	case err != nil:
		return err
	case tx.Now().Sub(old.LastAt) < time.Second && old.Severity == a.Severity:
		return nil
	}
	if old.Severity != Urgent && a.Severity == Urgent {
		say(tx, "alarm: it got worse", a)
	}
	if a.Since.IsZero() {
		a.Since = old.Since
	}
	_, err = tx.Exec(`UPDATE alarms SET severity = $4, sentence = $5, detail = $6, noticed = noticed + 1, since = $7, last_at = $8
		WHERE environment_id = $1 AND name = $2 AND about = $3`, a.Environment, a.Name, a.About, a.Severity, a.Sentence, a.Detail, a.Since, tx.Now())
	return err
}

func first(tx *db.Tx, a Alarm) error {
	n, err := db.One[int](tx, "SELECT count(*) FROM alarms")
	if err != nil || n >= most {
		return err
	}
	if a.Since.IsZero() {
		a.Since = tx.Now()
	}
	made, err := tx.Exec(`INSERT INTO alarms (environment_id, name, about, severity, sentence, detail, noticed, since, last_at)
		VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8) ON CONFLICT (environment_id, name, about) DO NOTHING`,
		a.Environment, a.Name, a.About, a.Severity, a.Sentence, a.Detail, a.Since, tx.Now())
	if made == 1 {
		say(tx, "alarm", a)
	}
	return err
}

// Explain adds what was found out to the detail of an alarm that stands.
func Explain(tx *db.Tx, a Alarm, more string) error {
	_, err := tx.Exec("UPDATE alarms SET detail = $4 WHERE environment_id = $1 AND name = $2 AND about = $3",
		a.Environment, a.Name, a.About, clip(strings.TrimSpace(a.Detail+"\n"+more), longDetail))
	return err
}

// Clear ends an alarm at once; it comes back if its cause does.
// NotFound if it has ended already.
func Clear(tx *db.Tx, env id.Environment, name Name, about string) error {
	if env == "" {
		env = id.OperatorEnvironment
	}
	return end(tx, "environment_id = $1 AND name = $2 AND about = $3", env, name, about)
}

// Expire ends the alarms that have been quiet for long enough.
func Expire(tx *db.Tx) error {
	for _, name := range Names {
		err := end(tx, "name = $1 AND last_at < $2", name, tx.Now().Add(-name.quietFor()))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

func end(tx *db.Tx, where string, args ...any) error {
	ended, err := db.All[Alarm](tx, "DELETE FROM alarms WHERE "+where+" RETURNING "+columns, args...)
	if err != nil {
		return err
	}
	for _, a := range ended {
		say(tx, "alarm over", a)
	}
	if len(ended) == 0 {
		return fault.New(fault.NotFound, "This alarm is over already.")
	}
	return nil
}

// List gives all alarms, urgent ones first, then the newest.
func List(tx *db.Tx) ([]Alarm, error) {
	return db.All[Alarm](tx, "SELECT "+columns+` FROM alarms
		ORDER BY CASE WHEN severity = 'urgent' THEN 0 ELSE 1 END, since DESC, name, about`)
}

// Standing gives an alarm about the whole server as long as its cause goes on, as
// far as running servers say; false if it does not.
func Standing(tx *db.Tx, name Name) (Alarm, bool, error) {
	a, err := db.One[Alarm](tx, "SELECT "+columns+" FROM alarms WHERE environment_id = $1 AND name = $2 AND about = '' AND last_at >= $3",
		id.OperatorEnvironment, name, tx.Now().Add(-name.quietFor()))
	if errors.Is(err, db.ErrNone) {
		return Alarm{}, false, nil
	}
	return a, err == nil, err
}

const logTopic = "alarms: log"

// Log makes the log known that hears of alarms.
func Log(d *db.DB, log *slog.Logger) { d.Attach(logTopic, log) }

func say(tx *db.Tx, what string, a Alarm) {
	log, ok := tx.Attached(logTopic).(*slog.Logger)
	if !ok {
		return
	}
	tx.OnEnd(func(committed bool) {
		if committed {
			log.Warn(what, "alarm", string(a.Name), "about", a.About, "severity", string(a.Severity), "sentence", a.Sentence)
		}
	})
}

// AnyOver tells whether Expire has something to do.
func AnyOver(tx *db.Tx) (bool, error) {
	all, err := List(tx)
	for _, a := range all {
		if tx.Now().Sub(a.LastAt) > a.Name.quietFor() {
			return true, nil
		}
	}
	return false, err
}
