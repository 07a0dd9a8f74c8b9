// Package session holds signed-in browsers.
//
// A session is an opaque 256-bit text in a cookie; the database knows its hash
// alone. Whether it lives is read each time it is used, with the user and the
// environment, so an end counts at once on every node.
package session

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Session is one signed-in browser, as lists show it.
type Session struct {
	ID      id.Session `db:"id"`
	MadeAt  time.Time  `db:"made_at"`
	SeenAt  time.Time  `db:"seen_at"`
	EndsAt  time.Time  `db:"ends_at"`
	Network string     `db:"network"`
	Agent   string     `db:"agent"`
}

// Why a session ended.
const (
	SignedOut     = "signed out"
	EndedByUser   = "ended by the user"
	EndedByAdmin  = "ended by an administrator"
	PasswordReset = "password reset"
	PasswordSet   = "password changed"
	RoleChanged   = "role changed"
	EmailChanged  = "e-mail address changed"
	Deactivated   = "deactivated"
	NotMe         = "this was not me"
	Expired       = "expired" // never stored: told by Resume
)

// Life says how long a session may last.
type Life struct {
	Idle time.Duration // without use
	Most time.Duration // from signing in
}

// Start signs a browser in and gives the secret text for its cookie.
func Start(tx *db.Tx, env id.Environment, user id.User, life Life, from access.From) (string, Session, error) {
	text := secret.NewToken()
	s := Session{
		ID: id.New[id.Session](), MadeAt: tx.Now(), SeenAt: tx.Now(), EndsAt: tx.Now().Add(life.Most),
		Network: from.Network, Agent: from.Agent,
	}
	_, err := tx.Exec(`INSERT INTO sessions (environment_id, token_hash, id, user_id, made_at, seen_at, ends_at, idle_for, network, agent)
		VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)`,
		env, secret.Hash(text), s.ID, user, s.MadeAt, s.EndsAt, life.Idle.Microseconds(), s.Network, s.Agent)
	return text, s, err
}

// Live is what one indexed read tells about a cookie.
type Live struct {
	Environment id.Environment `db:"environment_id"`
	Session     id.Session     `db:"id"`
	User        id.User        `db:"user_id"`
	Email       string         `db:"email"`
	Name        string         `db:"name"`
	Role        access.Role    `db:"role"`
	State       string         `db:"state"`
	SeenAt      time.Time      `db:"seen_at"`
	EndsAt      time.Time      `db:"ends_at"`
	IdleFor     int64          `db:"idle_for"` // microseconds
	EndedAt     time.Time      `db:"ended_at"`
	EndedWhy    string         `db:"ended_why"`
	SuspendedAt time.Time      `db:"suspended_at"`
}

// Expires is when the session ends if nobody uses it again.
func (l Live) Expires() time.Time {
	if idle := l.SeenAt.Add(time.Duration(l.IdleFor) * time.Microsecond); idle.Before(l.EndsAt) {
		return idle
	}
	return l.EndsAt
}

// touchEvery is how exactly last use is known: it spares a write at each check.
const touchEvery = 5 * time.Minute

// Stale tells that its last use should be written down.
func (l Live) Stale(now time.Time) bool {
	return now.Sub(l.SeenAt) >= min(touchEvery, time.Duration(l.IdleFor)*time.Microsecond/4)
}

