// Package console is what operators see and do in the browser: how the server
// and its mail are doing, over all environments, without entering one.
//
// It shows counts, never people.
package console

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
)

// Console holds what its verbs need.
type Console struct {
	DB *db.DB
	// Servers gives how the mail servers stand, as this process knows them.
	Servers func() []relay.ServerHealth
	// Canary gives how the newest walk went.
	Canary func(ctx context.Context) (Canary, error)
}

// Canary is the server's own walk through a reset.
type Canary struct {
	On      bool
	AskedAt time.Time     // of the newest walk; zero if there was none yet
	Problem string        // of the newest walk that has ended; "" if it was good
	Took    time.Duration // from asking to signed out, of the newest good one
	GoodAt  time.Time
}

func may(actor access.Actor) error {
	if access.May(actor, id.OperatorEnvironment, access.OpenConsole) {
		return nil
	}
	return fault.New(fault.Denied, "This is for the people who run the server.")
}

// Overview is the first page.
type Overview struct {
	Alarms       []Alarm
	Servers      []relay.ServerHealth
	Waiting      []outbox.Backlog
	Canary       Canary
	Environments []Environment
	Returned     []Count // what came back in the last 24 hours, by kind
}

// Alarm is one with the environment it is about; "" for the whole server.
type Alarm struct {
	alarm.Alarm
	Slug string
}

// Count is how much of a kind came back.
type Count struct {
	Kind dsn.Kind `db:"kind"`
	N    int      `db:"n"`
}

// Environment is one client's world from outside.
type Environment struct {
	environment.Environment
	Users int // at most ManyUsers
	Asked int // users who asked for a reset in the last 24 hours
	Stuck int // of all users, those who wait for help now
}

// ManyUsers is where counting stops: past it, nobody needs the number.
const ManyUsers = 10_000

// Overview shows everything at a glance.
func (c *Console) Overview(ctx context.Context, actor access.Actor) (Overview, error) {
	var o Overview
	if err := may(actor); err != nil {
		return o, err
	}
	err := c.DB.View(ctx, func(tx *db.Tx) (err error) {
		if o.Environments, err = environments(tx); err != nil {
			return err
		}
		if o.Alarms, err = alarms(tx, o.Environments); err != nil {
			return err
		}
		if o.Waiting, err = outbox.Backlogs(tx); err != nil {
			return err
		}
		o.Returned, err = returned(tx)
		return err
	})
	if err != nil {
		return o, err
	}
	o.Servers = c.Servers()
	o.Canary, err = c.Canary(ctx)
	return o, err
}

func alarms(tx *db.Tx, known []Environment) ([]Alarm, error) {
	found, err := alarm.List(tx)
	all := make([]Alarm, len(found))
	for i, a := range found {
		all[i].Alarm = a
		for _, e := range known {
			if e.ID == a.Environment {
				all[i].Slug = e.Slug
			}
		}
	}
	return all, err
}

// returned counts by the ids, which begin with the time: the key of the table
// serves it.
func returned(tx *db.Tx) ([]Count, error) {
	return db.All[Count](tx, `SELECT r.kind, count(*) AS n FROM environments e
		JOIN reports r ON r.environment_id = e.id AND r.id >= $1 GROUP BY r.kind ORDER BY n DESC, r.kind`,
		id.Before[id.Report](tx.Now().Add(-24*time.Hour)))
}

// Environments lists the clients' environments by slug.
func (c *Console) Environments(ctx context.Context, actor access.Actor) ([]Environment, error) {
	if err := may(actor); err != nil {
		return nil, err
	}
	var all []Environment
	err := c.DB.View(ctx, func(tx *db.Tx) (err error) {
		all, err = environments(tx)
		return err
	})
	return all, err
}

func environments(tx *db.Tx) ([]Environment, error) {
	found, err := environment.List(tx)
	if err != nil {
		return nil, err
	}
	var all []Environment
	for _, e := range found {
		if e.IsOperators() {
			continue
		}
		counted, err := count(tx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, counted)
	}
	return all, nil
}

func count(tx *db.Tx, e environment.Environment) (Environment, error) {
	type counts struct {
		Users int `db:"users"`
		Asked int `db:"asked"`
		Stuck int `db:"stuck"`
	}
	n, err := db.One[counts](tx, `SELECT
		(SELECT count(*) FROM (SELECT 1 FROM users WHERE environment_id = $1 LIMIT $3) AS some_users) AS users,
		(SELECT count(DISTINCT user_id) FROM requests WHERE environment_id = $1 AND made_at > $2 AND user_id <> '') AS asked,
		(SELECT count(*) FROM cases WHERE environment_id = $1) AS stuck`,
		e.ID, tx.Now().Add(-24*time.Hour), ManyUsers)
	return Environment{Environment: e, Users: n.Users, Asked: n.Asked, Stuck: n.Stuck}, err
}

// ClearAlarm ends an alarm that somebody has seen to; NotFound if it is over.
func (c *Console) ClearAlarm(ctx context.Context, actor access.Actor, env id.Environment, name alarm.Name, about string) error {
	if err := may(actor); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *db.Tx) error { return alarm.Clear(tx, env, name, about) })
}

// UnknownReplies gives the answers of mail servers that no rule knows.
func (c *Console) UnknownReplies(ctx context.Context, actor access.Actor) ([]alarm.UnknownReply, error) {
	if err := may(actor); err != nil {
		return nil, err
	}
	var all []alarm.UnknownReply
	err := c.DB.View(ctx, func(tx *db.Tx) (err error) {
		all, err = alarm.UnknownReplies(tx)
		return err
	})
	return all, err
}

// ForgetReply takes an answer out of the collection.
func (c *Console) ForgetReply(ctx context.Context, actor access.Actor, fingerprint string) error {
	if err := may(actor); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *db.Tx) error { return alarm.ForgetUnknown(tx, fingerprint) })
}
