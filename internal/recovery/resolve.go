package recovery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Request is one asking, as its job finds it.
type Request struct {
	ID         id.Request `db:"id"`
	Address    string     `db:"address"`
	AddressKey string     `db:"address_key"`
	Network    string     `db:"network"`
	Agent      string     `db:"agent"`
	MadeAt     time.Time  `db:"made_at"`
	// What its mail's links will be called.
	Link  string `db:"link_id"`
	NotMe string `db:"not_me_id"`
	more  bool   // it is resolved on the way: see notice.To
}

const requestColumns = "id, address, address_key, network, agent, made_at, link_id, not_me_id"

// The outcomes of a request.
const (
	matchedNobody  = "matched nobody"
	mailed         = "mailed"
	tooOften       = "too often"
	notDeactivated = "deactivated"
)

// Resolve is the job behind Ask: it finds out whose address was typed, takes or
// makes the token, adds a link and queues the mail. It never waits for SMTP, nor for
// the disk: after a power cut that took it back it is done again from the asking, and
// the mail, which may have left, has the same Message-ID and the same links.
func (r *Recovery) Resolve(ctx context.Context, j outbox.Job) error {
	return r.DB.Update(db.Replayable(ctx), func(tx *db.Tx) error {
		env, err := environment.ByID(tx, j.Environment)
		if err != nil {
			return endIfGone(tx, j, err)
		}
		q, err := db.One[Request](tx, "SELECT "+requestColumns+" FROM requests WHERE environment_id = $1 AND id = $2 AND resolved_at IS NULL",
			env.ID, j.Subject)
		if err != nil {
			return endIfGone(tx, j, err)
		}
		if err := r.resolve(tx, env, q); err != nil {
			return err
		}
		_, err = outbox.Done(tx, j)
		return err
	})
}

func endIfGone(tx *db.Tx, j outbox.Job, err error) error {
	if errors.Is(err, db.ErrNone) || fault.Is(err, fault.NotFound) {
		_, err = outbox.Done(tx, j)
	}
	return err
}

// resolveWaiting does now what still waits for an address, so that an answered
// asking is visible to the admin who looks next.
func (r *Recovery) resolveWaiting(tx *db.Tx, env environment.Environment, key string) error {
	// Put in order here: asked to do it, SQLite would walk all requests of the
	// environment by their age instead of the few that wait for this address.
	waiting, err := db.All[Request](tx, "SELECT "+requestColumns+` FROM requests
		WHERE environment_id = $1 AND address_key = $2 AND resolved_at IS NULL LIMIT 100`, env.ID, key)
	if err != nil {
		return err
	}
	slices.SortFunc(waiting, func(a, b Request) int { return a.MadeAt.Compare(b.MadeAt) })
	for _, q := range waiting {
		q.more = true
		if err := r.resolve(tx, env, q); err != nil {
			return err
		}
	}
	return nil
}

// resolve does one request, once: whoever marks the row first does it. The
// user's row is locked before the request's, as everywhere, or the job and an
// admin's Go would wait for each other.
func (r *Recovery) resolve(tx *db.Tx, env environment.Environment, q Request) error {
	u, err := user.LockByEmail(tx, env.ID, q.AddressKey)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	outcome, err := r.outcome(tx, env, q, u)
	if err != nil {
		return err
	}
	n, err := tx.Exec("UPDATE requests SET resolved_at = $3, outcome = $4, user_id = $5 WHERE environment_id = $1 AND id = $2 AND resolved_at IS NULL",
		env.ID, q.ID, tx.Now(), outcome, u.ID)
	if err != nil || n == 0 {
		return err
	}
	by := access.Actor{From: access.From{Network: q.Network, Agent: q.Agent}}
	switch outcome {
	case matchedNobody:
		return recordUnmatched(tx, env.ID, q)
	case notDeactivated:
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.AskedDeactivated, User: u.ID, Actor: by})
	case tooOften:
		return r.withoutMail(tx, env, u, by)
	default:
		if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.Asked, User: u.ID, Actor: by}); err != nil {
			return err
		}
		if err := mailAsked(tx, env, u, q); err != nil {
			return err
		}
		return stuckIfAskedOften(tx, env, u)
	}
}

// askedOften is how many askings of one person, none of whose mails was opened,
// make a case.
const askedOften = 3

// stuckIfAskedOften puts a user in the administrators' queue who has asked three
// times within a day and opened none of the links.
func stuckIfAskedOften(tx *db.Tx, env environment.Environment, u user.User) error {
	// The words user_id <> '' lead SQLite to the index that holds such rows alone.
	asked, err := db.One[int](tx, "SELECT count(*) FROM requests WHERE environment_id = $1 AND user_id = $2 AND user_id <> '' AND made_at > $3",
		env.ID, u.ID, tx.Now().Add(-24*time.Hour))
	if err != nil || asked < askedOften {
		return err
	}
	live, _, err := token.Live(tx, env.ID, u.ID)
	if err != nil || slices.ContainsFunc(live.Links, func(l token.Link) bool { return !l.OpenedAt.IsZero() }) {
		return err
	}
	return cases.Open(tx, env.ID, u.ID, cases.NeverOpened)
}

