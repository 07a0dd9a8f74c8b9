// Package throttle counts tries, in the database so that all nodes agree.
//
// A try is counted by a committed step before the thing that is tried happens;
// so neither a crash nor a thousand tries at once get a free one.
package throttle

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
)

// Count counts one try of a subject and gives how many it has had in the
// window under way and when that ends.
func Count(tx *db.Tx, env id.Environment, subject string, window time.Duration) (int, time.Time, error) {
	c, err := db.One[counted](tx, `INSERT INTO throttle (environment_id, subject, tries, ends_at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (environment_id, subject) DO UPDATE SET
			tries = CASE WHEN throttle.ends_at <= $4 THEN 1 ELSE throttle.tries + 1 END,
			ends_at = CASE WHEN throttle.ends_at <= $4 THEN $3 ELSE throttle.ends_at END
		RETURNING tries, ends_at`, env, subject, tx.Now().Add(window), tx.Now())
	return c.Tries, c.EndsAt, err
}

// Counted gives how many tries of a subject Count has counted in the window under
// way, and when that ends.
func Counted(tx *db.Tx, env id.Environment, subject string) (int, time.Time, error) {
	c, err := db.One[counted](tx, "SELECT tries, ends_at FROM throttle WHERE environment_id = $1 AND subject = $2 AND ends_at > $3", env, subject, tx.Now())
	if errors.Is(err, db.ErrNone) {
		return 0, time.Time{}, nil
	}
	return c.Tries, c.EndsAt, err
}

type counted struct {
	Tries  int       `db:"tries"`
	EndsAt time.Time `db:"ends_at"`
}

// Slow counts one try that slows the next ones down: from the free-th try in
// the window on, the next may come after 1 s, doubling to at most a minute.
// It gives how long to wait; zero means that the try may go ahead and has been
// counted, anything else that it was refused and counts for nothing.
func Slow(tx *db.Tx, env id.Environment, subject string, free int, window time.Duration) (time.Duration, error) {
	type slowed struct {
		Tries        int       `db:"tries"`
		EndsAt       time.Time `db:"ends_at"`
		BlockedUntil time.Time `db:"blocked_until"`
	}
	// The update that changes nothing locks the row, or makes it.
	s, err := db.One[slowed](tx, `INSERT INTO throttle (environment_id, subject, tries, ends_at) VALUES ($1, $2, 0, $3)
		ON CONFLICT (environment_id, subject) DO UPDATE SET tries = throttle.tries
		RETURNING tries, ends_at, blocked_until`, env, subject, tx.Now().Add(window))
	if err != nil {
		return 0, err
	}
	now := tx.Now()
	if s.BlockedUntil.After(now) {
		return s.BlockedUntil.Sub(now), nil
	}
	if !s.EndsAt.After(now) {
		s.Tries = 0
	}
	s.Tries++
	// Counting goes on while tries keep coming, so that patience does not reset it.
	s.EndsAt, s.BlockedUntil = now.Add(window), time.Time{}
	if over := s.Tries - free; over >= 0 {
		s.BlockedUntil = now.Add(min(time.Second<<min(over, 6), time.Minute))
	}
	_, err = tx.Exec("UPDATE throttle SET tries = $3, ends_at = $4, blocked_until = $5 WHERE environment_id = $1 AND subject = $2",
		env, subject, s.Tries, s.EndsAt, s.BlockedUntil)
	return 0, err
}

// Tried sums the tries of a subject and of all that begin with it and a colon,
// in windows still under way, and tells when the first of these windows ends.
func Tried(tx *db.Tx, env id.Environment, subject string) (int, time.Time, error) {
	type sum struct {
		Tries  int       `db:"tries"`
		EndsAt time.Time `db:"ends_at"`
	}
	s, err := db.One[sum](tx, `SELECT CAST(COALESCE(sum(tries), 0) AS BIGINT) AS tries, min(ends_at) AS ends_at FROM throttle
		WHERE environment_id = $1 AND (subject = $2 OR substr(subject, 1, $4) = $3) AND ends_at > $5`,
		env, subject, subject+":", len([]rune(subject))+1, tx.Now())
	return s.Tries, s.EndsAt, err
}

// GiveBack takes one counted try off again: it turned out to be right.
func GiveBack(tx *db.Tx, env id.Environment, subject string) error {
	_, err := tx.Exec("UPDATE throttle SET tries = tries - 1 WHERE environment_id = $1 AND subject = $2 AND tries > 0", env, subject)
	return err
}

// Once tells whether a subject may be used: for the first time since it was
// forgotten, or again with the same words, as after an answer that got lost.
func Once(tx *db.Tx, env id.Environment, subject, words string, until time.Time) (bool, error) {
	kept, err := db.One[string](tx, `INSERT INTO used_once (environment_id, subject, words, ends_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment_id, subject) DO UPDATE SET words = used_once.words RETURNING words`, env, subject, words, until)
	return kept == words, err
}

// Lift forgets the tries of a subject.
func Lift(tx *db.Tx, env id.Environment, subject string) error {
	_, err := tx.Exec("DELETE FROM throttle WHERE environment_id = $1 AND subject = $2", env, subject)
	return err
}

// LiftAll forgets the tries of every subject that begins with prefix.
func LiftAll(tx *db.Tx, env id.Environment, prefix string) error {
	_, err := tx.Exec("DELETE FROM throttle WHERE environment_id = $1 AND substr(subject, 1, $3) = $2",
		env, prefix, len([]rune(prefix)))
	return err
}

// Forget removes up to limit counters, and as much of what was used once, whose
// time has ended, and tells how many of the more frequent.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	used, err := tx.Exec(`DELETE FROM used_once WHERE environment_id = $1 AND subject IN (
		SELECT subject FROM used_once WHERE environment_id = $1 AND ends_at <= $2 LIMIT $3)`, env, tx.Now(), limit)
	if err != nil {
		return 0, err
	}
	n, err := tx.Exec(`DELETE FROM throttle WHERE environment_id = $1 AND subject IN (
		SELECT subject FROM throttle WHERE environment_id = $1 AND ends_at <= $2 AND (blocked_until IS NULL OR blocked_until <= $2) LIMIT $3)`,
		env, tx.Now(), limit)
	return max(n, used), err
}