// Resume finds the live session of a cookie in the environment of that slug.
// NotFound means that there is none; its sentence says why where the person
// with the cookie may know (they owned the session).
func Resume(tx *db.Tx, slug, text string) (Live, error) {
	l, err := db.One[Live](tx, `SELECT s.environment_id, s.id, s.user_id, u.email, u.name, u.role, u.state,
			s.seen_at, s.ends_at, s.idle_for, s.ended_at, s.ended_why, e.suspended_at
		FROM environments e
		JOIN sessions s ON s.environment_id = e.id AND s.token_hash = $2
		JOIN users u ON u.environment_id = e.id AND u.id = s.user_id
		WHERE e.slug = $1`, slug, secret.Hash(text))
	if errors.Is(err, db.ErrNone) {
		return l, fault.New(fault.NotFound, "")
	}
	if err != nil {
		return l, err
	}
	switch {
	case !l.EndedAt.IsZero():
		return l, fault.New(fault.NotFound, "%s", l.EndedWhy)
	case l.State != "active" || !l.SuspendedAt.IsZero():
		return l, fault.New(fault.NotFound, "")
	case !l.Expires().After(tx.Now()):
		l.EndedWhy = Expired
		return l, fault.New(fault.NotFound, "%s", l.EndedWhy)
	}
	return l, nil
}

// Touch writes down that a session was used just now.
func Touch(tx *db.Tx, env id.Environment, user id.User, session id.Session) error {
	_, err := tx.Exec("UPDATE sessions SET seen_at = $1 WHERE environment_id = $2 AND user_id = $3 AND id = $4 AND ended_at IS NULL", tx.Now(), env, user, session)
	return err
}

// SeenBefore tells whether the user has had a session on a browser of this name
// from this network, as far back as sessions are remembered.
func SeenBefore(tx *db.Tx, env id.Environment, user id.User, from access.From) (bool, error) {
	_, err := db.One[string](tx, "SELECT id FROM sessions WHERE environment_id = $1 AND user_id = $2 AND agent = $3 AND network = $4 LIMIT 1",
		env, user, from.Agent, from.Network)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// living are the sessions that live at $2. The sum keeps SQLite from taking the index by
// end, and with it every live session of the environment, for those of one user.
const living = " AND ended_at IS NULL AND ends_at + 0 > $2 AND seen_at + idle_for > $2"

// OfUser lists the live sessions of a user, the last used first.
func OfUser(tx *db.Tx, env id.Environment, user id.User) ([]Session, error) {
	return db.All[Session](tx, `SELECT id, made_at, seen_at, ends_at, network, agent FROM sessions
		WHERE environment_id = $1 AND user_id = $3`+living+` ORDER BY seen_at DESC, id DESC LIMIT 200`, env, tx.Now(), user)
}

// LiveAmong tells which of some users, a page of them, are signed in somewhere.
func LiveAmong(tx *db.Tx, env id.Environment, users []id.User) (map[id.User]bool, error) {
	in, args := db.Among([]any{env, tx.Now()}, users)
	found, err := db.All[id.User](tx, "SELECT DISTINCT user_id FROM sessions WHERE environment_id = $1 AND user_id IN ("+in+")"+living, args...)
	live := map[id.User]bool{}
	for _, u := range found {
		live[u] = true
	}
	return live, err
}

// End ends one session of a user; NotFound if it does not live.
func End(tx *db.Tx, env id.Environment, user id.User, session id.Session, why string) error {
	n, err := tx.Exec("UPDATE sessions SET ended_at = $2, ended_why = $4 WHERE environment_id = $1 AND user_id = $3"+living+" AND id = $5",
		env, tx.Now(), user, why, session)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "This session has already ended.")
	}
	return err
}

// EndAll ends every session of a user except one ("" spares none) and gives
// their number.
func EndAll(tx *db.Tx, env id.Environment, user id.User, except id.Session, why string) (int, error) {
	n, err := tx.Exec("UPDATE sessions SET ended_at = $2, ended_why = $4 WHERE environment_id = $1 AND user_id = $3"+living+" AND id <> $5",
		env, tx.Now(), user, why, except)
	return int(n), err
}

// keep is how long a session is remembered after its end: the login page says
// why it ended, and a browser seen before is no news.
const keep = 30 * 24 * time.Hour

// Forget removes up to limit sessions that are long over, and tells how many.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM sessions WHERE environment_id = $1 AND token_hash IN (
		SELECT token_hash FROM sessions WHERE environment_id = $1 AND ends_at < $2 LIMIT $3)`, env, tx.Now().Add(-keep), limit)
}