// outcome says what becomes of a request; u is zero if nobody has the address.
func (r *Recovery) outcome(tx *db.Tx, env environment.Environment, q Request, u user.User) (string, error) {
	switch {
	case u.ID == "":
		return matchedNobody, nil
	case u.State == user.Deactivated:
		return notDeactivated, nil
	case r.NoLimits:
		return mailed, nil
	}
	mails, _, err := throttle.Count(tx, env.ID, "mail:"+q.AddressKey, time.Hour)
	if mails > mailsPerHour {
		return tooOften, err
	}
	return mailed, err
}

// mailAsked is mailLink for an asking, by its names.
func mailAsked(tx *db.Tx, env environment.Environment, u user.User, q Request) error {
	t, err := token.Open(tx, env.ID, u.ID, purpose(u))
	if err != nil {
		return err
	}
	whom := to(u)
	whom.More = q.more
	whom.Names = notice.Names{Message: id.Message(q.ID), Link: q.Link, NotMe: q.NotMe}
	return notice.ResetLink(tx, env, whom, t, life(env, u), access.Actor{})
}

// mailLink takes or makes the user's token and mails a link of it.
func mailLink(tx *db.Tx, env environment.Environment, u user.User, by access.Actor) error {
	t, err := token.Open(tx, env.ID, u.ID, purpose(u))
	if err != nil {
		return err
	}
	return notice.ResetLink(tx, env, to(u), t, life(env, u), by)
}

// mailCode is mailLink with the shortest mail there is: the code alone.
func mailCode(tx *db.Tx, env environment.Environment, u user.User, by access.Actor) error {
	t, err := token.Open(tx, env.ID, u.ID, purpose(u))
	if err != nil {
		return err
	}
	return notice.ResetCode(tx, env, to(u), t, life(env, u), by)
}

// withoutMail is for an address asked for too often: no further mail, but a
// token with a link nobody was sent, so that an admin finds one.
func (r *Recovery) withoutMail(tx *db.Tx, env environment.Environment, u user.User, by access.Actor) error {
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.AskedTooOften, User: u.ID, Actor: by}); err != nil {
		return err
	}
	_, live, err := token.Live(tx, env.ID, u.ID)
	if err != nil || live {
		return err
	}
	t, err := token.Open(tx, env.ID, u.ID, purpose(u))
	if err != nil {
		return err
	}
	_, err = token.AddLink(tx, env.ID, token.NewLink{
		Purpose: t.Purpose, Token: t.ID, User: u.ID, Channel: token.Unsent, EndsAt: tx.Now().Add(life(env, u)),
	})
	return err
}

// keepUnmatched is about how many different addresses that matched nobody an
// environment remembers; Forget takes the oldest.
const keepUnmatched = 1000

func recordUnmatched(tx *db.Tx, env id.Environment, q Request) error {
	_, err := tx.Exec(`INSERT INTO unmatched (environment_id, address_key, address, asked, first_at, last_at) VALUES ($1, $2, $3, 1, $4, $4)
		ON CONFLICT (environment_id, address_key) DO UPDATE SET asked = unmatched.asked + 1, last_at = excluded.last_at, address = excluded.address`,
		env, q.AddressKey, q.Address, q.MadeAt)
	return err
}

// keepRequests is how long requests are remembered.
const keepRequests = 30 * 24 * time.Hour

// Forget removes up to limit requests that are too old to matter, resolved or
// matched nobody, and of addresses that matched nobody also those beyond what
// is kept; it tells how many.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	before := tx.Now().Add(-keepRequests)
	n, err := tx.Exec(`DELETE FROM requests WHERE environment_id = $1 AND id IN (
		SELECT id FROM requests WHERE environment_id = $1 AND id < $2 AND resolved_at IS NOT NULL LIMIT $3)`,
		env, id.Before[id.Request](before), limit)
	if err != nil {
		return n, err
	}
	oldest, err := db.One[time.Time](tx, "SELECT last_at FROM unmatched WHERE environment_id = $1 ORDER BY last_at DESC LIMIT 1 OFFSET $2", env, keepUnmatched-1)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return n, err
	}
	if oldest.After(before) {
		before = oldest
	}
	more, err := tx.Exec(`DELETE FROM unmatched WHERE environment_id = $1 AND address_key IN (
		SELECT address_key FROM unmatched WHERE environment_id = $1 AND last_at < $2 LIMIT $3)`, env, before, limit)
	return max(n, more), err
}
